"""Typed keys, each bound to one algorithm, their JWK and PEM forms, and the set that a verifier chooses from.

A key is never a string or bytes that may be one thing or another (RFC 8725 s3.1). Public and private keys are
different types. `repr` shows algorithm and key ID only, and nothing here is pickled.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from typing import Final, Self, TypeGuard, final

from msgspec import Struct
from msgspec.json import encode

from jotgate.errors import KeyRefused, TokenMalformed
from jotgate.jose.algorithms import ALGORITHMS, READABLE, Algorithm, Hmac
from jotgate.jose.encoding import b64url_encode, parse_object
from jotgate.jose.material import (
    PRIVATE_MEMBERS,
    generate_signer,
    random_octets,
    signer_from_members,
    signer_from_pem,
    verifier_from_members,
)
from jotgate.jose.primitives import HmacKey, Signer, Verifier

KID_CHARS_MAX: Final = 256
JWKS_BYTES_MAX: Final = 262_144
JWKS_KEYS_MAX: Final = 100

_KID_BYTES: Final = 16
_MEMBERS_BY_KTY: Final[dict[str, tuple[str, ...]]] = {row.kty: row.members for row in ALGORITHMS.values()}


class VerificationKey(Struct, frozen=True, eq=False):
    """A key that verifies with one algorithm; compared by identity.

    `named` False: the `kid` is our word for it alone, and no token can ask for the key by it.
    """

    algorithm: Algorithm
    kid: str
    primitive: Verifier
    named: bool = True

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the signing input (RFC 7515 s5.2); raises nothing."""
        return self.primitive.verify(signing_input, signature)

    def __repr__(self) -> str:
        return f"VerificationKey(alg={self.algorithm.name}, kid={self.kid})"


class SigningKey(Struct, frozen=True, eq=False):
    """A key that signs with one algorithm. `verification_key` carries the same `kid`."""

    algorithm: Algorithm
    kid: str
    primitive: Signer
    verification_key: VerificationKey

    def sign(self, signing_input: bytes) -> bytes:
        """The signature over the signing input in the form that JWS carries (RFC 7515 s5.1)."""
        return self.primitive.sign(signing_input)

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.algorithm.name}, kid={self.kid})"


def generate(alg: str) -> SigningKey:
    """Make a new key.

    Its `kid` is the thumbprint (RFC 7638); that of an HMAC key would be a digest of the secret, so it is random.

    Raises:
        KeyRefused: no such algorithm.
    """
    row = _row(alg)
    kid = random_octets(_KID_BYTES).hex() if isinstance(row.scheme, Hmac) else None
    return _signing_key(row, generate_signer(row), kid)


def hmac_key(secret: bytes, alg: str, kid: str) -> SigningKey:
    """Bind a shared secret of at least the hash's length to an HMAC algorithm (RFC 7518 s3.2).

    Raises:
        KeyRefused: the secret is short, of few different bytes, or a public key; or `alg` is no HMAC
            algorithm.
    """
    row = _row(alg)
    if not isinstance(row.scheme, Hmac):
        raise KeyRefused(f"{alg} takes a key pair and not a secret")
    return _signing_key(row, HmacKey(row, row.scheme, secret), kid)


def signing_key_from_pem(pem: bytes, alg: str, kid: str | None = None) -> SigningKey:
    """Read an unencrypted PKCS #8 private key. Without `kid` the thumbprint is taken.

    Raises:
        KeyRefused: no readable private key, or not one for `alg`.
    """
    row = _row(alg)
    return _signing_key(row, signer_from_pem(row, pem), kid)


def signing_key_to_pem(key: SigningKey) -> bytes:
    """The private key as unencrypted PKCS #8 in PEM: for a key store, and for nothing else.

    Raises:
        KeyRefused: an HMAC key has no such form.
    """
    return key.primitive.pem()


def verification_key_to_pem(key: VerificationKey) -> bytes:
    """The public key in PEM (SubjectPublicKeyInfo), for readers of no JWK.

    Raises:
        KeyRefused: an HMAC key has no such form.
    """
    return key.primitive.public_pem()


def signing_key_from_jwk(jwk: Mapping[str, object]) -> SigningKey:
    """Read a private JWK, or an `oct` one with a `kid`, whose `kty`, `crv` and `alg` name one algorithm.

    Raises:
        KeyRefused: malformed, too weak, private and public part do not match, or no single algorithm is
            named.
    """
    row = _row_of_jwk(jwk, operations={"sign", "verify"}, needed="sign")
    kid = _kid(jwk["kid"]) if "kid" in jwk else None
    return _signing_key(row, signer_from_members(row, jwk), kid)


def verification_key_from_jwk(jwk: Mapping[str, object], algorithms: Collection[str] = ()) -> VerificationKey:
    """Read a public JWK (RFC 7517) that may verify, and whose `kty`, `crv` and `alg` name one algorithm.

    An RSA key without `alg` is one for the only RSA algorithm among `algorithms`, those of its issuer. A private or
    symmetric key is refused: what has been published is no secret any more. Unknown members are ignored.

    Raises:
        KeyRefused: malformed, too weak, meant for something else, or no single algorithm is named.
    """
    row = _row_of_jwk(jwk, operations={"verify"}, needed="verify", algorithms=algorithms)
    if not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeyRefused("the JWK holds a private or symmetric key", hint="Publish public keys only, and replace it")
    primitive = verifier_from_members(row, jwk)
    kid = _kid(jwk["kid"]) if "kid" in jwk else thumbprint(jwk)
    return VerificationKey(row, kid, primitive)


def public_jwk(key: VerificationKey) -> dict[str, str]:
    """The JWK to publish: the required members, `kid`, `alg` and `use` "sig".

    Raises:
        KeyRefused: an HMAC key has no public form.
    """
    members = key.primitive.public_members()
    return {"kty": members["kty"], "use": "sig", "alg": key.algorithm.name, "kid": key.kid} | members


def thumbprint(jwk: Mapping[str, object]) -> str:
    """The base64url of the SHA-256 thumbprint (RFC 7638 s3). That of an `oct` key is a digest of the secret.

    Raises:
        KeyRefused: `kty` is unknown, or a required member is not a string.
    """
    kty = jwk.get("kty")
    names = _MEMBERS_BY_KTY.get(kty) if isinstance(kty, str) else None
    if names is None:
        raise KeyRefused("the JWK's 'kty' is not one that is known")
    values = {name: jwk.get(name) for name in names}
    if not all(isinstance(value, str) and value.isascii() for value in values.values()):
        raise KeyRefused("a required member of the JWK is missing or not text")
    canonical = json.dumps(values, separators=(",", ":"))  # the names are sorted in the row
    return b64url_encode(sha256(canonical.encode()).digest()).decode()


class Skipped(Struct, frozen=True):
    """A key of a JWK Set that is not used: its place in `keys`, from 0, and the reason."""

    index: int
    reason: str


@final
class KeySet:
    """The verification keys of one issuer by `kid`. Immutable; a changed set is another object."""

    __slots__ = ("_by_kid", "_skipped")

    def __init__(self, keys: Iterable[VerificationKey] = (), skipped: Iterable[Skipped] = ()) -> None:
        """Take keys with different `kid`s; the same key twice counts once.

        Raises:
            KeyRefused: two different keys share a `kid`.
        """
        self._by_kid: dict[str, VerificationKey] = {}
        self._skipped = tuple(skipped)
        for key in keys:
            known = self._by_kid.setdefault(key.kid, key)
            if not _is_same(known, key):
                raise KeyRefused("two different keys share one key ID")

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        return tuple(self._by_kid.values())

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What `from_jwks` left out, and why."""
        return self._skipped

    def get(self, kid: str) -> VerificationKey | None:
        """The key that a token with this `kid` asks for."""
        key = self._by_kid.get(kid)
        return key if key is None or key.named else None

    def __contains__(self, key: VerificationKey) -> bool:
        return self._by_kid.get(key.kid) is key

    def has_same(self, key: VerificationKey) -> bool:
        """Whether a key of this `kid` is in it that is known to be the same; of secrets that is not known."""
        known = self._by_kid.get(key.kid)
        return known is not None and _is_same(known, key)

    def with_algorithm(self, alg: str) -> tuple[VerificationKey, ...]:
        """The keys of one algorithm: for a token that names no key."""
        return tuple(key for key in self._by_kid.values() if key.algorithm.name == alg)

    @classmethod
    def from_jwks(cls, raw: bytes, algorithms: Collection[str] = ()) -> Self:
        """Read a JWK Set (RFC 7517 s5). A key that cannot be used is skipped; the others are good.

        Different keys under one `kid` are all skipped: which one is meant cannot be known. A set may be
        empty. `algorithms` is as for `verification_key_from_jwk`.

        Raises:
            KeyRefused: not a JWK Set at all, or larger than `JWKS_BYTES_MAX` or `JWKS_KEYS_MAX`.
        """
        keys: dict[str, VerificationKey] = {}
        indexes: dict[str, list[int]] = {}
        skipped: list[Skipped] = []
        ambiguous: set[str] = set()
        for index, member in enumerate(_members_of_set(raw)):
            try:
                key = _usable(member, algorithms)
            except KeyRefused as fault:
                skipped.append(Skipped(index, fault.message))
                continue
            indexes.setdefault(key.kid, []).append(index)
            if not _is_same(keys.setdefault(key.kid, key), key):
                ambiguous.add(key.kid)
        for kid in ambiguous:
            del keys[kid]
            skipped += [Skipped(index, "different keys share this key ID") for index in indexes[kid]]
        return cls(keys.values(), sorted(skipped, key=lambda entry: entry.index))

    def to_jwks(self) -> bytes:
        """The JWK Set to publish, as JSON. HMAC keys are left out: they have no public form."""
        public = [key for key in self._by_kid.values() if not isinstance(key.algorithm.scheme, Hmac)]
        return encode({"keys": [public_jwk(key) for key in public]})

    def __len__(self) -> int:
        return len(self._by_kid)

    def __repr__(self) -> str:
        return f"KeySet({', '.join(map(repr, self._by_kid.values()))})"


def _row(alg: str) -> Algorithm:
    row = ALGORITHMS.get(alg)
    if row is None:
        raise KeyRefused("the algorithm is not one that jotgate knows", hint=f"Use one of {', '.join(ALGORITHMS)}")
    return row


def _kid(kid: object) -> str:
    if not is_kid(kid):
        raise KeyRefused(f"a key ID is 1 to {KID_CHARS_MAX} printable ASCII characters")
    return kid


def is_kid(kid: object) -> TypeGuard[str]:
    """Whether this may be a `kid`: printable ASCII, so that it can be logged, and not too long."""
    return isinstance(kid, str) and 0 < len(kid) <= KID_CHARS_MAX and kid.isascii() and kid.isprintable()


def _signing_key(row: Algorithm, signer: Signer, kid: str | None) -> SigningKey:
    verifier = signer.verifier()
    if kid is None and isinstance(row.scheme, Hmac):
        raise KeyRefused("an HMAC key has no key ID of its own", hint="Give it one: 'kid'")
    name = _kid(kid) if kid is not None else thumbprint(verifier.public_members())
    return SigningKey(row, name, signer, VerificationKey(row, name, verifier))


def _row_of_jwk(
    jwk: Mapping[str, object], *, operations: set[str], needed: str, algorithms: Collection[str] = ()
) -> Algorithm:
    """The one algorithm that the JWK names, if its `use` and `key_ops` let it do what is needed (RFC 7517 s4)."""
    if "use" in jwk and jwk["use"] != "sig":
        raise KeyRefused("the JWK's 'use' is not 'sig'")
    if "key_ops" in jwk:
        found = jwk["key_ops"]
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise KeyRefused("the JWK's 'key_ops' is not an array of strings")
        if len(set(found)) != len(found) or needed not in found or not operations.issuperset(found):
            raise KeyRefused(f"the JWK's 'key_ops' do not say that it may {needed} and nothing else")
    kty, crv = jwk.get("kty"), jwk.get("crv")
    rows = [row for row in ALGORITHMS.values() if row.kty == kty and row.crv in (None, crv)]
    if not rows:
        raise KeyRefused("the JWK's 'kty' and 'crv' are not those of an algorithm that jotgate knows")
    if "alg" in jwk:
        named = READABLE.get(jwk["alg"]) if isinstance(jwk["alg"], str) else None
        rows = [row for row in rows if row is named]
    elif rows[0].crv is None:  # the type of an RSA or `oct` key says nothing about the hash or the padding
        rows = [row for row in rows if row.name in algorithms]
    if len(rows) != 1:
        raise KeyRefused("the JWK's 'alg' does not name one algorithm for its key type")
    return rows[0]


def _members_of_set(raw: bytes) -> list[object]:
    if len(raw) > JWKS_BYTES_MAX:
        raise KeyRefused(f"the JWK Set is longer than {JWKS_BYTES_MAX} bytes")
    try:
        members = parse_object(raw, "JWK Set").get("keys")
    except TokenMalformed as fault:
        raise KeyRefused(fault.message) from None
    if not isinstance(members, list):
        raise KeyRefused("the JWK Set has no array 'keys'")
    if len(members) > JWKS_KEYS_MAX:
        raise KeyRefused(f"the JWK Set has more than {JWKS_KEYS_MAX} keys")
    return members


def _usable(member: object, algorithms: Collection[str]) -> VerificationKey:
    if not isinstance(member, dict):
        raise KeyRefused("not a JSON object")
    return verification_key_from_jwk(member, algorithms)


def _is_same(one: VerificationKey, other: VerificationKey) -> bool:
    if one is other:
        return True
    if one.algorithm is not other.algorithm or isinstance(one.algorithm.scheme, Hmac):
        return False
    return one.primitive.public_members() == other.primitive.public_members()

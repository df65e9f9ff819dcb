"""The compact JWS (RFC 7515 s7.1): parsed strictly before any cryptography, verified, signed.

No other serialization exists here. A header never brings its own key (`jwk`, `jku`, `x5u`, `x5c` are not
looked at), and no extension is understood, so that `crit` is always refused (RFC 7515 s4.1.11).
"""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from jotgate.errors import (
    AlgorithmRefused,
    KeyAmbiguous,
    KeyUnknown,
    SignatureInvalid,
    TokenEncrypted,
    TokenError,
    TokenMalformed,
)
from jotgate.jose.algorithms import READABLE, Algorithm, Hmac
from jotgate.jose.encoding import b64url_decode, b64url_encode, encode_object, parse_object
from jotgate.jose.keys import KID_CHARS_MAX, KeySet, SigningKey, VerificationKey, is_kid

TOKEN_BYTES_MAX: Final = 16_384
HEADER_BYTES_MAX: Final = 4_096

SECRETS_MAX: Final = 2  # one that signs and the one before it

_JWS_DOTS: Final = 2
_JWE_DOTS: Final = 4
_USUAL_MEMBERS: Final = 3  # alg, kid, typ


class Jws(Struct, frozen=True, gc=False):
    """A parsed compact JWS. Nothing in it is verified. `signing_input` and `signature` are bytes as they were sent."""

    header: Mapping[str, object]
    alg: str
    kid: str | None
    typ: str | None
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse(token: bytes, bytes_max: int = TOKEN_BYTES_MAX) -> Jws:
    """Take a compact JWS apart (RFC 7515 s5.2, steps 1 to 7).

    Raises:
        TokenEncrypted: it is a JWE, of which nothing is decoded (RFC 7516 s9).
        TokenMalformed: longer than `bytes_max`, another serialization, an encoding with a second form,
            or a header that is not strict JSON, is longer than `HEADER_BYTES_MAX` or has members that are
            never taken.
    """
    if len(token) > bytes_max:
        raise TokenMalformed(f"the token is longer than {bytes_max} bytes")
    if token.count(b".") != _JWS_DOTS:
        raise _not_compact(token)
    signing_input, _, signature = token.rpartition(b".")
    protected, _, payload = signing_input.partition(b".")
    header, alg, kid, typ = _parse_header(protected)
    return Jws(header, alg, kid, typ, b64url_decode(payload), signing_input, b64url_decode(signature))


def verify(jws: Jws, keys: KeySet, algorithms: Collection[str]) -> VerificationKey:
    """Verify the signature and return the key that made it.

    The key is the one under the token's `kid`, and no other is tried. A token without `kid` is taken if the set
    has exactly one public key of its algorithm, or at most `SECRETS_MAX` secrets of it.

    Raises:
        AlgorithmRefused: `alg` is not among `algorithms`, or is not that of the key (RFC 8725 s3.1).
        KeyUnknown: there is no such key.
        KeyAmbiguous: the token names none, and more than one could be meant.
        SignatureInvalid: the signature is not that of the key.
    """
    row = READABLE.get(jws.alg) if jws.alg in algorithms else None
    if row is None:
        raise AlgorithmRefused("the token's 'alg' is not one that its issuer uses").showing("alg", algorithms, jws.alg)
    if jws.kid is None:
        return _verify_without_kid(jws, keys, row)
    key = keys.get(jws.kid)
    if key is None:
        raise KeyUnknown("no key of the issuer is the one that the token names").showing("kid", None, jws.kid)
    if key.algorithm is not row:
        refusal = AlgorithmRefused("the token's 'alg' is not that of the key that it names")
        raise refusal.showing("alg", key.algorithm.name, jws.alg)
    if not key.primitive.verify(jws.signing_input, jws.signature):
        raise SignatureInvalid("the token's signature is not that of the key that it names")
    return key


def sign(header: Mapping[str, object], payload: bytes, key: SigningKey, *, with_kid: bool = True) -> bytes:
    """Make a compact JWS. `alg` and `kid` come from the key; `header` holds the other members.

    `with_kid=False` leaves `kid` out, for readers whose tokens never had one.

    Raises:
        AlgorithmRefused, KeyUnknown: `header` has an `alg` or a `kid` that is not the key's.
        TokenMalformed: the result is not one that `parse` takes.
    """
    public = key.verification_key
    signing_input = prepare(header, payload, public, with_kid=with_kid)
    return attach(signing_input, key.sign(signing_input), public, trusted=True)


def prepare(header: Mapping[str, object], payload: bytes, key: VerificationKey, *, with_kid: bool = True) -> bytes:
    """The signing input (RFC 7515 s5.1, step 5) for whoever holds the private part of this key; else as `sign`."""
    if header.get("alg", key.algorithm.name) != key.algorithm.name:
        raise AlgorithmRefused("the header's 'alg' is not that of the signing key")
    if header.get("kid", key.kid) != key.kid:
        raise KeyUnknown("the header's 'kid' is not that of the signing key")
    members = {**header, "alg": key.algorithm.name, "kid": key.kid}
    if not with_kid:
        del members["kid"]
    return _protect(members) + b"." + b64url_encode(payload)


def prepare_typed(typ: str, payload: bytes, key: VerificationKey) -> bytes:
    """As `prepare`, with `typ` as the one other member of the header."""
    return _protect_typed(typ, key.algorithm.name, key.kid) + b"." + b64url_encode(payload)


def attach(signing_input: bytes, signature: bytes, key: VerificationKey, *, trusted: bool = False) -> bytes:
    """The compact JWS of what `prepare` made and the signature over it, which is verified unless it is `trusted`.

    Raises:
        SignatureInvalid: the signature is not this key's: nothing that does not verify leaves.
        TokenMalformed: the result is longer than `parse` takes.
    """
    if not trusted and not key.verify(signing_input, signature):
        raise SignatureInvalid("the signature that was made is not that of the key that was to sign")
    token = signing_input + b"." + b64url_encode(signature)
    if len(token) > TOKEN_BYTES_MAX:
        raise TokenMalformed(f"the token is longer than {TOKEN_BYTES_MAX} bytes")
    return token


def _protect(members: Mapping[str, object]) -> bytes:
    """A header as it stands in a token, of which `parse` has nothing to say."""
    protected = b64url_encode(encode_object(members, "token's header"))
    _parse_header(protected)
    return protected


@lru_cache(maxsize=64)
def _protect_typed(typ: str, alg: str, kid: str) -> bytes:
    """All tokens of one type that a key signs have the same header."""
    return _protect({"typ": typ, "alg": alg, "kid": kid})


@lru_cache(maxsize=64)
def _parse_header(protected: bytes) -> tuple[Mapping[str, object], str, str | None, str | None]:
    """The header with its `alg`, `kid` and `typ`. All tokens that a key has signed have the same, mostly."""
    raw = b64url_decode(protected)
    if len(raw) > HEADER_BYTES_MAX:
        raise TokenMalformed(f"the token's header is longer than {HEADER_BYTES_MAX} bytes")
    header = parse_object(raw, "token's header")
    return header, *_read_header(header)


def _read_header(header: dict[str, object]) -> tuple[str, str | None, str | None]:
    """`alg`, `kid` and `typ`; whatever RFC 7515 s4.1 names has its type, also what is not looked at here."""
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    # The header of nearly every token: three members of the right type, and nothing to look up.
    if len(header) == _USUAL_MEMBERS and isinstance(alg, str) and isinstance(typ, str) and is_kid(kid):
        return alg, kid, typ
    for name, value in header.items():
        rule = _MEMBERS.get(name)
        if rule is not None and not rule.is_met(value):
            raise rule.refusal(f"the token's header {rule.fault}")
    if not isinstance(alg, str):
        raise TokenMalformed("the token's header has no 'alg' that is a string")
    return alg, kid if isinstance(kid, str) else None, typ if isinstance(typ, str) else None


def _verify_without_kid(jws: Jws, keys: KeySet, row: Algorithm) -> VerificationKey:
    candidates = keys.with_algorithm(row.name)
    if not candidates:
        refusal = KeyUnknown("no key of the issuer has the token's 'alg', and the token names none")
        raise refusal.showing("alg", None, jws.alg)
    if len(candidates) > (SECRETS_MAX if isinstance(row.scheme, Hmac) else 1):
        ambiguous = KeyAmbiguous("the token names no key ('kid'), and several of the issuer's could be meant")
        raise ambiguous.showing("kid", [key.kid for key in candidates], None)
    for key in candidates:
        if key.verify(jws.signing_input, jws.signature):
            return key
    raise SignatureInvalid("the token's signature is not that of the issuer's key")


def _not_compact(token: bytes) -> TokenError:
    if token.lstrip().startswith(b"{"):
        return TokenMalformed("the token is in a JSON serialization; only the compact one is taken")
    if token.count(b".") == _JWE_DOTS:
        return TokenEncrypted("the token is encrypted (JWE); only signed ones are taken")
    return TokenMalformed(f"a token has {_JWS_DOTS + 1} parts between dots, and this one has not")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_chain(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _never(_value: object) -> bool:
    return False


class _Rule(Struct, frozen=True):
    """What a header member must be, and what is said of one that is not."""

    is_met: Callable[[object], bool]
    fault: str
    refusal: type[TokenError] = TokenMalformed


_MEMBERS: Final = {
    "kid": _Rule(is_kid, f"has a 'kid' that is not 1 to {KID_CHARS_MAX} printable ASCII characters"),
    "typ": _Rule(_is_text, "has a 'typ' that is not a string"),
    "cty": _Rule(_is_text, "has a 'cty' that is not a string"),
    "jku": _Rule(_is_url, "has a 'jku' that is not a URL"),
    "jwk": _Rule(_is_object, "has a 'jwk' that is not an object"),
    "x5u": _Rule(_is_url, "has an 'x5u' that is not a URL"),
    "x5c": _Rule(_is_chain, "has an 'x5c' that is not an array of strings"),
    "x5t": _Rule(_is_text, "has an 'x5t' that is not a string"),
    "x5t#S256": _Rule(_is_text, "has an 'x5t#S256' that is not a string"),
    "crit": _Rule(_never, "asks for an extension ('crit'), and jotgate understands none"),
    "b64": _Rule(_never, "has 'b64', which no JWT has (RFC 7797 s7)"),
    "enc": _Rule(_never, "is that of an encrypted token ('enc')", TokenEncrypted),
    "zip": _Rule(_never, "is that of an encrypted token ('zip')", TokenEncrypted),
}

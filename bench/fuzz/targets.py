"""What is fuzzed in process: the parsers of tokens and keys, each with what must hold of whatever it takes.

A target is a function of bytes that says whether they were taken. It raises Harm where a property does not hold; any
other exception that leaves it is a fault too: a parser refuses with its own error and with nothing else.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from bench.fuzz.exchange import Harm
from jotgate.errors import KeyRefused, TokenError, TokenMalformed
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import READABLE
from jotgate.jose.encoding import b64url_decode, b64url_encode, encode_object, parse_object
from jotgate.jose.keys import KeySet, SigningKey, generate, signing_key_from_pem, signing_key_to_pem
from jotgate.jose.strength import weakness
from jotgate.testing.forge import Forge, to_json
from jotgate.testing.issuer import wrong_tokens
from jotgate.testing.public_forms import public_forms

NOW_S: Final = 1_790_000_000
ISSUER: Final = "https://gate.example"
AUDIENCE: Final = "https://gate.example/v1"
_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "RS256", "PS256", "HS256")
_SPLIT: Final = b"\n.\n"  # between a header and claims that are sealed together


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under fuzzing: what it is given first, and the function that judges it."""

    seeds: Callable[[], Iterable[bytes]]
    takes: Callable[[bytes], bool]


@cache
def key(alg: str) -> SigningKey:
    """One key of this algorithm for the whole run."""
    return generate(alg)


@cache
def keys() -> KeySet:
    return KeySet([key(alg).verification_key for alg in _ALGORITHMS])


@cache
def expectation() -> jwt.Expectation:
    return jwt.Expectation(ISSUER, (AUDIENCE,), ("at+jwt",), tuple(READABLE))


@cache
def good_tokens() -> tuple[bytes, ...]:
    return tuple(forge(alg).with_claims() for alg in _ALGORITHMS)


def forge(alg: str = "HS256") -> Forge:
    return Forge(key(alg), ISSUER, AUDIENCE, NOW_S)


def _hold(holds: bool, what: str, given: bytes) -> None:
    if not holds:
        raise Harm(f"{what}: {given[:2_000]!r}")


def base64url(given: bytes) -> bool:
    """What is decoded is encoded again to the same text: it has one form."""
    try:
        raw = b64url_decode(given)
    except TokenMalformed:
        return False
    _hold(b64url_encode(raw) == given, "a text that is not canonical was taken", given)
    return True


def json_object(given: bytes) -> bool:
    """What is read is what the standard library reads, and can be written and read again."""
    try:
        found = parse_object(given, "object")
    except TokenMalformed:
        return False
    _hold(found == json.loads(given), "another value was read than json.loads reads", given)
    _hold(parse_object(encode_object(found, "object"), "object") == found, "a value changed when written", given)
    return True


def signed(given: bytes) -> bool:
    """A compact JWS that is parsed is made of exactly the parts that were found in it."""
    try:
        parsed = jws.parse(given)
    except TokenError:
        return False
    again = parsed.signing_input + b"." + b64url_encode(parsed.signature)
    _hold(again == given, "the parts of a token are not the token", given)
    _hold(given.split(b".")[1] == b64url_encode(parsed.payload), "the payload is not the one that was sent", given)
    return True


def token(given: bytes) -> bool:
    """Nothing is verified that was not signed."""
    try:
        jwt.verify(given, keys(), expectation(), NOW_S)
    except TokenError:
        return False
    known = {one.rpartition(b".")[0] for one in good_tokens()}
    _hold(given.rpartition(b".")[0] in known, "a token was taken that nobody signed", given)
    return True


def sealed(given: bytes) -> bool:
    """Whatever stands under a good signature, what is taken says what is expected."""
    header, _, claims = given.partition(_SPLIT)
    try:
        found = jwt.verify(forge().seal(header, claims), keys(), expectation(), NOW_S)
    except TokenError:
        return False
    _hold(found.claims.iss == ISSUER and AUDIENCE in found.claims.aud, "another issuer or audience was taken", given)
    _hold(json.loads(header)["alg"] == "HS256" and "crit" not in json.loads(header), "a wrong header was taken", given)
    exp = found.claims.exp
    _hold(exp is not None and exp + expectation().leeway_s > NOW_S, "an expired token was taken", given)
    return True


def key_set(given: bytes) -> bool:
    """Each member of a set is used or skipped with a reason, and what is published is read again."""
    try:
        found = KeySet.from_jwks(given, ("RS256",))
    except KeyRefused:
        return False
    again = KeySet.from_jwks(found.to_jwks())
    _hold(not again.skipped and again.to_jwks() == found.to_jwks(), "a set changed when published", given)
    _hold(all(entry.reason for entry in found.skipped), "a key was skipped without a reason", given)
    return bool(found.keys)


def private_key(given: bytes) -> bool:
    """A PEM is a key for one algorithm, or refused; what it signs it verifies."""
    for alg in ("ES256", "ES384", "ES512", "Ed25519"):
        try:
            found = signing_key_from_pem(given, alg)
        except KeyRefused:
            continue
        _hold(found.verification_key.verify(given, found.sign(given)), "a key does not verify what it signs", given)
        return True
    return False


def shared_secret(given: bytes) -> bool:
    """Judging a secret says nothing of it."""
    said = weakness(given)
    _hold(said is None or len(given) < 8 or given.decode("latin-1") not in said, "a secret was repeated", given)
    return said is None


def _token_seeds() -> Iterable[bytes]:
    yield from good_tokens()
    yield from (
        one for alg in ("ES256", "HS256") for one, _ in wrong_tokens(key(alg), ISSUER, AUDIENCE, NOW_S).values()
    )


def _sealed_seeds() -> Iterable[bytes]:
    header, claims = to_json(forge().header()), to_json(forge().claims())
    yield header + _SPLIT + claims
    for one, _ in wrong_tokens(key("HS256"), ISSUER, AUDIENCE, NOW_S).values():
        try:
            parts = [b64url_decode(part) for part in one.split(b".")]
        except TokenMalformed:
            continue
        yield _SPLIT.join(parts[:2])


def _json_seeds() -> Iterable[bytes]:
    for one in _sealed_seeds():
        yield from one.split(_SPLIT)


def _base64_seeds() -> Iterable[bytes]:
    for one in good_tokens():
        yield from one.split(b".")
    yield from (b"", b"A", b"AA", b"AB", b"AAA", b"AAB", b"AA==", b"-_", b"+/")


def _key_set_seeds() -> Iterable[bytes]:
    yield keys().to_jwks()
    yield from (public_forms(key(alg))["jwks"] for alg in _ALGORITHMS if alg != "HS256")
    yield b'{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"AAAA"},{"kty":"OKP","crv":"Ed448","x":"AA"},{},1,null]}'


def _private_key_seeds() -> Iterable[bytes]:
    for alg in _ALGORITHMS:
        if alg != "HS256":
            yield signing_key_to_pem(key(alg))
            yield public_forms(key(alg))["pem"]


def _secret_seeds() -> Iterable[bytes]:
    yield from (b"your-super-secret-key-change-me-please", b"0123456789abcdef" * 4, b"", b"deadbeef", bytes(range(64)))


TARGETS: Final[dict[str, Target]] = {
    "base64url": Target(_base64_seeds, base64url),
    "json": Target(_json_seeds, json_object),
    "signed": Target(_token_seeds, signed),
    "token": Target(_token_seeds, token),
    "sealed": Target(_sealed_seeds, sealed),
    "key_set": Target(_key_set_seeds, key_set),
    "private_key": Target(_private_key_seeds, private_key),
    "shared_secret": Target(_secret_seeds, shared_secret),
}

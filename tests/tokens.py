"""What the tests of tokens share: one key per algorithm, one expectation, and the refusal that a token meets."""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha512
from pathlib import Path
from typing import Final, TypedDict

import pytest

from jotgate.errors import Code, TokenError
from jotgate.jose import jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE, Expectation
from jotgate.jose.keys import KeySet, SigningKey, generate, hmac_key, public_jwk
from jotgate.testing.issuer import TestIssuer

ISSUER: Final = "https://gate.example"
AUDIENCE: Final = "https://gate.example/v1"
NOW_S: Final = 1_790_000_000
ASYMMETRIC: Final = tuple(name for name, row in ALGORITHMS.items() if row.kty != "oct")
SECRET: Final = b"".join(sha512(bytes((number,))).digest() for number in range(2))
VECTORS: Final = Path(__file__).parent / "vectors" / "rfc"


class Vector(TypedDict, total=False):
    """A test vector of an RFC as its file has it."""

    jwk: dict[str, object]
    alg: str
    token: str
    thumbprint: str


@cache
def _make_once(alg: str) -> SigningKey:
    return generate(alg) if alg in ASYMMETRIC else hmac_key(SECRET, alg, f"secret-{alg}")


def key(alg: str = "ES256") -> SigningKey:
    """One key of this algorithm for the whole test run; that of an HMAC algorithm is `SECRET`."""
    return _make_once(alg)


@cache
def all_keys() -> KeySet:
    """One key of every algorithm in one set."""
    return KeySet([key(alg).verification_key for alg in ALGORITHMS])


def issuer(alg: str = "ES256") -> TestIssuer:
    """An issuer whose tokens are good at `NOW_S`."""
    return TestIssuer(key(alg), ISSUER, AUDIENCE, NOW_S)


def expectation(*algorithms: str, leeway_s: int = 0) -> Expectation:
    """What the issuer's tokens meet; every algorithm of the table when none is named."""
    return Expectation(
        issuer=ISSUER,
        audiences=(AUDIENCE,),
        types=(ACCESS_TOKEN_TYPE,),
        algorithms=algorithms or tuple(ALGORITHMS),
        leeway_s=leeway_s,
        lifetime_max_s=86_400,
    )


def verify(token: bytes, *, now_s: float = NOW_S, leeway_s: int = 0) -> jwt.Verified:
    """Verify with every key and every algorithm allowed: no refusal is owed to a short list."""
    return jwt.verify(token, all_keys(), expectation(leeway_s=leeway_s), now_s)


def refusal(token: bytes, *, now_s: float = NOW_S, leeway_s: int = 0) -> Code:
    """The code with which a token is refused; fails if it is not."""
    with pytest.raises(TokenError) as caught:
        verify(token, now_s=now_s, leeway_s=leeway_s)
    return caught.value.code


def key_refusal(raw: bytes | Mapping[str, object]) -> str:
    """Why the only key of a JWK Set is skipped; fails if it is not."""
    members = json.loads(raw) if isinstance(raw, bytes) else raw
    keys = KeySet.from_jwks(json.dumps({"keys": [members]}).encode())
    assert keys.keys == ()
    (skipped,) = keys.skipped
    assert skipped.index == 0
    return skipped.reason


def jwk(alg: str = "ES256", /, **changes: object) -> dict[str, object]:
    """The public JWK of `key(alg)`, changed; None leaves a member out."""
    members: dict[str, object] = {**public_jwk(key(alg).verification_key), **changes}
    return {name: value for name, value in members.items() if value is not None}


def uint(number: int, size: int | None = None) -> str:
    """Base64urlUInt, of the fewest bytes or of `size`."""
    return b64url_encode(number.to_bytes(size or (number.bit_length() + 7) // 8)).decode()


def with_signature(token: bytes, signature: bytes) -> bytes:
    """The token with other bytes as its signature."""
    return token.rpartition(b".")[0] + b"." + b64url_encode(signature)


def signature_of(token: bytes) -> bytes:
    """The raw signature of a token."""
    return b64url_decode(token.rpartition(b".")[2])


def vector(name: str) -> Vector:
    """A test vector from `tests/vectors/rfc`."""
    found: Vector = json.loads((VECTORS / f"{name}.json").read_text())
    return found


def json_vector(name: str) -> dict[str, str]:
    """A test vector that is no JOSE object: names and hexadecimal numbers."""
    found: dict[str, str] = json.loads((VECTORS / f"{name}.json").read_text())
    return found


@cache
def token(alg: str) -> bytes:
    """One good token of this algorithm for the whole test run."""
    return issuer(alg).token()

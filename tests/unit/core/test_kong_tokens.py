"""Tokens for Kong as texts: what they say, and that Kong's way of reading a secret gives the one that signed."""

import base64

import pytest

from jotgate.core.kong_tokens import KongClaims, mint_with_pair, mint_with_secret, survives
from jotgate.jose.jwt import peek_unverified
from jotgate.testing.kong_tokens import decoded, judged, read_token

CLAIMS = KongClaims(iss="john_doe", kid="a key", exp=1_800_000_060, iat=1_800_000_000)
OCTETS = bytes(range(32))


def test_a_token_says_what_the_document_has() -> None:
    minted = mint_with_secret(CLAIMS, OCTETS)
    header, claims = peek_unverified(minted.token.reveal().encode())
    assert header == {"alg": "HS256", "kid": "a key", "typ": "JWT"}
    assert claims == {"iss": "john_doe", "kid": "a key", "exp": 1_800_000_060, "iat": 1_800_000_000}
    assert minted.secret is not None
    assert minted.public_key_pem is None
    assert repr(minted).count("Secret(…)") == 2


def test_a_secret_survives_where_both_alphabets_write_it_alike() -> None:
    assert survives(OCTETS)
    lost = b"\xff" * 32
    assert not survives(lost)
    assert decoded(base64.b64encode(lost).decode()) != lost, "of the other sort Kong makes something else, or nothing"
    assert decoded(base64.b64encode(OCTETS).decode()) == OCTETS


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_pair_signs_one_token(algorithm: str) -> None:
    """RS256 takes longer; the desk's test has it."""
    first, second = mint_with_pair(CLAIMS, algorithm), mint_with_pair(CLAIMS, algorithm)
    assert first.secret is None
    assert first.public_key_pem != second.public_key_pem
    token = read_token(first.token.reveal())
    assert (token.header["alg"], judged(token, str(first.public_key_pem).encode())) == (algorithm, True)
    assert not judged(token, str(second.public_key_pem).encode())

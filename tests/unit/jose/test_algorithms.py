"""The table of algorithms is closed, consistent and cannot be changed."""

import pytest

from jotgate.jose.algorithms import ALGORITHMS, Ecdsa, Hmac, Rsa


def test_the_table_is_closed() -> None:
    assert set(ALGORITHMS) == {"ES256", "RS256", "HS256", "Ed25519"}
    for name in ("none", "None", "EdDSA", "ES384", "PS256", "HS512", "es256", ""):
        assert name not in ALGORITHMS


def test_neither_the_table_nor_a_row_can_be_changed() -> None:
    with pytest.raises(TypeError):
        ALGORITHMS["none"] = ALGORITHMS["ES256"]  # type: ignore[index]
    for row in ALGORITHMS.values():
        with pytest.raises(AttributeError):
            row.key_bits_min = 0  # type: ignore[misc]
        with pytest.raises(AttributeError):
            row.scheme.size = 0  # type: ignore[misc, union-attr]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_row_is_consistent(name: str) -> None:
    row = ALGORITHMS[name]
    assert row.name == name
    assert list(row.members) == sorted(row.members)
    assert "kty" in row.members
    assert ("crv" in row.members) == (row.crv is not None)
    if isinstance(row.scheme, Ecdsa):
        assert row.signature_bytes == 2 * row.scheme.size
        assert row.scheme.order.bit_length() == row.key_bits_min == row.scheme.group.key_size
    if isinstance(row.scheme, Hmac):
        assert row.signature_bytes == row.scheme.hash.digest_size
        assert row.key_bits_min == 8 * row.scheme.hash.digest_size  # RFC 7518 s3.2
    if isinstance(row.scheme, Rsa):
        assert row.signature_bytes is None
        assert row.key_bits_min >= 2048  # RFC 7518 s3.3

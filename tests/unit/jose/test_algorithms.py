"""The table of algorithms is closed, consistent and cannot be changed."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15

from jotgate.jose.algorithms import ALGORITHMS, READABLE, Ecdsa, Eddsa, Hmac, Rsa


def test_the_table_is_closed() -> None:
    families = {f"{family}{bits}" for family in ("ES", "RS", "PS", "HS") for bits in (256, 384, 512)}
    assert set(ALGORITHMS) == {*families, "Ed25519"}
    for name in ("none", "None", "EdDSA", "Ed448", "ES256K", "HS1024", "ML-DSA-44", "es256", ""):
        assert name not in ALGORITHMS


def test_one_old_name_can_be_read() -> None:
    assert READABLE.keys() - ALGORITHMS.keys() == {"EdDSA"}
    assert READABLE["EdDSA"] is READABLE["Ed25519"] is ALGORITHMS["Ed25519"]


def test_neither_the_table_nor_a_row_can_be_changed() -> None:
    with pytest.raises(TypeError):
        ALGORITHMS["none"] = ALGORITHMS["ES256"]  # type: ignore[index]
    with pytest.raises(TypeError):
        READABLE["none"] = ALGORITHMS["ES256"]  # type: ignore[index]
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
        hash_bytes, padding = row.scheme.hash.digest_size, row.scheme.padding
        assert isinstance(padding, PSS if name.startswith("PS") else PKCS1v15)
        if isinstance(padding, PSS):
            assert padding._salt_length == hash_bytes  # RFC 7518 s3.5
            assert padding.mgf._algorithm is row.scheme.hash
            assert row.key_bits_min - 1 >= 8 * 2 * hash_bytes + 9  # RFC 8017 s9.1.1
    if not isinstance(row.scheme, Eddsa):
        assert str(row.scheme.hash.digest_size * 8) == name[2:]


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_prime_and_order_are_those_of_the_curve(name: str) -> None:
    scheme = ALGORITHMS[name].scheme
    assert isinstance(scheme, Ecdsa)
    base = ec.derive_private_key(1, scheme.group).public_key().public_numbers()
    last = ec.derive_private_key(scheme.order - 1, scheme.group).public_key().public_numbers()
    assert (last.x, last.y) == (base.x, scheme.prime - base.y)  # (n - 1) G = -G
    assert scheme.size == (scheme.prime.bit_length() + 7) // 8

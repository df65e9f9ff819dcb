"""Moduli of the flawed generator are known by their residues, and no others are taken for such."""

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from jotgate.errors import KeyRefused
from jotgate.jose.imports import read_key
from jotgate.jose.weak_moduli import is_of_flawed_generator
from tests.flawed import flawed_key


def test_a_key_of_the_flawed_generator_is_refused_in_every_form() -> None:
    key = flawed_key()
    assert is_of_flawed_generator(key.public_key().public_numbers().n)
    forms = (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
    for pem in forms:
        with pytest.raises(KeyRefused, match="CVE-2017-15361"):
            read_key(pem, "RS256")


def test_keys_of_a_good_generator_are_not_taken_for_such() -> None:
    for bits in (2048, 2048, 2048, 3072):
        assert not is_of_flawed_generator(rsa.generate_private_key(65_537, bits).public_key().public_numbers().n)
    assert not any(is_of_flawed_generator(secrets.randbits(2048) | 1) for _ in range(5_000))


@given(st.integers(2**2047, 2**2048))
def test_other_moduli_are_not_taken_for_such(number: int) -> None:
    assert not is_of_flawed_generator(number)


@given(st.integers(0, 2**2048))
def test_each_power_of_the_base_has_the_mark(exponent: int) -> None:
    """What is left of such a modulus modulo the small primes is a product of two powers, which is a power."""
    assert is_of_flawed_generator(pow(65_537, exponent % 10_000))

"""A public key is no secret, in no form that can be told from random bytes."""

import secrets
from base64 import b64encode, encodebytes, urlsafe_b64encode

import pytest

from jotgate.errors import KeyRefused
from jotgate.jose.keys import hmac_key, signing_key_to_pem
from jotgate.jose.public_marks import is_public_key
from jotgate.testing.public_forms import bare_forms, public_forms
from tests import tokens

# What looks like random bytes: a check that knew these would refuse good secrets too.
_LIKE_CHANCE = {"thumbprint", "kid", "jwk_number", "raw_modulus", "raw_compressed_point"}


def marked_forms(alg: str) -> dict[str, bytes]:
    forms = bare_forms(tokens.key(alg))
    return {name: raw for name, raw in forms.items() if name not in _LIKE_CHANCE and len(raw) > 32}


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_public_key_is_known_in_every_form(alg: str) -> None:
    forms = public_forms(tokens.key(alg)) | marked_forms(alg)
    assert [name for name, raw in forms.items() if not is_public_key(raw)] == []
    with pytest.raises(KeyRefused, match="public key"):
        hmac_key(forms["pem_body"], "HS256", "kid")


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_binary_form_is_known_in_base64_and_in_hex(alg: str) -> None:
    binary = {"der": public_forms(tokens.key(alg))["der"], **marked_forms(alg)}
    for name, raw in binary.items():
        url = urlsafe_b64encode(raw)
        written = [b64encode(raw), encodebytes(raw), encodebytes(raw).replace(b"\n", b"\r\n"), url, url.rstrip(b"=")]
        written += [raw.hex().encode(), raw.hex(":").upper().encode(), b"0x" + raw.hex().encode()]
        written += [encodebytes(raw).replace(b"\n", b"\\n"), b" " + b64encode(raw) + b"\n"]
        assert [name for one in written if not is_public_key(one)] == []


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_the_body_of_a_private_key_is_no_secret_either(alg: str) -> None:
    assert is_public_key(b"".join(signing_key_to_pem(tokens.key(alg)).splitlines()[1:-1]))


@pytest.mark.parametrize("size", [32, 33, 36, 48, 64, 96, 128, 256])
def test_random_bytes_are_taken(size: int) -> None:
    for _ in range(300):
        raw = secrets.token_bytes(size)
        for form in (raw, b64encode(raw), urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode()):
            assert not is_public_key(form)

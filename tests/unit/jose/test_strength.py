"""Secrets that people make up are seen; those that a generator made are not."""

import base64
import random
import string
from collections.abc import Callable
from typing import Final

import pytest

from jotgate.jose.strength import weakness
from tests import tokens

MADE_UP: Final = (
    "your-super-secret-jwt-key-change-this-in-production",
    "your_jwt_secret_key_here_minimum_32_characters",
    "this-is-a-very-long-secret-key-for-signing-tokens-please-change",
    "change-me-change-me-change-me-change-me",
    "0123456789012345678901234567890123456789",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "passwordpasswordpasswordpassword1",
    "P@ssw0rd!P@ssw0rd!P@ssw0rd!P@ssw0rd!X",
    "MySuperSecretKey2024ForProduction!!",
    "qwertyuiopasdfghjklzxcvbnm1234567890",
    "your-256-bit-secret-your-256-bit-secret!",
    "<generate with: openssl rand -hex 32>",
    "deadbeefdeadbeefdeadbeefdeadbeef",
    "00000000000000000000000000000001",
    "secret",
    "",
    " " * 64,
)
SYMBOLS: Final = string.ascii_letters + string.digits
GENERATORS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "openssl rand -hex 32": lambda chance: chance.randbytes(32).hex().encode(),
    "openssl rand -hex 16": lambda chance: chance.randbytes(16).hex().encode(),
    "openssl rand -base64 32": lambda chance: base64.b64encode(chance.randbytes(32)),
    "openssl rand -base64 48": lambda chance: base64.b64encode(chance.randbytes(48)),
    "secrets.token_urlsafe(32)": lambda chance: base64.urlsafe_b64encode(chance.randbytes(32)).rstrip(b"="),
    "letters and digits": lambda chance: "".join(chance.choices(SYMBOLS, k=32)).encode(),
    "small letters": lambda chance: "".join(chance.choices(string.ascii_lowercase, k=32)).encode(),
    "all that is printed": lambda chance: "".join(chance.choices(SYMBOLS + string.punctuation, k=32)).encode(),
    "digits": lambda chance: "".join(chance.choices(string.digits, k=48)).encode(),
    "bytes": lambda chance: chance.randbytes(32),
}


@pytest.mark.parametrize("text", MADE_UP)
def test_a_made_up_secret_is_seen_and_not_repeated(text: str) -> None:
    for form in (text, text.upper(), text.title()):
        said = weakness(form.encode())
        assert said, form
        assert not text or text not in said


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generated_secret_passes(name: str) -> None:
    """Two thousand of each kind, the same in every run; about one in ten thousand of the shortest would not pass."""
    chance = random.Random(7519)  # noqa: S311 # the same in every run
    assert not [made for made in (GENERATORS[name](chance) for _ in range(2_000)) if weakness(made)]


def test_bytes_that_are_no_text_are_taken_for_random_ones() -> None:
    assert weakness(tokens.SECRET) is None
    assert weakness(b"\xff" + b"secret") is None

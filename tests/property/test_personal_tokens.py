"""The form of personal tokens, held against Python's own base64: nothing else is ever looked up (F07)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.opaque import Mark, is_opaque, make_opaque
from jotgate.errors import TokenMalformed, TokenUnresolved
from jotgate.services.personal_cache import PersonalTokens
from jotgate.services.revocation import RevokedSet
from tests.personal import GOOD, finding

_MARK: Final = Mark.PERSONAL.encode()
_SECRETS: Final = st.binary(min_size=32, max_size=32)


def text_of(octets: bytes) -> bytes:
    """The text of these 32 bytes."""
    return make_opaque(Mark.PERSONAL, octets).reveal().encode()


def has_form(text: bytes) -> bool:
    """What another decoder takes for 32 bytes, and writes in the very same way."""
    try:
        octets = urlsafe_b64decode(text[len(_MARK) :] + b"=")
    except (Error, ValueError):
        return False
    return text == _MARK + urlsafe_b64encode(octets).rstrip(b"=") and len(octets) == 32


def is_asked_for(text: bytes) -> bool:
    """Whether control would be asked about a text; it is about the digest of the whole."""
    tokens = PersonalTokens(RevokedSet())
    tokens.limit(4)
    tokens.learn(sha256(GOOD).digest(), finding(), 0)
    try:
        tokens.resolve(text, 0, "::1")
    except TokenMalformed:
        return False
    except TokenUnresolved as miss:
        return miss.digest == sha256(text).digest()
    return text == GOOD


def cut(text: bytes, place: int, other: bytes) -> bytes:
    """The text with something in the place of one of its bytes."""
    return text[:place] + other + text[place + 1 :]


@given(_SECRETS)
def test_F07_every_secret_has_one_text(octets: bytes) -> None:
    text = text_of(octets)
    assert has_form(text)
    assert is_asked_for(text)


@given(_SECRETS, st.integers(0, 48), st.binary(max_size=3))
def test_F07_a_text_with_anything_changed_is_another_token_or_none(octets: bytes, place: int, other: bytes) -> None:
    text = cut(text_of(octets), place, other)
    assert is_asked_for(text) == has_form(text)


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(_MARK.__add__)))
def test_F07_no_other_bytes_are_looked_up(text: bytes) -> None:
    assert is_asked_for(text) == has_form(text)


@given(st.text(max_size=60))
def test_F07_no_other_signs_are_taken_for_those_of_base64(text: str) -> None:
    assert is_opaque(Mark.PERSONAL, Mark.PERSONAL + text) == has_form(_MARK + text.encode("utf-8", "surrogatepass"))

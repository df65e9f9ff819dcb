"""Tells a token or secret that stands where a name should, and says what to do without repeating it."""

import re
from collections.abc import Iterable
from typing import Final

from jotgate.core.opaque import Mark
from jotgate.errors import CommandError, TokenMalformed
from jotgate.jose.encoding import b64url_decode, parse_object

TOKEN_TEXT: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*|jot_[a-z]_[A-Za-z0-9_-]{16,}", re.ASCII
)
"""What looks like a JWT, and what jotgate's opaque tokens and secrets look like, whatever stands around it."""

_WHOLE: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|jot_[a-z]_[A-Za-z0-9_-]{16,}", re.ASCII
)
_PARTS: Final = re.compile(r"(?<![A-Za-z0-9_-])(?=([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*\.)", re.ASCII)
"""The first part of what may be a compact JWS or JWE, wherever in a text that begins."""

_ADVICE: Final = {
    Mark.PERSONAL: "Revoke it by its name: jotgate pat revoke NAME --subject OWNER; see 'jotgate pat list'",
    Mark.REFRESH: "Revoke an access token that came of it: jotgate token revoke JTI --family, or let its client "
    "give it back at /oauth/revoke",
    Mark.CLIENT_SECRET: "Give its client another one: jotgate client rotate-secret NAME",
}
_USUAL: Final = "Give its identifier, the claim 'jti', which 'jotgate token verify' shows"


def holds_token(text: str) -> bool:
    """Whether a token or secret, by its looks, stands somewhere in a text."""
    return TOKEN_TEXT.search(text) is not None


def check_identifiers(texts: Iterable[str]) -> None:
    """Refuse texts in which a token or secret stands. Raises CommandError, which does not repeat it."""
    for text in texts:
        found = TOKEN_TEXT.search(text)
        if found is not None:
            raise token_given(found[0])


def check_foreign_identifiers(texts: Iterable[str]) -> None:
    """Refuse what holds a whole token or secret; anything else may be another issuer's `jti`, dots and all.

    Raises:
        CommandError: it does not repeat it.
    """
    for text in texts:
        found = _WHOLE.search(text)
        if found is not None:
            raise token_given(found[0])
        for parts in _PARTS.finditer(text):
            if _is_header(parts[1]):
                raise token_given(parts[1])


def _is_header(part: str) -> bool:
    """Whether it is a JSON object in base64url (RFC 7515 s3.1)."""
    try:
        parse_object(b64url_decode(part.encode("ascii")), "header")
    except TokenMalformed:
        return False
    return True


def token_given(token: str) -> CommandError:
    """What is said of a token or secret in the place of its identifier."""
    hint = next((advice for mark, advice in _ADVICE.items() if token.startswith(mark)), _USUAL)
    return CommandError("a token or secret does not belong here, where others can read it", hint=hint)

"""Tells a token or secret that stands where a name should, and says what to do without repeating it."""

import re
from collections.abc import Iterable
from typing import Final

from jotgate.core.opaque import Mark
from jotgate.errors import CommandError

TOKEN_TEXT: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*|jot_[a-z]_[A-Za-z0-9_-]{16,}", re.ASCII
)
"""What looks like a JWT, and what jotgate's opaque tokens and secrets look like, whatever stands around it."""

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


def token_given(token: str) -> CommandError:
    """What is said of a token or secret in the place of its identifier."""
    hint = next((advice for mark, advice in _ADVICE.items() if token.startswith(mark)), _USUAL)
    return CommandError("a token or secret does not belong here, where others can read it", hint=hint)

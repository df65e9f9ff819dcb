"""Names under which Coze keeps apart what belongs to different callers; worker and control make the same ones.

Coze sees digests alone: they say of two calls whether they are the same caller's, and of nobody who that is.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from jotgate.core.principals import Principal

LABEL_MAX: Final = 128
DEFAULT_LABEL: Final = "default"
"""The label of a call that brings none."""

_NO_TEXT: Final = "\N{REPLACEMENT CHARACTER}"
_SESSION: Final = "coze session"
_USER: Final = "coze user"


def is_label(text: str) -> bool:
    """Whether a text may name a session below its caller: 1 to 128 printable characters.

    U+FFFD is none: it stands for bytes that were no text, and unlike ones would name one session.
    """
    return 0 < len(text) <= LABEL_MAX and text.isprintable() and _NO_TEXT not in text


def session_name(issuer: str, tenant: str, subject: str, label: str) -> str:
    """The `session_name` of a caller's session: 43 characters of base64url (RFC 4648 s5), stable, without a secret.

    No two different (issuer, tenant, subject, label) have the same, so that a label names a session below its caller
    and never another one's. All four are as the verified token, and its caller, have them.
    """
    return _digest(_SESSION, issuer, tenant, subject, label)


def session_of(principal: Principal, label: str) -> str:
    """The `session_name` of a verified caller's session."""
    return session_name(principal.issuer, principal.tenant, principal.subject, label or DEFAULT_LABEL)


def user_name(principal: Principal) -> str:
    """The `user_id` by which Coze knows a caller: stable, and unlike every session's name."""
    return _digest(_USER, principal.issuer, principal.tenant, principal.subject)


def _digest(*parts: str) -> str:
    """A digest that no two different lists of parts share: each has its length before it."""
    found = sha256()
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        found.update(len(text).to_bytes(8, "big") + text)
    return urlsafe_b64encode(found.digest()).rstrip(b"=").decode("ascii")

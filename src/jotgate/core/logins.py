"""Logins: what an operator's backend says of somebody whom it has authenticated, and what refreshes keep of it."""

import unicodedata
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.claim_values import is_name
from jotgate.core.misplaced import holds_token
from jotgate.errors import OAuthMalformed

CLIENT_MEMBERS: Final = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
"""By what a backend may prove in the body who it is (RFC 6749 s2.3.1, RFC 7523 s2.2)."""

ROLES_MAX: Final = 64
_CHARS_MAX: Final = 256
_MEMBERS: Final = ("sub", "name", "email", "roles")
_TAKEN: Final = frozenset((*_MEMBERS, *CLIENT_MEMBERS))


class Login(Struct, frozen=True, kw_only=True):
    """Of which surface a refresh-token family is, and what its tokens say of whom they speak for, beside roles.

    `face` is the name of that surface's face. `name` and `email` None: nothing.
    """

    face: str
    name: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.face})"


class LoginRequest(Struct, frozen=True, kw_only=True):
    """Whom a backend has authenticated, as it says: the subject, what tokens are to say of them, and their roles."""

    subject: str
    name: str | None = None
    email: str | None = None
    roles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "LoginRequest(…)"


def read_login(members: Mapping[str, object]) -> LoginRequest:
    """Read the body of a login. A role that stands twice counts once.

    Raises:
        OAuthMalformed: a member is missing, is not of its form, or means nothing here: what is not understood is not
            signed.
    """
    unknown = sorted(members.keys() - _TAKEN)
    if unknown:
        shown = f"the member '{unknown[0]}'" if unknown[0].isidentifier() and unknown[0].isascii() else "a member"
        raise OAuthMalformed(f"{shown} of the body means nothing here", hint=f"A login has {', '.join(_MEMBERS)}")
    return LoginRequest(
        subject=_subject(members.get("sub")),
        name=_optional(members, "name"),
        email=_optional(members, "email"),
        roles=_roles(members.get("roles")),
    )


def _subject(value: object) -> str:
    if not _is_short_name(value):
        raise OAuthMalformed(
            f"'sub' is not a text of 1 to {_CHARS_MAX} printable characters without spaces around it",
            hint="Send the identifier of whoever has logged in as 'sub'",
        )
    return _no_secret("sub", value)


def _optional(members: Mapping[str, object], name: str) -> str | None:
    """A text for people, which may have any character but controls; None where there is none."""
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _CHARS_MAX or any(map(_is_control, value)):
        raise OAuthMalformed(
            f"'{name}' is not a text of 1 to {_CHARS_MAX} characters", hint=f"Leave '{name}' out where there is none"
        )
    return _no_secret(name, value)


def _roles(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > ROLES_MAX or not all(map(_is_short_name, value)):
        raise OAuthMalformed(
            f"'roles' is not an array of at most {ROLES_MAX} texts of 1 to {_CHARS_MAX} printable characters"
        )
    return tuple(_no_secret("roles", role) for role in dict.fromkeys(value))


def _is_short_name(value: object) -> bool:
    return is_name(value) and len(value) <= _CHARS_MAX and value == value.strip()


def _is_control(character: str) -> bool:
    """Controls and lone surrogates, of which the latter no database takes."""
    return unicodedata.category(character) in ("Cc", "Cs")


def _no_secret(name: str, value: object) -> str:
    text = str(value)
    if holds_token(text):
        raise OAuthMalformed(f"'{name}' holds a token or secret, which others would read")
    return text

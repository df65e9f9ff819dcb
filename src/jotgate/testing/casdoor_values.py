"""The users of Casdoor's stand-in, as its API and its tokens show them."""

import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

TokenFormat = Literal["JWT", "JWT-Empty", "JWT-Standard", "JWT-Custom"]
"""What an application's tokens say of their user: all, little, the names of OpenID Connect, or what was chosen."""
TokenKind = Literal["access-token", "refresh-token", "id-token"]
FORMATS: Final[tuple[TokenFormat, ...]] = ("JWT", "JWT-Empty", "JWT-Standard", "JWT-Custom")
APPLICATION: Final = "app-kong"


class CasdoorUser(Struct, frozen=True, kw_only=True):
    """A user. `roles` and `permissions` are names; tokens have objects of them. Empty `user_id`: one of the name."""

    name: str
    owner: str = "sharif"
    user_id: str = ""
    display_name: str = ""
    email: str = ""
    password: str = ""
    is_admin: bool = False
    is_forbidden: bool = False
    is_deleted: bool = False
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    properties: Mapping[str, str] = {}

    @property
    def subject(self) -> str:
        """The ID: what tokens have as `sub`."""
        return self.user_id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.owner}/{self.name}"))

    @property
    def whole(self) -> dict[str, Any]:
        """All that Casdoor says of a user, passwords masked."""
        return {
            **self.short,
            "createdTime": "2026-01-05T09:00:00Z",
            "updatedTime": "",
            "type": "normal-user",
            "password": "***",
            "emailVerified": bool(self.email),
            "countryCode": "",
            "region": "",
            "tag": "staff",
            "score": 2000,
            "isOnline": False,
            "isAdmin": self.is_admin,
            "isForbidden": self.is_forbidden,
            "isDeleted": self.is_deleted,
            "signupApplication": APPLICATION,
            "properties": dict(self.properties),
            "roles": [self._named(role) for role in self.roles],
            "permissions": [self._named(permission) for permission in self.permissions],
            "groups": list(self.groups),
        }

    @property
    def short(self) -> dict[str, Any]:
        """What every format but JWT-Standard says."""
        return {
            "owner": self.owner,
            "name": self.name,
            "id": self.subject,
            "displayName": self.display_name or self.name,
            "avatar": "https://cdn.example/avatar.png",
            "email": self.email,
            "phone": "",
        }

    @property
    def standard(self) -> dict[str, Any]:
        """What JWT-Standard says."""
        return {
            "owner": self.owner,
            "preferred_username": self.name,
            "id": self.subject,
            "name": self.display_name or self.name,
            "picture": "https://cdn.example/avatar.png",
            "email": self.email,
            "email_verified": bool(self.email),
            "address": {},
        }

    def _named(self, name: str) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "name": name,
            "createdTime": "2026-01-05T09:00:00Z",
            "displayName": name.title(),
            "description": "",
            "users": None,
            "groups": [],
            "roles": [],
            "domains": [],
            "isEnabled": True,
        }

"""What `jotgate admin token` asks for: a token for the admin API, given by whoever may use the machine's own socket."""

from typing import Final

from msgspec import Struct

from jotgate.core.claims import CLI_CLIENT_ID, AccessGrant
from jotgate.core.resources import admin_resource
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import CommandError

ADMIN_TTL_DEFAULT_S: Final = 3_600
ADMIN_TTL_MAX_S: Final = 86_400


class AdminTokenOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """A token for the admin API. Without `scopes` it may do everything there.

    Raises:
        CommandError: it would live too long, or a scope is none of the admin API.
    """

    ttl_s: int = ADMIN_TTL_DEFAULT_S
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.ttl_s <= ADMIN_TTL_MAX_S:
            raise CommandError("a token for the admin API lives at most 24h", hint="Ask for a shorter --ttl")
        if not ADMIN_SCOPES.issuperset(self.scopes):
            known = ", ".join(sorted(ADMIN_SCOPES))
            raise CommandError("one of the scopes is none of the admin API", hint=f"Its scopes are: {known}")

    def grant(self, issuer: str) -> AccessGrant:
        """What is granted. It speaks for the command itself (RFC 9068 s2.2: nobody else owns what it reaches)."""
        return AccessGrant(
            subject=CLI_CLIENT_ID,
            client_id=CLI_CLIENT_ID,
            scopes=tuple(dict.fromkeys(self.scopes)) or (ADMIN_ALL,),
            audiences=(admin_resource(issuer),),
            ttl_s=self.ttl_s,
        )

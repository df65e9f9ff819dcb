"""Refresh-token families (RFC 9700 s4.14): a lineage of tokens of which one counts, as the store keeps it.

Tokens stand here as SHA-256 digests. Times are whole seconds since the epoch.
"""

from typing import Final

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.durable import PAIRED_BYTES_MAX, check_texts
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.logins import Login
from jotgate.core.quotas import TokenLimit

LATER_MAX: Final = 100
"""So many later tokens are read with one that is looked for. Who is further behind within a grace is too late."""


class Family(Struct, frozen=True, kw_only=True):
    """One family. What is granted to it never grows: `scopes`, `models`, `roles` and `audiences` bound all its tokens.

    `ends_at_s` is its absolute limit; a token that is not used for `idle_s` ends too. `version` counts rotations.
    `ended_at_s` None: it lives. `ancestors`, `origins`, `actors` and `may_act` are those of all its tokens; see
    `Principal`. `voucher` is the issuer, by jotgate's word for it, on whose word it rests whom they speak for; empty:
    none but us. `confirmation` is what whoever refreshes must prove (RFC 9449 s5); None: nothing.
    `limits` are those that all its tokens bring: a fresh one buys nothing. `login` is there if it was begun at a face,
    where alone its tokens count.
    """

    family_id: str
    client_id: str
    subject: str
    tenant: str = DEFAULT_TENANT
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    audiences: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    idle_s: int
    created_at_s: int
    ends_at_s: int
    ended_at_s: int | None = None
    version: int = 0
    ancestors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    may_act: Actor | None = None
    voucher: str = ""
    confirmation: Confirmation | None = None
    limits: tuple[TokenLimit, ...] = ()
    login: Login | None = None

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)

    @property
    def face(self) -> str:
        """The face at whose surface its refresh tokens are taken; empty: the token service."""
        return "" if self.login is None else self.login.face


class RefreshRecord(Struct, frozen=True, kw_only=True):
    """One refresh token of a family. `generation` counts from 0.

    `used_at_s` None: it is the one that counts. `successor` is the text of the next one, encrypted under a key that
    only the text of this one yields; None before it is used, and once nobody may be given it any more.
    """

    digest: bytes
    family_id: str
    generation: int
    issued_at_s: int
    expires_at_s: int
    used_at_s: int | None = None
    successor: bytes | None = None

    def __repr__(self) -> str:
        return f"RefreshRecord({self.family_id}, {self.generation})"


class FoundFamily(Struct, frozen=True):
    """A family, the token of it that was looked for, and the first `LATER_MAX` of later generations, in order.

    There are none for a token without a sealed successor: nobody can be given what came after it.
    """

    family: Family
    token: RefreshRecord
    later: tuple[RefreshRecord, ...] = ()

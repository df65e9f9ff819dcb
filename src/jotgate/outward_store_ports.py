"""The seams to what the store keeps of places outside: logins at upstreams, credentials of Kong, tools of MCP servers.

Each call is what a call of `store_ports` is.
"""

from collections.abc import Sequence
from typing import Protocol

from jotgate.core.kong_credentials import CredentialCounts, KongCredential, TakenAs
from jotgate.core.mcp_pins import KeptPins, ToolPin
from jotgate.core.upstream_logins import UpstreamLogin


class UpstreamLogins(Protocol):
    """What is kept for upstreams, sealed: refresh tokens and secrets, for all callers or for one.

    All raise StoreUnavailable.
    """

    def upstream_login(self, upstream: str, holder: str = "") -> UpstreamLogin | None:
        """The one of the upstream of this name, for one of its callers or (empty) for all."""

    def upstream_logins(self) -> Sequence[UpstreamLogin]:
        """All of them, by the upstream's name and the holder's."""

    def put_upstream_login(self, record: UpstreamLogin) -> int | None:
        """Keep one if it still has the version in `record` (0: there is none); durable when this returns.

        Returns its new version, which none had before; None when somebody else was first.
        """

    def drop_upstream_login(self, upstream: str, holder: str = "") -> bool:
        """Forget the one of an upstream and a holder, whatever its version; whether it was there."""


class KongLedger(Protocol):
    """The credentials that Kong is to have, each a row, and the outbox of what Kong is to be told.

    A row goes `wanted` → `held` → `unwanted` → `gone`, or from `wanted` to `unwanted` at once; never back. All raise
    StoreUnavailable.
    """

    def take_credential(self, record: KongCredential, most: int) -> TakenAs:
        """Keep a new one, as `wanted`; durable when this returns.

        Not done, and said why: its consumer has a living token of its name, or some credential that is not gone has its
        key; a living one of its consumer is another subject's; or its consumer has `most` living ones.
        """

    def kong_credential(self, credential_id: str) -> KongCredential | None:
        """The one with this id, whatever its state."""

    def credentials_for(self, subject: str, after: str, limit: int) -> Sequence[KongCredential]:
        """The first `limit` living ones of a subject by id, behind `after`."""

    def credential_page(self, after: str, limit: int) -> Sequence[KongCredential]:
        """The first `limit` that are not gone by id, behind `after`; all consumers'."""

    def pending_credentials(self, wanted_before_s: int, limit: int) -> Sequence[KongCredential]:
        """At most `limit` that Kong is to be rid of, longest waiting first.

        These are the unwanted, those that came to be `wanted` before this second and were never held: their minting was
        cut short, and nobody has their tokens.
        """

    def count_credentials(self) -> CredentialCounts:
        """How many there are that are held."""

    def hold_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """Say that Kong has these; returns how many were `wanted` until now. The others stay as they are."""

    def unwant_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """Say that Kong is to be rid of these, and erase their secrets; returns how many were living until now."""

    def forsake_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """Say that Kong is rid of these; returns how many were `unwanted` until now. The others stay as they are."""

    def expire_credentials(self, now_s: int, limit: int) -> int:
        """Unwant at most `limit` held ones whose tokens have ended by now; returns how many."""

    def drop_credentials(self, gone_before_s: int, limit: int) -> int:
        """Forget at most `limit` that were gone before this second; returns how many."""


class McpToolRecords(Protocol):
    """What is known of the tools of MCP servers. All raise StoreUnavailable."""

    def tool_pins(self) -> KeptPins:
        """All of them by server and tool, and the version of the whole."""

    def put_tool_pins(self, version: int, changed: Sequence[ToolPin], dropped: Sequence[ToolPin] = ()) -> int | None:
        """Keep new ones and new states of known ones, and forget some, if the whole still has this version.

        Returns the new version; None when somebody else changed one first: read them again and decide anew.
        """

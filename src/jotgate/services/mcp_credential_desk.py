"""Carries out orders about the credentials of MCP servers: the same with a running control and without.

A secret comes in and is kept sealed; none goes out. What cannot be recorded in the audit log is not done.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.mcp_credential_orders import (
    McpCredentialAnswer,
    McpCredentialOrder,
    McpCredentialView,
    credential_view,
)
from jotgate.core.mcp_entries import McpServerEntry, upstream_name
from jotgate.core.mcp_tools import server_of
from jotgate.core.token_grants import KEPT, OF_CALLERS, TokenGrant
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.ports import StoreAccess
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.recorder import Recorder
from jotgate.services.upstream_tokens import Asker, UpstreamTokenKeeper

_SHAPE: Final = (
    'Write kept_credential = "shared" or "user" into its [[mcp.servers]], or grant = "user-login" into its '
    "[mcp.servers.oauth] (docs/mcp.md)"
)
_UNUSED: Final = "the settings have no use for it; erase it: jotgate mcp credential remove"
_ELSEWHERE: Final = "it was got for another client, or at another token endpoint, than the settings name"


class CredentialPlaces(Struct, frozen=True):
    """What the settings in effect say: the servers, and how what they are sent is got, by their upstreams' names."""

    entries: Sequence[McpServerEntry]
    grants: Mapping[str, TokenGrant]


class McpCredentialDesk:
    """Takes orders. Immutable. `keeper` is None where no control runs: nobody holds any then."""

    def __init__(
        self,
        settings: Callable[[], CredentialPlaces],
        kept: StoredRefreshTokens,
        access: StoreAccess,
        recorder: Recorder,
        *,
        keeper: UpstreamTokenKeeper | None,
    ) -> None:
        self._settings = settings
        self._kept = kept
        self._access = access
        self._recorder = recorder
        self._keeper = keeper

    async def carry_out(self, order: McpCredentialOrder, actor: str = CLI_CLIENT_ID) -> McpCredentialAnswer:
        """Do what `actor` orders, and say what is kept then.

        Raises:
            CommandError: there is no such server, or it has no use for such a credential; or nothing is kept.
            DirectoryRefused, RecordChanged, StoreUnavailable, AuditUnavailable: it cannot be kept or recorded.
        """
        replaced = False
        if order.action == "set":
            replaced = await self._set(order, actor)
        elif order.action == "remove":
            await self._remove(order, actor)
            replaced = True
        return McpCredentialAnswer(
            credentials=await self._views(order.server), running=self._keeper is not None, replaced=replaced
        )

    async def _set(self, order: McpCredentialOrder, actor: str) -> bool:
        grant = self._grant(order)
        self._recorder.check()
        before = await self._kept.log_in(grant, Secret(order.secret), order.holder)
        details = {"server": order.server, "grant": grant.kind, "replaced": "yes" if before else "no"}
        self._recorder.record("mcp.credential_set", actor=actor, subject=order.holder, details=details)
        self._clear(grant.upstream, order.holder, actor)
        return before is not None

    async def _remove(self, order: McpCredentialOrder, actor: str) -> None:
        name = upstream_name(order.server)
        record = await self._access.run(lambda store: store.upstream_login(name, order.holder))
        if record is None:
            whose = f" for '{order.holder}'" if order.holder else ""
            raise CommandError(
                f"no credential of the server '{order.server}' is kept{whose}",
                hint="Look at 'jotgate mcp credential list'",
            )
        self._recorder.check()
        await self._kept.forget(name, order.holder)
        details = {"server": order.server}
        self._recorder.record("mcp.credential_removed", actor=actor, subject=order.holder, details=details)
        self._clear(name, order.holder, actor)

    def _clear(self, upstream: str, holder: str, actor: str) -> None:
        """What was sent before is sent no more, and whoever asks next has what is kept now."""
        if self._keeper is not None:
            self._keeper.clear(upstream, holder or None, Asker(actor, holder))

    def _grant(self, order: McpCredentialOrder) -> TokenGrant:
        """How what is kept is used. Raises CommandError."""
        settings = self._settings()
        if all(one.name != order.server for one in settings.entries):
            names = ", ".join(one.name for one in settings.entries)
            raise CommandError(
                f"the settings name no MCP server '{order.server}'",
                hint=f"Name one of: {names}" if names else "Write it into jotgate.toml: [[mcp.servers]] (docs/mcp.md)",
            )
        grant = settings.grants.get(upstream_name(order.server))
        if grant is None or not (grant.keeps or grant.kind == "user-login"):
            raise CommandError(f"nothing is kept for the server '{order.server}' by its settings", hint=_SHAPE)
        if (grant.kind in OF_CALLERS) != bool(order.holder):
            wants = grant.kind in OF_CALLERS
            raise CommandError(
                f"the server '{order.server}' has {'a credential of each caller' if wants else 'one for all callers'}",
                hint="Say whose it is: --subject NAME" if wants else "Leave --subject out",
            )
        return grant

    async def _views(self, server: str) -> list[McpCredentialView]:
        grants = self._settings().grants
        records = await self._access.run(lambda store: store.upstream_logins())
        named = [(server_of(record.upstream), record) for record in records]
        return [
            self._view(record, name, grants.get(record.upstream))
            for name, record in named
            if name and server in ("", name)
        ]

    def _view(self, record: UpstreamLogin, server: str, grant: TokenGrant | None) -> McpCredentialView:
        fault, unused = record.fault or self._kept.fault_of(record), False
        if grant is None or (grant.kind in OF_CALLERS) != bool(record.holder) or (record.origin == KEPT) != grant.keeps:
            fault, unused = _UNUSED, True
        elif (record.client_id, record.token_url) != (grant.client_id, grant.token_url):
            fault = _ELSEWHERE
        kind: Literal["secret", "refresh token"] = "secret" if record.origin == KEPT else "refresh token"
        return credential_view(record, server, kind, fault, unused=unused)

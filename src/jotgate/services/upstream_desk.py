"""Carries out what an operator orders about the credentials of upstreams: the same with a running control and without.

A refresh token comes in and is kept sealed; none goes out. What cannot be recorded in the audit log is not done.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.config import UpstreamEntry
from jotgate.core.mcp_tools import server_of
from jotgate.core.token_grants import TokenGrant
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.core.upstream_orders import (
    LoginView,
    TokensView,
    UpstreamAnswer,
    UpstreamOrder,
    UpstreamView,
    credential_of,
    is_configured,
    login_view,
    names_of,
)
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.ports import Clock, StoreAccess
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.recorder import Recorder
from jotgate.services.upstream_tokens import Asker, UpstreamTokenKeeper

_ELSEWHERE: Final = "it was got for another client, or at another token endpoint, than the settings name; log in again"
_UNUSED: Final = "the settings have no use for it; erase it: jotgate upstream logout"
_UNNAMED: Final = "the settings name no such upstream; erase it: jotgate upstream logout"
_SHAPE: Final = (
    'Write into its [[upstreams]] a table [upstreams.oauth] with grant = "refresh-token" and the client_id of your app '
    "(docs/upstream-credentials.md)"
)


class UpstreamSettings(Struct, frozen=True):
    """What the settings in effect say: the upstreams' entries, and the grants by upstream name."""

    entries: Sequence[UpstreamEntry]
    grants: Mapping[str, TokenGrant]


class UpstreamDesk:
    """Takes orders. Immutable. `keeper` is None where no control runs: nobody holds tokens then."""

    def __init__(
        self,
        settings: Callable[[], UpstreamSettings],
        kept: StoredRefreshTokens,
        access: StoreAccess,
        recorder: Recorder,
        clock: Clock,
        *,
        keeper: UpstreamTokenKeeper | None,
    ) -> None:
        self._settings = settings
        self._kept = kept
        self._access = access
        self._recorder = recorder
        self._clock = clock
        self._keeper = keeper

    async def carry_out(self, order: UpstreamOrder, actor: str = CLI_CLIENT_ID) -> UpstreamAnswer:
        """Do what `actor` orders, and say how things are then.

        Raises:
            CommandError: there is no such upstream, or nobody logs in for it; or out of it, who was not in.
            DirectoryRefused, RecordChanged, StoreUnavailable, AuditUnavailable: it cannot be kept or recorded.
        """
        replaced = False
        if order.action == "log-in":
            replaced = await self._log_in(order, actor)
        elif order.action == "log-out":
            await self._log_out(order.upstream, actor)
            replaced = True
        return UpstreamAnswer(await self._views(), running=self._keeper is not None, replaced=replaced)

    async def _log_in(self, order: UpstreamOrder, actor: str) -> bool:
        grant = self._grant(order)
        self._recorder.check()
        before = await self._kept.log_in(grant, Secret(order.refresh_token))
        details = {"upstream": grant.upstream, "client_id": grant.client_id, "replaced": "yes" if before else "no"}
        self._recorder.record("upstream.logged_in", actor=actor, details=details)
        self._clear(grant.upstream, actor)
        return before is not None

    async def _log_out(self, name: str, actor: str) -> None:
        record = await self._access.run(lambda store: store.upstream_login(name))
        if record is None:
            raise CommandError(
                f"no refresh token is kept for an upstream '{name}'", hint="Look at 'jotgate upstream list'"
            )
        self._recorder.check()
        await self._kept.forget(name)
        details = {"upstream": name, "client_id": record.client_id}
        self._recorder.record("upstream.logged_out", actor=actor, details=details)
        self._clear(name, actor)

    def _clear(self, name: str, actor: str) -> None:
        """What was got by the refresh token before is used no more, and whoever asks next has a new one got."""
        if self._keeper is not None:
            self._keeper.clear(name, None, Asker(actor))

    def _grant(self, order: UpstreamOrder) -> TokenGrant:
        """The grant that somebody logs in for."""
        settings = self._settings()
        entry = find_login(settings.entries, order.upstream)
        grant = settings.grants.get(entry.name)
        if grant is None or (grant.client_id, grant.token_url) != (order.client_id, order.token_url):
            raise CommandError(
                f"the running jotgate has other settings for the upstream '{entry.name}' than this command",
                hint="Give this command the same --config; 'jotgate status' says when jotgate has read its own",
            )
        return grant

    async def _views(self) -> list[UpstreamView]:
        settings = self._settings()
        records = await self._access.run(lambda store: store.upstream_logins())
        # What is kept for MCP servers has commands of its own.
        kept = {record.upstream: record for record in records if not server_of(record.upstream)}
        standings = {} if self._keeper is None else {one.upstream: one for one in self._keeper.standings()}
        views = [
            self._view(entry, settings.grants.get(entry.name), kept.pop(entry.name, None), standings.get(entry.name))
            for entry in settings.entries
        ]
        views += [UpstreamView(name=name, login=login_view(record, _UNNAMED)) for name, record in kept.items()]
        return sorted(views, key=lambda view: view.name)

    def _view(
        self,
        entry: UpstreamEntry,
        grant: TokenGrant | None,
        record: UpstreamLogin | None,
        standing: TokenStanding | None,
    ) -> UpstreamView:
        return UpstreamView(
            name=entry.name,
            kind=entry.kind,
            url=entry.base_url,
            credential=credential_of(entry),
            configured=is_configured(entry),
            client_id="" if grant is None else grant.client_id,
            token_url="" if grant is None else grant.token_url,
            login=None if record is None else self._login(record, grant),
            tokens=None if standing is None else self._tokens(standing),
        )

    def _login(self, record: UpstreamLogin, grant: TokenGrant | None) -> LoginView:
        fault = self._kept.fault_of(record)
        if grant is None or grant.kind != "refresh-token":
            fault = _UNUSED
        elif (record.client_id, record.token_url) != (grant.client_id, grant.token_url):
            fault = _ELSEWHERE
        elif record.ends_at_s is not None and record.ends_at_s <= self._clock.now_s():
            fault = "it has ended; log in again"
        return login_view(record, fault)

    def _tokens(self, standing: TokenStanding) -> TokensView:
        assert self._keeper is not None, "whoever has standings has a keeper"
        status = self._keeper.status(standing.upstream, "")
        return TokensView(
            sessions=standing.sessions,
            is_valid=status.is_valid,
            expires_in_s=status.expires_in_s,
            obtained=standing.obtained,
            failed=standing.failed,
            last_obtained_s=int(standing.obtained_at_s),
            key_id=standing.key_id,
            second=standing.second,
            fault=standing.fault,
            failing_since_s=int(standing.failing_since_s),
        )


def find_login(entries: Sequence[UpstreamEntry], name: str) -> UpstreamEntry:
    """The entry of an upstream that somebody logs in for.

    Raises:
        CommandError: there is none of this name, or its tokens are got in another way.
    """
    entry = next((one for one in entries if one.name == name), None)
    others = names_of(entries)
    hint = f"Name one of: {', '.join(others)}" if others else _SHAPE
    if entry is None:
        raise CommandError(f"the settings name no upstream '{name}'", hint=hint)
    if entry.oauth is None or entry.oauth.grant != "refresh-token":
        used = credential_of(entry)
        raise CommandError(f"nobody logs in for the upstream '{name}': its credential is '{used}'", hint=hint)
    if is_configured(entry):
        raise CommandError(
            f"the settings name a refresh token for the upstream '{name}', and one never stands in for the other",
            hint="Take refresh_token_env or refresh_token_file out of its [upstreams.oauth], and log in then",
        )
    return entry

"""Logins at a stand-in of Coze, whose refresh tokens die on use, through starts, crashes and logouts of control."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from jotgate.assembly.system import SystemClock
from jotgate.control.token_web import TokenWeb
from jotgate.core.config import UpstreamEntry
from jotgate.core.coze_login import places_of
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder, UpstreamView
from jotgate.core.upstream_tokens import HeldToken, TokenLacking
from jotgate.core.values import Secret
from jotgate.errors import StoreUnavailable
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.recorder import Recorder
from jotgate.services.token_exchanges import TokenExchanges
from jotgate.services.upstream_desk import UpstreamDesk, UpstreamSettings
from jotgate.services.upstream_login import Applicant, Surroundings, log_in_by_device
from jotgate.services.upstream_tokens import UpstreamTokenKeeper
from jotgate.store_ports import Store
from jotgate.stores.files import PrivateFiles
from jotgate.stores.memory import MemoryStore
from jotgate.testing.coze import CozeServer
from jotgate.testing.coze_told import APP_ID
from tests.loops import on_loop
from tests.token_keeping import FixedEntropy, MemoryLog

_Result = TypeVar("_Result")
_MASTER: Final = Secret("0123456789abcdef" * 4)
_REFRESH: Final = {"grant": "refresh-token", "client_id": APP_ID}


class Control:
    """One control process. Mutable: whether the store answers it, and when it stops to."""

    def __init__(self, coze: CozeServer, store: Store) -> None:
        self.coze = coze
        self.store = store
        self.cut = False
        self.cut_by_answer = False
        self.clock = SystemClock()
        self.log = MemoryLog()
        self.told_cleared: list[str] = []
        entry = {"name": "coze", "kind": "coze", "base_url": coze.url, "models": {"a": "bot:7"}, "oauth": _REFRESH}
        entries = (msgspec.convert(entry, UpstreamEntry),)
        self.grant = compile_grants(entries, {}, {})["coze"]
        settings = UpstreamSettings(entries, {"coze": self.grant})
        seals = TextSeals(_MASTER, PrivateFiles(Path("/nowhere")))
        recorder = Recorder(self.log, self.clock)
        self.kept = StoredRefreshTokens(self, seals, self.clock, settings.grants.get, pause=asyncio.sleep, shared=False)
        exchanges = TokenExchanges(self.clock, FixedEntropy(), self, self.kept, asyncio.sleep)
        self.keeper = UpstreamTokenKeeper(self.clock, FixedEntropy(), exchanges, recorder, self)
        self.keeper.follow([self.grant])
        self.desk = UpstreamDesk(lambda: settings, self.kept, self, recorder, self.clock, keeper=self.keeper)

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        """Ask the store (ports.StoreAccess)."""
        if self.cut:
            raise StoreUnavailable("the database does not answer")
        return work(self.store)

    async def post(self, post: Post) -> Answered | Unanswered:
        """Ask the stand-in (ports.TokenEndpoint)."""
        found = await TokenWeb().post(post)
        self.cut = self.cut or self.cut_by_answer
        return found

    def cleared(self, upstream: str, session: str | None) -> None:
        """Take what workers are told (services.upstream_tokens.TokenNews)."""
        self.told_cleared.append(upstream)

    def failing(self, upstream: str, fault: str) -> None:
        """Take what the operator is told."""

    async def wait(self, span_s: float) -> None:
        """Let time pass at the stand-in."""
        self.coze.advance(span_s)

    async def log_in(self) -> UpstreamAnswer:
        applicant = Applicant(APP_ID, places_of(self.grant.token_url))
        around = Surroundings(self, self.clock, FixedEntropy(), self.wait)
        token = await log_in_by_device(applicant, around, lambda code: self.coze.approve(code.user_code))
        return await self.order("log-in", token.reveal())

    async def order(self, action: str, token: str = "") -> UpstreamAnswer:
        members = {"action": action, "upstream": "coze", "client_id": APP_ID, "token_url": self.grant.token_url}
        return await self.desk.carry_out(msgspec.convert({**members, "refresh_token": token}, UpstreamOrder))

    async def view(self) -> UpstreamView:
        (found,) = (await self.order("list")).upstreams
        return found

    async def token(self) -> str:
        found = await self.keeper.find("coze", "")
        assert isinstance(found, HeldToken), found
        return found.token.reveal()

    async def lacking(self) -> TokenLacking:
        found = await self.keeper.find("coze", "")
        assert isinstance(found, TokenLacking)
        return found


@on_loop
async def test_a_login_lasts_through_renewals_and_starts_until_the_logout() -> None:
    async with CozeServer() as coze:
        first = Control(coze, MemoryStore())
        assert "jotgate upstream login coze" in (await first.lacking()).cause
        await first.log_in()
        tokens = {await first.token()}
        for _ in range(2):
            tokens.add((await first.keeper.renew("coze", "")).token.reveal())
        second = Control(coze, first.store)
        tokens.add(await second.token())
        assert len(tokens) == 4, "each was got by the successor of the refresh token before"

        view = await second.view()
        assert view.tokens is not None
        assert (view.lack, view.tokens.is_valid, view.tokens.obtained) == ("", True, 1)
        assert view.tokens.last_obtained_s > 0
        sent = len(coze.exchanges)
        answer = await second.order("log-out")
        assert (answer.running, second.told_cleared) == (True, ["coze"])
        assert (await second.lacking()).lack == "unconfigured"
        assert len(coze.exchanges) == sent == 5, "nothing of it is sent any more"
        told = b"".join(first.log.lines + second.log.lines) + msgspec.json.encode(answer)
        assert [one for one in tokens if one.encode() in told] == []


@on_loop
async def test_a_login_that_is_replaced_is_not_used_any_more() -> None:
    async with CozeServer() as coze:
        control = Control(coze, MemoryStore())
        await control.log_in()
        before = await control.token()
        assert (await control.log_in()).replaced
        assert control.told_cleared == ["coze", "coze"]
        assert await control.token() != before


@on_loop
async def test_a_store_that_is_away_for_a_moment_costs_nothing() -> None:
    async with CozeServer() as coze:
        control = Control(coze, MemoryStore())
        await control.log_in()
        control.cut_by_answer = True
        await control.token()
        control.cut = control.cut_by_answer = False
        await control.kept.settle()
        assert await Control(coze, control.store).token()


@on_loop
async def test_a_process_that_ends_between_the_answer_and_the_store_says_what_mends_it() -> None:
    async with CozeServer() as coze:
        control = Control(coze, MemoryStore())
        await control.log_in()
        control.cut_by_answer = True
        await control.token()

        later = Control(coze, control.store)
        record = later.store.upstream_login("coze")
        assert record is not None
        assert record.under_way_s is not None, "that it was sent stands there"
        lacking = await later.lacking()
        assert lacking.lack == "refused"
        assert lacking.cause.endswith("log in again: jotgate upstream login coze")
        assert lacking.cause in (await later.view()).lack
        await later.log_in()
        assert await later.token()

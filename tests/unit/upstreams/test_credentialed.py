"""A credential that changes under a call: put in, replaced once on 401, and no refusal told that the next one heals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jotgate.core.calls import Outbound
from jotgate.core.routes import HEALTH, HealthCheck, Upstream
from jotgate.core.upstream_tokens import TokenLacking, hold
from jotgate.core.values import Secret
from jotgate.errors import UpstreamTokenRefused
from jotgate.testing.ports import ManualClock
from jotgate.testing.upstream import Gate, UpstreamServer, unary
from jotgate.upstreams.credential_sources import credentials_of
from jotgate.upstreams.credentialed import CredentialedUpstream
from jotgate.upstreams.credentials import UpstreamTokens
from jotgate.upstreams.openai import OpenAIUpstream
from tests.ears import Ear
from tests.loops import on_loop, until

_CALL = Outbound("chat.completions", b"POST", b"/v1/chat/completions", b"X-Request-Id: r\r\n", b'{"model":"m"}')
_NO = unary(b'{"error":"no"}', 401)
_YES = unary(b'{"ok":true}')


class Stage:
    """An upstream whose credential may change, and control's answers to what is asked."""

    def __init__(self, server: UpstreamServer, **upstream: object) -> None:
        self.server = server
        self.clock = ManualClock()
        self.asked: list[bytes] = []
        self.texts = ["first", "second", "third"]
        loop = asyncio.get_running_loop()
        self.tokens = UpstreamTokens(self.clock, self._ask, loop.call_soon)
        made = Upstream("u", "openai", server.base_url, **upstream)  # type: ignore[arg-type]
        self.inner = OpenAIUpstream(made, loop)
        credentials = credentials_of(made, self.tokens, self.clock)
        self.port = CredentialedUpstream(made, self.inner, credentials, loop.call_soon)

    def _ask(self, upstream: str, session: str, refused: bytes) -> None:
        assert (upstream, session) == ("u", "")
        self.asked.append(refused)
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        now_s = self.clock.now_s()
        if self.texts:
            self.tokens.answered("u", "", hold(Secret(self.texts.pop(0)), now_s + 900, now_s))
        else:
            self.tokens.answered("u", "", None, TokenLacking("refused", "it says no"))

    @property
    def shown(self) -> list[str]:
        """The credentials that the upstream was shown."""
        return [one.headers.get("authorization", "").removeprefix("Bearer ") for one in self.server.requests]

    async def call(self, outbound: Outbound = _CALL) -> Ear:
        """One call, to its end."""
        ear = Ear()
        self.port.begin(outbound, ear)
        await ear.until_over()
        return ear


@asynccontextmanager
async def stage(*script: object, **upstream: object) -> AsyncIterator[Stage]:
    """A stage whose upstream answers so."""
    async with UpstreamServer(*script) as server:  # type: ignore[arg-type]
        server.default = _YES
        made = Stage(server, **(upstream or {"exchanged": True}))
        yield made
        made.inner.pool.retire()


@on_loop
async def test_a_token_is_put_in_and_kept_for_the_next_call() -> None:
    async with stage() as there:
        for _ in range(3):
            assert _status(await there.call()) == 200
        assert there.shown == ["first"] * 3
        assert there.asked == [b""]
        assert there.server.requests[0].body == _CALL.body
        assert there.server.requests[0].headers["x-request-id"] == "r"


@on_loop
async def test_a_refused_token_is_replaced_once_and_the_caller_sees_nothing_of_it() -> None:
    async with stage(_NO) as there:
        ear = await there.call()
        assert (_status(ear), ear.body) == (200, b'{"ok":true}')
        assert there.shown == ["first", "second"]
        await there.call()
        assert there.shown == ["first", "second", "second"]


@on_loop
async def test_the_second_refusal_is_told_and_that_token_is_not_sent_again() -> None:
    async with stage(_NO, _NO) as there:
        ear = await there.call()
        assert (_status(ear), ear.body) == (401, b'{"error":"no"}')
        assert there.shown == ["first", "second"]
        assert _status(await there.call()) == 200
        assert there.shown == ["first", "second", "third"]


@on_loop
async def test_two_calls_that_meet_the_refusal_at_once_make_one_renewal() -> None:
    gate = Gate()
    async with stage([gate, *_NO], [gate, *_NO]) as there:
        ears = [Ear(), Ear()]
        for ear in ears:
            there.port.begin(_CALL, ear)
        await there.server.until_requests(2)
        gate.open()
        for ear in ears:
            await ear.until_over()
        assert [_status(ear) for ear in ears] == [200, 200]
        assert len(there.asked) == 2
        assert sorted(there.shown) == ["first", "first", "second", "second"]


@on_loop
async def test_a_call_without_a_token_fails_unsent() -> None:
    async with stage() as there:
        there.texts = []
        ear = await there.call()
        assert isinstance(ear.error, UpstreamTokenRefused)
        assert "it says no" in ear.error.message
        assert ear.written is False
        assert there.server.requests == []


@on_loop
async def test_who_gives_up_while_waiting_hears_nothing_and_sends_nothing() -> None:
    async with stage() as there:
        ear = Ear()
        exchange = there.port.begin(_CALL, ear)
        assert exchange.stop() == "over"
        exchange.abort()
        await until(lambda: bool(there.tokens) and there.tokens.waiting == 0)
        assert there.server.requests == []
        assert not ear.over


@on_loop
async def test_the_other_static_key_stands_in_for_one_that_is_refused_and_goes_first_from_then_on() -> None:
    keys = {"credential": Secret("old"), "other_credential": Secret("new")}
    async with stage(_NO, **keys) as there:
        assert _status(await there.call()) == 200
        assert _status(await there.call()) == 200
        assert there.shown == ["old", "new", "new"]
        there.server.script.append(_NO)
        assert _status(await there.call()) == 200
        assert there.shown[3:] == ["new", "old"]
        assert _status(await there.call()) == 200
        assert there.shown[5:] == ["old"]


@on_loop
async def test_both_static_keys_refused_is_told() -> None:
    keys = {"credential": Secret("old"), "other_credential": Secret("new")}
    async with stage(_NO, _NO, **keys) as there:
        assert _status(await there.call()) == 401
        assert there.shown == ["old", "new"]


@on_loop
async def test_a_health_check_shows_the_credential_too() -> None:
    async with stage(exchanged=True, health=HealthCheck("/health")) as there:
        assert _status(await there.call(Outbound(HEALTH, b"GET", b"/health", b"", b""))) == 200
        assert there.shown == ["first"]


@on_loop
async def test_a_slow_caller_slows_the_upstream_that_is_asked_later() -> None:
    async with stage() as there:
        ear = Ear()
        exchange = there.port.begin(_CALL, ear)
        exchange.pause()
        await there.server.until_requests(1)
        assert not ear.over
        exchange.resume()
        await ear.until_over()
        assert _status(ear) == 200


def _status(ear: Ear) -> int:
    assert ear.head is not None
    return ear.head.status

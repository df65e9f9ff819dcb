"""Refresh tokens that were sent: what comes of them is kept, whether anybody still waits for it or not."""

import asyncio
import json
from typing import Final

from jotgate.core.token_exchange import Answered, Handout, KeptRefreshToken, Post, Unanswered
from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.services.token_exchanges import TokenExchanges
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop, until

GRANT: Final = TokenGrant(
    upstream="coze", kind="refresh-token", token_url="https://t.example/token", client_id="app", dialect="coze"
)
ANSWER: Final = {"access_token": "czu_x", "refresh_token": "second", "expires_in": 900, "token_type": "Bearer"}


class Gated:
    """A token endpoint (ports.TokenEndpoint) that answers when its gate is open. Mutable: that, and who has come."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.came = asyncio.Event()

    async def post(self, post: Post) -> Answered | Unanswered:
        self.came.set()
        await self.gate.wait()
        return Answered(200, Secret(json.dumps(ANSWER)))


class Kept:
    """Refresh tokens that are kept (ports.KeptRefreshTokens). Mutable: they are."""

    def __init__(self) -> None:
        self.token = Secret("first")

    async def read(self, upstream: str, holder: str = "") -> KeptRefreshToken | None:
        return KeptRefreshToken(self.token, GRANT.origin, 0.0)

    async def keep(self, upstream: str, kept: KeptRefreshToken, holder: str = "") -> None:
        await asyncio.sleep(0)
        self.token = kept.token

    async def fail(self, upstream: str, holder: str, fault: str) -> None:
        raise AssertionError("it is not refused")

    async def forget(self, upstream: str, holder: str = "") -> None:
        raise AssertionError("nobody logs out")


class Chance:
    """Bytes that look random (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return bytes(count)


def exchanges(endpoint: Gated, kept: Kept) -> TokenExchanges:
    return TokenExchanges(ManualClock(), Chance(), endpoint, kept, asyncio.sleep)


@on_loop
async def test_the_successor_is_kept_before_the_access_token_is_handed_out() -> None:
    endpoint, kept = Gated(), Kept()
    endpoint.gate.set()
    outcome = await exchanges(endpoint, kept).run(GRANT, "")
    assert isinstance(outcome, Handout)
    assert kept.token == Secret("second")


@on_loop
async def test_a_stop_in_the_middle_of_an_exchange_waits_for_the_successor() -> None:
    endpoint, kept = Gated(), Kept()
    found = exchanges(endpoint, kept)
    running = asyncio.create_task(found.run(GRANT, ""))
    await endpoint.came.wait()
    running.cancel()
    settling = asyncio.create_task(found.settle())
    await until(running.done)
    assert not settling.done()
    endpoint.gate.set()
    await settling
    assert kept.token == Secret("second")


@on_loop
async def test_a_stop_with_nothing_under_way_waits_for_nothing() -> None:
    await exchanges(Gated(), Kept()).settle()

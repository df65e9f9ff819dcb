"""Exchanges against what refuses wrong ones: Coze's stand-in, which verifies every JWT, and refresh tokens that die."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from jotgate.assembly.system import SystemClock
from jotgate.control.token_web import TokenWeb
from jotgate.core.token_exchange import Declined, Handout, KeptRefreshToken, NotNow
from jotgate.core.token_grants import LOGIN, AssertionKey, TokenGrant
from jotgate.core.values import Secret
from jotgate.services.token_exchanges import TRIES, TokenExchanges, Unasked
from jotgate.testing.coze import CozeServer
from jotgate.testing.coze_told import ACCOUNT_ID, APP_ID, ENTERPRISE_ID
from jotgate.testing.coze_values import Fault
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop
from tests.token_keeping import FixedEntropy, HandEndpoint, HandRefreshTokens, granted, refused

_BASE = "/api/permission/oauth2"
_LOGIN = TokenGrant(
    upstream="coze", kind="refresh-token", dialect="coze", token_url="https://api.coze.example/t", client_id="c"
)
_NO_KEY = AssertionKey(Secret("-----BEGIN PRIVATE KEY-----\nno\n"), "none")
_CONFIGURED = replace(_LOGIN, refresh_token=Secret("configured"))


@asynccontextmanager
async def coze() -> AsyncIterator[tuple[CozeServer, TokenExchanges, TokenGrant]]:
    """The stand-in, what asks it, and a grant that it takes."""
    async with CozeServer() as server:
        exchanges = TokenExchanges(SystemClock(), FixedEntropy(), TokenWeb(), HandRefreshTokens(), _no_pause)
        yield server, exchanges, grant_at(server)


def grant_at(server: CozeServer, *keys: AssertionKey) -> TokenGrant:
    """A grant that the stand-in takes."""
    return TokenGrant(
        upstream="coze",
        kind="coze",
        dialect="coze",
        token_url=f"{server.url}{_BASE}/token",
        client_id=APP_ID,
        keys=keys or (AssertionKey(Secret(server.private_key_pem), server.key_id),),
    )


async def _no_pause(span_s: float) -> None:
    await asyncio.sleep(0)


class Refreshing:
    """Exchanges with a token endpoint that a test answers by hand."""

    def __init__(self) -> None:
        self.endpoint = HandEndpoint()
        self.kept = HandRefreshTokens()
        self.clock = ManualClock()
        self.exchanges = TokenExchanges(self.clock, FixedEntropy(), self.endpoint, self.kept, _no_pause)

    def sent(self) -> list[str]:
        """The refresh tokens that were sent."""
        return [one.body.reveal().partition('"refresh_token":"')[2].partition('"')[0] for one in self.endpoint.posts]


@on_loop
async def test_coze_gives_a_token_for_a_session_and_says_when_it_ends_by_a_time() -> None:
    async with coze() as (server, exchanges, grant):
        outcome = await exchanges.run(replace(grant, duration_s=1200), "session-1")
        assert isinstance(outcome, Handout)
        assert outcome.token.reveal() == server.valid_tokens[-1]
        assert 1190 <= outcome.ends_s - SystemClock().now_s() <= 1201
        (seen,) = server.exchanges
        assert (seen.session, seen.key_id, seen.error, seen.duration_s) == ("session-1", server.key_id, "", 1200)


@pytest.mark.parametrize("relative", [False, True])
@on_loop
async def test_each_assertion_is_another_one_so_that_none_is_refused_as_used(relative: bool) -> None:
    async with coze() as (server, exchanges, grant):
        server.relative_expiry = relative
        for _ in range(3):
            assert isinstance(await exchanges.run(grant, "s"), Handout)
        assert len(server.valid_tokens) == 3


@pytest.mark.parametrize("below", [f"/account/{ACCOUNT_ID}", f"/enterprise_id/{ENTERPRISE_ID}"])
@on_loop
async def test_accounts_and_enterprises_have_token_endpoints_of_their_own(below: str) -> None:
    async with coze() as (server, exchanges, grant):
        outcome = await exchanges.run(replace(grant, token_url=f"{server.url}{_BASE}{below}/token"), "")
        assert isinstance(outcome, Handout)
        assert server.exchanges[-1].target == f"{_BASE}{below}/token"


@on_loop
async def test_scope_and_session_context_reach_coze() -> None:
    async with coze() as (server, exchanges, grant):
        scope = '{"account_permission":{"permission_list":["Connector.botChat"]}}'
        told = replace(grant, scope=scope, device_id="d-1", custom_consumer="c-1")
        assert isinstance(await exchanges.run(told, ""), Handout)
        seen = server.exchanges[-1]
        assert "Connector.botChat" in seen.scope
        assert "d-1" in seen.context
        assert "c-1" in seen.context


@on_loop
async def test_what_coze_refuses_is_declined_with_its_reason() -> None:
    async with coze() as (server, exchanges, grant):
        for wrong in (replace(grant, audience="api.coze.cn"), replace(grant, client_id="9999")):
            outcome = await exchanges.run(wrong, "")
            assert isinstance(outcome, Declined)
            assert "invalid_client" in outcome.cause
        server.deactivated = True
        outcome = await exchanges.run(grant, "")
        assert isinstance(outcome, Declined)
        assert "deactivated" in outcome.cause


@on_loop
async def test_of_two_key_pairs_the_one_that_coze_has_is_taken() -> None:
    async with coze() as (server, exchanges, _):
        first = AssertionKey(Secret(server.private_key_pem), server.key_id)
        key_id, pem = server.add_key()
        grant = grant_at(server, first, AssertionKey(Secret(pem.replace("\n", "\\n")), key_id))
        assert isinstance(await exchanges.run(grant, ""), Handout)
        assert (server.exchanges[-1].key_id, exchanges.key_in_use(grant)) == (first.key_id, 0)
        server.drop_key(first.key_id)
        assert isinstance(await exchanges.run(grant, ""), Handout)
        assert (server.exchanges[-1].key_id, exchanges.key_in_use(grant)) == (key_id, 1)
        # What was not taken is not tried any more, until the one that is taken is refused as well.
        asked = len(server.exchanges)
        assert isinstance(await exchanges.run(grant, ""), Handout)
        assert len(server.exchanges) == asked + 1
        server.drop_key(key_id)
        assert isinstance(await exchanges.run(grant, ""), Declined)
        assert len(server.exchanges) == asked + 3


@on_loop
async def test_a_key_that_is_none_keeps_nobody_from_the_next_one() -> None:
    async with coze() as (server, exchanges, _):
        key_id, pem = server.add_key()
        grant = grant_at(server, _NO_KEY, AssertionKey(Secret(pem), key_id))
        for _ in range(2):  # A control process that begins anew knows nothing of the one that was taken.
            assert isinstance(await exchanges.run(grant, ""), Handout)
        assert ([one.key_id for one in server.exchanges], exchanges.key_in_use(grant)) == ([key_id, key_id], 1)
        server.drop_key(key_id)
        outcome = await exchanges.run(grant, "")
        assert isinstance(outcome, Declined)
        assert "private key cannot be used" in outcome.cause


@on_loop
async def test_a_next_key_that_is_none_hides_nothing_of_what_was_said_of_the_first() -> None:
    async with coze() as (server, exchanges, _):
        grant = grant_at(server, AssertionKey(Secret(server.private_key_pem), "unregistered"), _NO_KEY)
        outcome = await exchanges.run(grant, "")
        assert isinstance(outcome, Declined)
        assert "key 'unregistered': the token endpoint answered 401" in outcome.cause
        assert "key 'none': the private key cannot be used" in outcome.cause


@on_loop
async def test_a_moment_of_trouble_at_coze_is_tried_through() -> None:
    async with coze() as (server, exchanges, grant):
        server.faults = [Fault(path=f"{_BASE}/token", error="internal_error", status=500, times=TRIES - 1)]
        assert isinstance(await exchanges.run(grant, ""), Handout)
        server.faults = [Fault(path=f"{_BASE}/token", error="internal_error", status=500, times=TRIES)]
        assert isinstance(await exchanges.run(grant, ""), NotNow)


@on_loop
async def test_a_page_of_a_load_balancer_is_no_token() -> None:
    async with coze() as (server, exchanges, grant):
        server.faults = [Fault(ill="page", path=f"{_BASE}/token", status=200)]
        outcome = await exchanges.run(grant, "")
        assert isinstance(outcome, Declined)


@on_loop
async def test_nobody_has_logged_in_is_said_with_the_command_that_does() -> None:
    there = Refreshing()
    outcome = await there.exchanges.run(_LOGIN, "")
    assert isinstance(outcome, Unasked)
    assert "jotgate upstream login coze" in outcome.cause
    assert there.endpoint.posts == []


@on_loop
async def test_each_refresh_token_is_sent_once_and_its_successor_is_kept_before_the_token_is_used() -> None:
    there = Refreshing()
    there.kept.kept["coze"] = KeptRefreshToken(Secret("r-0"), LOGIN, 1.0)
    there.endpoint.default = lambda number: granted(f"czu_{number}", refresh_token=f"r-{number}")
    for _ in range(3):
        assert isinstance(await there.exchanges.run(_LOGIN, ""), Handout)
    assert there.sent() == ["r-0", "r-1", "r-2"]
    assert there.kept.kept["coze"] == KeptRefreshToken(Secret("r-3"), LOGIN, there.clock.now_s())


@on_loop
async def test_a_successor_that_cannot_be_kept_is_used_all_the_same() -> None:
    there = Refreshing()
    there.kept.kept["coze"] = KeptRefreshToken(Secret("r-0"), LOGIN, 1.0)
    there.endpoint.default = lambda number: granted(f"czu_{number}", refresh_token=f"r-{number}")
    there.kept.unwritable = True
    assert isinstance(await there.exchanges.run(_LOGIN, ""), Handout)
    assert isinstance(await there.exchanges.run(_LOGIN, ""), Handout)
    assert there.sent() == ["r-0", "r-1"]
    there.kept.unwritable = False
    assert isinstance(await there.exchanges.run(_LOGIN, ""), Handout)
    assert there.kept.kept["coze"].token == Secret("r-3")


@on_loop
async def test_a_configured_refresh_token_is_followed_by_its_successors_and_by_no_others() -> None:
    there = Refreshing()
    there.kept.kept["coze"] = KeptRefreshToken(Secret("of-a-login"), LOGIN, 1.0)
    there.endpoint.default = lambda number: granted(f"czu_{number}", refresh_token=f"r-{number}")
    assert isinstance(await there.exchanges.run(_CONFIGURED, ""), Handout)
    assert isinstance(await there.exchanges.run(_CONFIGURED, ""), Handout)
    newer = replace(_CONFIGURED, refresh_token=Secret("newer"))
    assert isinstance(await there.exchanges.run(newer, ""), Handout)
    assert there.sent() == ["configured", "r-1", "newer"]


@on_loop
async def test_a_refresh_token_that_is_dead_is_said_with_what_to_do() -> None:
    there = Refreshing()
    there.kept.kept["coze"] = KeptRefreshToken(Secret("r-0-which-is-dead"), LOGIN, 1.0)
    there.endpoint.default = lambda _: refused("invalid_grant", 400, "no such token: r-0-which-is-dead")
    outcome = await there.exchanges.run(_LOGIN, "")
    assert isinstance(outcome, Declined)
    assert "log in again: jotgate upstream login coze" in outcome.cause
    assert "r-0-which" not in outcome.cause


@on_loop
async def test_where_what_is_kept_cannot_be_read_nothing_is_sent() -> None:
    there = Refreshing()
    there.kept.broken = True
    assert isinstance(await there.exchanges.run(_LOGIN, ""), NotNow)
    assert there.endpoint.posts == []

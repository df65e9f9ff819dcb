"""Control's keeper of upstreams' tokens: one for each session, renewed once for all who want it, before it ends."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.core.upstream_tokens import TokenFound, TokenLacking, TokenStatus
from jotgate.core.values import Secret
from jotgate.errors import (
    AuditUnavailable,
    UpstreamTokenRefused,
    UpstreamTokenUnavailable,
    UpstreamTokenUnconfigured,
)
from jotgate.services.upstream_tokens import EXCHANGES_MAX, Asker
from jotgate.upstreams.credentials import UpstreamTokens
from tests.loops import on_loop, until
from tests.token_keeping import NEXT_KEY, KeeperStage, coze_grant, granted, refused

_SESSIONS = [f"session-{number}" for number in range(8)]


@on_loop
async def test_a_thousand_callers_at_expiry_make_one_renewal_per_session_and_none_fails() -> None:
    stage = KeeperStage()
    workers = [stage.worker() for _ in range(4)]
    for worker in workers:
        assert all(isinstance(one, TokenFound) for one in await _need(worker, 1))
    assert len(stage.endpoint.posts) == len(_SESSIONS)
    stage.clock.advance(900.0)
    gate = stage.endpoint.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(_need(worker, 32)) for worker in workers]
    await until(lambda: sum(worker.waiting for worker in workers) == 1_024)
    gate.set()
    outcomes = [one for found in await asyncio.gather(*waiting) for one in found]
    assert len(outcomes) == 1_024
    assert all(isinstance(one, TokenFound) for one in outcomes)
    assert len(stage.endpoint.posts) == 2 * len(_SESSIONS)
    assert len({one.digest for one in outcomes if isinstance(one, TokenFound)}) == len(_SESSIONS)


@on_loop
async def test_a_thousand_callers_whose_token_is_refused_make_one_renewal_per_session() -> None:
    stage = KeeperStage()
    workers = [stage.worker() for _ in range(4)]
    before = [one for worker in workers for one in await _need(worker, 32)]
    old = {one.digest for one in before if isinstance(one, TokenFound)}
    digests = [one.digest for one in before[: len(_SESSIONS)] if isinstance(one, TokenFound)]
    waiting = [asyncio.ensure_future(_need(worker, 32, digests)) for worker in workers]
    outcomes = [one for found in await asyncio.gather(*waiting) for one in found]
    assert len(outcomes) == 1_024
    assert not old & {one.digest for one in outcomes if isinstance(one, TokenFound)}
    assert all(isinstance(one, TokenFound) for one in outcomes)
    assert len(stage.endpoint.posts) == 2 * len(_SESSIONS)


@pytest.mark.parametrize(
    ("life_s", "early_s"), [(86_399, 30), (600, 30), (599, 10), (60, 10), (59, 5), (10, 5)], ids=str
)
@on_loop
async def test_a_token_is_renewed_by_the_band_of_its_life(life_s: int, early_s: int) -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda number: granted(f"czs_{number}", life_s)
    assert await stage.token() == "czs_1"
    stage.clock.advance(life_s - early_s - 0.1)
    assert await stage.token() == "czs_1"
    stage.clock.advance(0.2)
    assert await stage.token() == "czs_2"


@on_loop
async def test_the_token_of_before_is_used_until_five_seconds_before_its_end_while_a_new_one_is_got() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    (first,) = await _ask(worker, "s")
    stage.clock.advance(900 - 30 + 1)
    stage.endpoint.gate = asyncio.Event()
    (meanwhile,) = await _ask(worker, "s")
    assert meanwhile == first  # At once, though the endpoint does not answer.
    await until(lambda: len(stage.endpoint.posts) == 2)
    stage.clock.advance(24)
    late = asyncio.ensure_future(_ask(worker, "s"))
    await until(lambda: worker.waiting == 1)  # In its last five seconds it is sent no more.
    stage.endpoint.gate.set()
    (second,) = await late
    assert isinstance(second, TokenFound)
    assert second != first
    assert len(stage.endpoint.posts) == 2


@pytest.mark.parametrize("absolute", [False, True], ids=["a span", "a time"])
@on_loop
async def test_expires_in_is_a_span_or_a_time(absolute: bool) -> None:
    stage = KeeperStage()
    ends_s = stage.clock.now_s() + 700
    stage.endpoint.default = lambda _: granted("czs_a", ends_s if absolute else 700)
    await stage.token()
    assert stage.keeper.status("coze", "s") == TokenStatus(has_token=True, is_valid=True, expires_in_s=700)
    stage.clock.advance(696)
    assert stage.keeper.status("coze", "s") == TokenStatus(has_token=True, is_valid=False, expires_in_s=4)


@on_loop
async def test_what_is_under_way_when_it_is_cleared_is_given_to_nobody() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    stage.endpoint.gate = asyncio.Event()
    waiting = asyncio.ensure_future(_ask(worker, "s"))
    await until(lambda: len(stage.endpoint.posts) == 1)
    stage.keeper.clear("coze", "s")
    stage.endpoint.gate.set()
    (found,) = await waiting
    assert isinstance(found, TokenFound)
    assert found.token.reveal() == "czs_2_of_the_endpoint"
    # It was handed out all the same, and is on record.
    assert [event for event, *_ in stage.log.events()].count("upstream.token_obtained") == 2


@on_loop
async def test_a_renewal_that_fails_is_told_though_the_token_of_before_is_good() -> None:
    stage = KeeperStage()
    await stage.token()
    stage.endpoint.default = lambda _: refused("access_deny", 403)
    with pytest.raises(UpstreamTokenRefused):
        await stage.keeper.renew("coze", "s")
    assert stage.told_cleared == []
    assert (await stage.token()).startswith("czs_1")


@on_loop
async def test_nothing_is_got_for_an_upstream_without_a_grant() -> None:
    stage = KeeperStage()
    with pytest.raises(UpstreamTokenUnconfigured):
        await stage.keeper.held("other", "s")
    with pytest.raises(UpstreamTokenUnconfigured):
        await stage.keeper.renew("other", "s")
    assert not stage.keeper.is_configured("other")
    assert stage.keeper.status("other", "s") == TokenStatus(has_token=False, is_valid=False, expires_in_s=None)


@on_loop
async def test_what_cannot_be_recorded_is_not_exchanged() -> None:
    stage = KeeperStage()
    stage.log.full = True
    with pytest.raises(UpstreamTokenUnavailable, match="audit log"):
        await stage.keeper.held("coze", "s")
    assert stage.endpoint.posts == []
    with pytest.raises(AuditUnavailable):
        stage.keeper.clear("coze", "s")


@on_loop
async def test_exchanges_are_recorded_with_who_and_the_digest_of_the_session() -> None:
    stage = KeeperStage(coze_grant(session="openai-proxy"))
    await stage.keeper.held("coze", "whose", Asker("cli", "alice"))
    await stage.keeper.renew("coze", "", Asker("face", "bob"))
    stage.keeper.clear("coze", "whose", Asker("face", "bob"))
    (first, second, third) = stage.log.events()
    assert first[:2] == ("upstream.token_obtained", "cli")
    assert first[2] == {
        "upstream": "coze",
        "session": first[2]["session"],
        "grant": "coze",
        "kid": "first",
        "exp": int(stage.clock.now_s()) + 900,
    }
    assert second[1] == "face"
    assert second[2]["session"] != first[2]["session"]
    assert third[0] == "upstream.token_cleared"
    assert "whose" not in str(stage.log.lines)
    assert "openai-proxy" not in str(stage.log.lines)
    assert "czs_" not in str(stage.log.lines)


@on_loop
async def test_a_renewal_is_made_though_a_token_is_good_and_workers_take_it_up() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    (first,) = await _ask(worker, "s")
    renewed = await stage.keeper.renew("coze", "s")
    assert stage.told_cleared == [("coze", "s")]
    (second,) = await _ask(worker, "s")
    assert isinstance(second, TokenFound)
    assert second.digest == renewed.digest
    assert second != first
    assert len(stage.endpoint.posts) == 2


@on_loop
async def test_what_was_cleared_is_used_no_more_and_got_anew() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    first = await _ask(worker, "s")
    other = await _ask(worker, "o")
    stage.keeper.clear("coze", "s")
    assert not stage.keeper.status("coze", "s").has_token
    assert await _ask(worker, "s") != first
    assert await _ask(worker, "o") == other
    stage.keeper.clear("coze", None)
    assert stage.told_cleared[-1] == ("coze", None)
    assert await _ask(worker, "o") != other


@on_loop
async def test_a_grant_without_sessions_has_one_token_for_all() -> None:
    grant = replace(coze_grant(), kind="client-credentials", dialect="form", keys=(), client_secret=Secret("shared"))
    stage = KeeperStage(grant)
    assert await stage.token("a") == await stage.token("b")
    assert len(stage.endpoint.posts) == 1
    await stage.keeper.renew("coze", "a")
    assert stage.told_cleared == [("coze", None)]


@on_loop
async def test_whoever_comes_without_a_session_has_that_of_the_settings() -> None:
    stage = KeeperStage(coze_grant(session="openai-proxy"))
    assert await stage.token("") == await stage.token("openai-proxy")
    assert await stage.token("another") != await stage.token("")


@on_loop
async def test_new_keys_of_the_same_client_leave_its_tokens_and_end_the_wait() -> None:
    stage = KeeperStage()
    first = await stage.token("a")
    stage.endpoint.default = lambda _: refused("invalid_client")
    assert (await stage.lacking("b")).lack == "refused"
    stage.endpoint.default = lambda number: granted(f"czs_{number}")
    stage.keeper.follow([coze_grant("coze", NEXT_KEY)])
    assert await stage.token("a") == first
    assert (await stage.token("b")).startswith("czs_")


@on_loop
async def test_tokens_of_another_client_are_used_no_more() -> None:
    stage = KeeperStage()
    first = await stage.token()
    stage.keeper.follow([coze_grant(client_id="another")])
    assert await stage.token() != first
    stage.keeper.follow([])
    assert (await stage.lacking()).lack == "unconfigured"
    assert stage.keeper.standings() == []


@on_loop
async def test_whoever_waits_while_the_settings_change_has_a_token_of_the_new_ones() -> None:
    stage = KeeperStage()
    stage.endpoint.gate = asyncio.Event()
    waiting = asyncio.ensure_future(stage.token())
    await until(lambda: len(stage.endpoint.posts) == 1)
    stage.keeper.follow([coze_grant(client_id="another")])
    stage.endpoint.gate.set()
    assert await waiting == "czs_2_of_the_endpoint"


@on_loop
async def test_sessions_are_bounded_and_the_one_that_was_used_longest_ago_goes() -> None:
    stage = KeeperStage(sessions_max=4)
    for session in ("0", "1", "2", "3", "0", "new"):
        await stage.token(session)
    assert len(stage.endpoint.posts) == 5
    await stage.token("0")
    assert len(stage.endpoint.posts) == 5
    await stage.token("1")
    assert len(stage.endpoint.posts) == 6


@on_loop
async def test_exchanges_at_once_are_bounded() -> None:
    stage = KeeperStage()
    await asyncio.gather(*(stage.token(str(number)) for number in range(4 * EXCHANGES_MAX)))
    assert len(stage.endpoint.posts) == 4 * EXCHANGES_MAX
    assert stage.endpoint.busiest == EXCHANGES_MAX


@on_loop
async def test_one_who_leaves_takes_nothing_from_those_who_wait_too() -> None:
    stage = KeeperStage()
    stage.endpoint.gate = asyncio.Event()
    leaving = asyncio.ensure_future(stage.token())
    staying = asyncio.ensure_future(stage.token())
    await until(lambda: len(stage.endpoint.posts) == 1)
    leaving.cancel()
    stage.endpoint.gate.set()
    assert (await staying).startswith("czs_")
    assert len(stage.endpoint.posts) == 1


@on_loop
async def test_what_is_under_way_ends_with_the_keeper() -> None:
    stage = KeeperStage()
    stage.endpoint.gate = asyncio.Event()
    waiting = asyncio.ensure_future(stage.token())
    await until(lambda: len(stage.endpoint.posts) == 1)
    await stage.keeper.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def _need(
    worker: UpstreamTokens, callers: int, digests: list[bytes] | None = None
) -> list[TokenFound | TokenLacking]:
    """So many callers of each session want its token; `digests` are of those that were refused them."""
    waiting = [
        _ask(worker, session, digests[index] if digests else b"")
        for _ in range(callers)
        for index, session in enumerate(_SESSIONS)
    ]
    return [one for found in await asyncio.gather(*waiting) for one in found]


async def _ask(worker: UpstreamTokens, session: str, digest: bytes = b"") -> list[TokenFound | TokenLacking]:
    """What one caller is told, once."""
    told: list[TokenFound | TokenLacking] = []
    over = asyncio.Event()

    def tell(outcome: TokenFound | TokenLacking) -> None:
        told.append(outcome)
        over.set()

    worker.need("coze", session, tell, digest)
    await over.wait()
    return told

"""Tokens of upstreams that are refused, and token endpoints that refuse or are away: what is made of it, how often."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.core.token_exchange import Answered, Unanswered
from jotgate.core.token_grants import TokenGrant
from jotgate.core.upstream_tokens import TokenFound, TokenLacking, digest_of
from jotgate.core.values import Secret
from jotgate.errors import (
    UpstreamTokenRefused,
)
from jotgate.services.token_exchanges import TRIES
from jotgate.services.token_sessions import FRESH_S, REST_MAX_S
from jotgate.services.upstream_tokens import EXCHANGES_MAX
from jotgate.upstreams.credentials import UpstreamTokens
from tests.loops import on_loop, until
from tests.token_keeping import KEY, NEXT_KEY, KeeperStage, coze_grant, granted, refused


@on_loop
async def test_one_renewal_follows_a_refusal_and_a_refused_token_is_never_given_again() -> None:
    stage = KeeperStage()
    first = await stage.token()
    second = await stage.token(digest=digest_of(Secret(first)))
    assert second != first
    # Whoever was refused the old one comes late, and has the new one without another exchange.
    assert await stage.token(digest=digest_of(Secret(first))) == second
    assert len(stage.endpoint.posts) == 2
    # The one that came in its place may have been withdrawn just then. After a third one nobody is asked for a while.
    third = await stage.token(digest=digest_of(Secret(second)))
    lacking = await stage.lacking(digest=digest_of(Secret(third)))
    assert (lacking.lack, len(stage.endpoint.posts)) == ("refused", 3)
    assert lacking.retry_after_s >= 1
    stage.clock.advance(FRESH_S)
    assert await stage.token() not in (first, second, third)


@on_loop
async def test_a_token_that_was_refused_to_one_worker_is_given_by_no_other() -> None:
    stage = KeeperStage()
    one, other = stage.worker(), stage.worker()
    (first,) = await _ask(one, "s")
    assert await _ask(other, "s") == [first]
    assert isinstance(first, TokenFound)
    (second,) = await _ask(one, "s", first.digest)
    assert second != first
    assert await _ask(other, "s") == [second]
    assert len(stage.endpoint.posts) == 2


@on_loop
async def test_a_refusal_that_is_told_without_a_question_makes_no_exchange_and_the_token_is_given_to_nobody() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    (first,) = await _ask(worker, "s")
    assert isinstance(first, TokenFound)
    stage.keeper.refuse("coze", "s", first.digest)
    stage.keeper.refuse("coze", "unknown", first.digest)
    stage.keeper.refuse("other", "s", first.digest)
    assert len(stage.endpoint.posts) == 1
    assert stage.told_cleared == [("coze", "s")]
    (second,) = await _ask(worker, "s")
    assert second != first


@on_loop
async def test_a_token_that_was_renewed_in_time_is_replaced_at_once_when_it_is_refused() -> None:
    stage = KeeperStage()
    first = await stage.token()
    await stage.token(digest=digest_of(Secret(first)))
    stage.clock.advance(900 - 10)
    third = await stage.token()
    fourth = await stage.token(digest=digest_of(Secret(third)))
    assert len({first, third, fourth}) == 3
    assert len(stage.endpoint.posts) == 4


@on_loop
async def test_a_token_that_is_handed_out_again_after_its_refusal_is_not_given() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: granted("czs_always_the_same")
    first = await stage.token()
    lacking = await stage.lacking(digest=digest_of(Secret(first)))
    assert lacking.lack == "refused"
    assert "again" in lacking.cause
    assert not stage.keeper.status("coze", "s").has_token


@on_loop
async def test_an_endpoint_that_does_not_answer_is_asked_again_and_then_left_alone_for_longer_each_time() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: Unanswered("no route")
    spans = []
    for _ in range(7):
        lacking = await stage.lacking()
        assert lacking.lack == "unreachable"
        assert "no route" in lacking.cause
        asked = len(stage.endpoint.posts)
        await stage.lacking()
        assert len(stage.endpoint.posts) == asked  # Nobody is asked meanwhile.
        spans.append(lacking.retry_after_s)
        stage.clock.advance(lacking.retry_after_s + 0.5)
    assert spans[:4] == sorted(spans[:4])
    assert spans[0] <= 2
    assert REST_MAX_S / 2 <= spans[-1] <= REST_MAX_S
    assert len(set(stage.pauses)) == len(stage.pauses)  # Chance is in each.
    stage.endpoint.default = lambda _: granted("czs_back")
    assert await stage.token() == "czs_back"
    assert [bool(fault) for _, fault in stage.news] == [True, False]


@on_loop
async def test_an_endpoint_that_is_gone_is_not_asked_for_each_session_in_turn() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: Unanswered("no route")
    outcomes = await asyncio.gather(*(stage.lacking(str(number)) for number in range(20 * EXCHANGES_MAX)))
    assert {one.lack for one in outcomes} == {"unreachable"}
    assert len(stage.endpoint.posts) <= TRIES * EXCHANGES_MAX


@pytest.mark.parametrize(
    ("answer", "asked"),
    [(refused("invalid_client"), 1), (refused("access_deny", 403), 1), (refused("invalid_request", 400), 3)],
    ids=["client", "app", "session"],
)
@on_loop
async def test_what_is_wrong_with_the_client_is_not_asked_for_each_session_in_turn(
    answer: Answered, asked: int
) -> None:
    stage = KeeperStage()
    good = await stage.token("before")
    stage.endpoint.default = lambda _: answer
    for session in ("a", "b", "c"):
        assert (await stage.lacking(session)).lack == "refused"
    assert len(stage.endpoint.posts) == 1 + asked
    assert await stage.token("before") == good
    stage.endpoint.default = lambda number: granted(f"czs_{number}")
    stage.clock.advance(REST_MAX_S)
    assert (await stage.token("d")).startswith("czs_")


@on_loop
async def test_a_key_that_is_none_is_read_for_no_further_session_in_a_while() -> None:
    stage = KeeperStage(coze_grant("coze", replace(KEY, private_key=Secret("-----BEGIN PRIVATE KEY-----\nno\n"))))
    for session in ("a", "b", "c"):
        assert "private key cannot be used" in (await stage.lacking(session)).cause
    assert stage.keeper.standings()[0].failed == 1


@on_loop
async def test_many_sessions_that_fail_together_make_a_rest_no_longer() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: refused("invalid_client")
    await asyncio.gather(*(stage.lacking(str(number)) for number in range(EXCHANGES_MAX)))
    assert len(stage.endpoint.posts) == EXCHANGES_MAX
    assert (await stage.lacking("another")).retry_after_s <= 2


@on_loop
async def test_a_moment_without_an_endpoint_fails_nobody() -> None:
    stage = KeeperStage()
    stage.endpoint.script = [Unanswered("reset"), refused("internal_error", 500), granted("czs_third")]
    assert await stage.token() == "czs_third"
    assert stage.news == []


@on_loop
async def test_while_a_token_is_good_an_endpoint_that_is_gone_fails_nobody() -> None:
    stage = KeeperStage()
    worker = stage.worker()
    (first,) = await _ask(worker, "s")
    stage.endpoint.default = lambda _: Unanswered("no route")
    stage.clock.advance(900 - 29)
    for _ in range(100):
        assert await _ask(worker, "s") == [first]
        await asyncio.sleep(0)
    await until(lambda: stage.keeper.standings()[0].failed == 1)
    stage.clock.advance(25)
    (lacking,) = await _ask(worker, "s")
    assert isinstance(lacking, TokenLacking)
    assert lacking.lack == "unreachable"


@on_loop
async def test_the_next_key_is_taken_when_the_first_is_refused_and_it_is_said() -> None:
    stage = KeeperStage(coze_grant("coze", KEY, NEXT_KEY))
    await stage.token("a")
    (standing,) = stage.keeper.standings()
    assert (standing.key_id, standing.second) == ("first", False)
    stage.endpoint.script = [refused("invalid_client", 401, "invalid jwt: kid not been registred")]
    await stage.token("b")
    (standing,) = stage.keeper.standings()
    assert (standing.key_id, standing.second, standing.fault) == ("next", True, "")
    asked = len(stage.endpoint.posts)
    await stage.token("c")
    assert len(stage.endpoint.posts) == asked + 1  # What was taken last goes first.


@on_loop
async def test_a_refused_grant_says_why_without_what_was_sent() -> None:
    stage = KeeperStage()

    def echo(_: int) -> Answered:
        sent = stage.endpoint.posts[-1].authorization
        assert sent is not None
        return refused("access_deny", 403, f"app is deactivated: {sent.reveal()}")

    stage.endpoint.default = echo
    with pytest.raises(UpstreamTokenRefused) as caught:
        await stage.keeper.held("coze", "s")
    assert "access_deny" in caught.value.cause
    assert "eyJ" not in caught.value.message
    (event,) = stage.log.events()
    assert event[0] == "upstream.token_refused"
    assert "eyJ" not in str(event)


@on_loop
async def test_a_key_that_is_none_is_said_when_a_token_is_wanted() -> None:
    stage = KeeperStage(coze_grant("coze", replace(KEY, private_key=Secret("-----BEGIN PRIVATE KEY-----\nno\n"))))
    with pytest.raises(UpstreamTokenRefused, match="private key cannot be used"):
        await stage.keeper.held("coze", "s")
    assert stage.endpoint.posts == []


@on_loop
async def test_what_befell_one_endpoint_is_not_told_of_the_one_that_is_configured_in_its_place() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: Unanswered("nobody is there")
    assert (await stage.lacking("a")).lack == "unreachable"
    other = replace(coze_grant(), token_url="https://other.example/token")
    stage.endpoint.default = lambda _: refused("access_deny", 403)
    stage.keeper.follow([other])
    (standing,) = stage.keeper.standings()
    assert (standing.fault, standing.failing_since_s, standing.failed) == ("", 0.0, 1)
    assert "access_deny" in (await stage.lacking("a")).cause
    stage.endpoint.default = lambda number: granted(f"czs_{number}")
    stage.keeper.follow([replace(other, token_url="https://right.example/token")])
    assert (await stage.token("a")).startswith("czs_")
    first, second, last = [fault for _, fault in stage.news]
    assert "nobody is there" in first
    assert "access_deny" in second
    assert last == ""


@on_loop
async def test_another_way_to_an_endpoint_ends_the_rest_of_one_that_did_not_answer() -> None:
    stage = KeeperStage()
    stage.endpoint.default = lambda _: Unanswered("nobody is there")
    assert (await stage.lacking("a")).lack == "unreachable"
    stage.endpoint.default = lambda number: granted(f"czs_{number}")
    stage.keeper.follow([replace(coze_grant(), timeout_s=20.0)])
    assert (await stage.token("a")).startswith("czs_")


@pytest.mark.parametrize(
    "corrected", [replace(coze_grant(), timeout_s=20.0), coze_grant(client_id="another")], ids=["same", "another"]
)
@on_loop
async def test_what_comes_late_of_settings_before_makes_nobody_wait(corrected: TokenGrant) -> None:
    stage = KeeperStage()
    stage.endpoint.script = [refused("access_deny", 403)]
    stage.endpoint.gate = asyncio.Event()
    waiting = asyncio.ensure_future(stage.token())
    await until(lambda: len(stage.endpoint.posts) == 1)
    stage.keeper.follow([corrected])
    stage.endpoint.gate.set()
    assert (await waiting).startswith("czs_2")
    assert stage.keeper.standings()[0].fault == ""
    assert stage.news == []


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

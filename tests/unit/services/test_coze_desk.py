"""What control tells of a caller's conversations and workflows at Coze: the own ones, asked with the own token."""

import json

import pytest
from msgspec.structs import replace

from jotgate.core.coze_codes import CozeFault
from jotgate.core.coze_sessions import session_of
from jotgate.core.token_exchange import Unanswered
from jotgate.core.values import Secret
from jotgate.errors import RecordMissing, UpstreamTokenRefused, UpstreamTokenUnconfigured, UpstreamUnavailable
from jotgate.services.coze_desk import Waiting
from tests.coze_keeping import ANN, BOB, COZE, LISTED, DeskStage
from tests.loops import on_loop
from tests.token_keeping import refused


@on_loop
async def test_a_caller_is_told_of_the_own_conversations_of_the_session_alone() -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.talked(ANN, "second", messages=4)
    stage.talked(BOB, "his")
    stage.talked(ANN, "elsewhere", label="other")
    found = await stage.desk.conversations(ANN, "usual")
    assert [(one.name, one.kept.messages) for one in found] == [("second", 4), ("first", 2)]
    assert [one.name for one in await stage.desk.conversations(BOB, "usual")] == ["his"]
    assert await DeskStage(None).desk.conversations(ANN, "usual") == []


@on_loop
async def test_a_history_is_asked_of_coze_with_the_token_of_the_callers_session_and_told_in_order() -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.plays(LISTED)
    found = await stage.desk.history(ANN, "usual", "first")
    assert not isinstance(found, CozeFault)
    held, messages = found
    assert (held.name, [one.role for one in messages]) == ("first", ["user", "assistant"])
    assert messages[0].content == [
        {"type": "text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": "https://x"}},
    ]
    assert messages[1].content == "Hello, né."
    (asked,) = stage.asked
    assert asked.url == "https://api.coze.example/v1/conversation/message/list?conversation_id=id-of-first"
    held_token = await stage.keeping.keeper.held("coze", session_of(ANN, "usual"))
    assert asked.authorization is not None
    assert asked.authorization.reveal() == f"Bearer {held_token.token.reveal()}"
    assert json.loads(asked.body.reveal()) == {"order": "desc", "limit": 50}


@pytest.mark.parametrize("name", ["his", "nothing", "elsewhere"])
@on_loop
async def test_weak_000_1_a_strangers_conversation_is_as_one_that_does_not_exist(name: str) -> None:
    stage = DeskStage()
    stage.talked(BOB, "his")
    stage.talked(ANN, "elsewhere", label="other")
    for ask in (stage.desk.history, stage.desk.clear):
        with pytest.raises(RecordMissing, match="Conversation not found"):
            await ask(ANN, "usual", name)
    assert not stage.asked
    assert len(await stage.desk.conversations(BOB, "usual")) == 1


@on_loop
async def test_clearing_clears_at_coze_first_and_forgets_then() -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.plays({"code": 5000, "msg": "internal"})
    fault = await stage.desk.clear(ANN, "usual", "first")
    assert fault is not None
    assert len(await stage.desk.conversations(ANN, "usual")) == 1, "it is there still, so nothing is forgotten"
    stage.plays({"code": 0, "data": {"id": "s", "conversation_id": "id-of-first"}})
    assert await stage.desk.clear(ANN, "usual", "first") is None
    assert stage.asked[-1].url.endswith("/v1/conversations/id-of-first/clear")
    assert await stage.desk.conversations(ANN, "usual") == []


@on_loop
async def test_what_coze_has_no_longer_is_forgotten() -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.plays({"code": 4002, "msg": "no such conversation"})
    assert await stage.desk.clear(ANN, "usual", "first") is None
    assert await stage.desk.conversations(ANN, "usual") == []


@pytest.mark.parametrize("no", [{"code": 4100, "msg": "x"}, {"code": 700012006, "msg": "access token invalid"}])
@on_loop
async def test_a_token_that_coze_refuses_is_replaced_once(no: dict[str, object]) -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.plays(no, LISTED)
    assert not isinstance(await stage.desk.history(ANN, "usual", "first"), CozeFault)
    first, second = (one.authorization.reveal() for one in stage.asked if one.authorization)
    assert first != second
    again = DeskStage()
    again.talked(ANN, "first")
    again.plays(no, no)
    fault = await again.desk.history(ANN, "usual", "first")
    assert isinstance(fault, CozeFault)
    assert len(again.asked) == 2


@on_loop
async def test_why_there_is_no_answer_is_told_apart() -> None:
    stage = DeskStage()
    stage.talked(ANN, "first")
    stage.plays(Unanswered("no connection"))
    with pytest.raises(UpstreamUnavailable):
        await stage.desk.history(ANN, "usual", "first")
    stage.plays({"code": 0, "data": "none"})
    assert isinstance(await stage.desk.history(ANN, "usual", "first"), CozeFault)
    refusing = DeskStage()
    refusing.talked(ANN, "first")
    refusing.keeping.endpoint.default = lambda number: refused("invalid_client")  # noqa: ARG005 - whichever it is
    with pytest.raises(UpstreamTokenRefused):
        await refusing.desk.history(ANN, "usual", "first")


@on_loop
async def test_a_static_key_is_sent_where_that_is_configured() -> None:
    key = replace(COZE, exchanged=False, credential=Secret("pat_1"))
    stage = DeskStage(key)
    stage.talked(ANN, "first")
    stage.plays(LISTED)
    await stage.desk.history(ANN, "usual", "first")
    assert stage.asked[0].authorization == Secret("Bearer pat_1")
    assert not stage.keeping.endpoint.posts
    stage.upstream = replace(key, credential=None)
    with pytest.raises(UpstreamTokenUnconfigured):
        await stage.desk.history(ANN, "usual", "first")


@on_loop
async def test_workflows_that_wait_are_their_callers_own() -> None:
    stage = DeskStage()
    stage.interrupted(ANN, "call_1")
    stage.interrupted(BOB, "call_2")
    (found,) = await stage.desk.workflows(ANN, "usual")
    assert (found.call_id, found.kept.workflow_id) == ("call_1", "8")
    assert isinstance(await stage.desk.workflow(ANN, "usual", "call_1"), Waiting)
    for name in ("call_2", "call_3"):
        with pytest.raises(RecordMissing, match="Workflow session not found"):
            await stage.desk.workflow(ANN, "usual", name)

"""The events of a chat, one after the other: what is told, and when it is over."""

import json

import pytest

from jotgate.core.coze_chat_events import FOLLOW_UPS_MAX, MESSAGES_MAX, ChatReader
from jotgate.core.coze_events import CozeEvent

CREATED = CozeEvent("conversation.chat.created", b'{"id":"8","conversation_id":"7"}')


def said(name: str, **members: object) -> CozeEvent:
    return CozeEvent(f"conversation.message.{name}", json.dumps({"id": "1", "type": "answer", **members}).encode())


def test_the_names_are_known_from_the_first_event_on() -> None:
    reader = ChatReader()
    reader.take(CREATED)
    assert (reader.chat_id, reader.conversation_id, reader.over) == ("8", "7", False)


@pytest.mark.parametrize("status", ["completed", "requires_action", "canceled"])
def test_each_ending_is_known_by_its_event(status: str) -> None:
    reader = ChatReader()
    reader.take(CozeEvent(f"conversation.chat.{status}", b'{"id":"8","conversation_id":"7","status":"wrong"}'))
    assert reader.end is not None
    assert (reader.end.status, reader.over) == (status, True)


def test_a_failure_is_known_by_its_code_and_one_without_a_code_is_one_too() -> None:
    reader = ChatReader()
    failed = b'{"id":"8","conversation_id":"7","last_error":{"code":4105,"msg":"no"}}'
    reader.take(CozeEvent("conversation.chat.failed", failed))
    assert reader.fault is not None
    assert reader.fault.number == 4105
    empty = ChatReader()
    empty.take(CozeEvent("conversation.chat.failed", b'{"id":"8","conversation_id":"7"}'))
    assert empty.fault is not None
    assert empty.fault.meaning.code == "coze_failed"


def test_a_message_is_told_once_whether_it_came_in_pieces_or_not() -> None:
    reader = ChatReader()
    assert reader.take(said("delta", content="Hel")).text == "Hel"
    assert reader.take(said("completed", content="Hello")).text == ""
    assert reader.take(said("completed", id="2", content="More")).text == "More"
    assert reader.take(said("completed", id="2", content="More")).text == ""


@pytest.mark.parametrize("kind", ["verbose", "function_call", "tool_response", "tool_output", "knowledge", ""])
def test_what_is_no_answer_is_not_told(kind: str) -> None:
    reader = ChatReader()
    assert reader.take(said("delta", type=kind, content="x")).text == ""
    assert reader.take(said("completed", type=kind, content="x")).text == ""


def test_follow_ups_are_bounded() -> None:
    reader = ChatReader()
    for number in range(FOLLOW_UPS_MAX + 5):
        reader.take(said("completed", id=str(number), type="follow_up", content=f"{number}?"))
    assert len(reader.follow_ups) == FOLLOW_UPS_MAX


def test_messages_are_bounded() -> None:
    reader = ChatReader()
    for number in range(MESSAGES_MAX + 1):
        reader.take(said("delta", id=str(number), content="x"))
    assert reader.unreadable


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"id":"1"}', b"\xff", b'"x"'])
def test_an_event_of_a_chat_that_cannot_be_read_is_seen(data: bytes) -> None:
    reader = ChatReader()
    reader.take(CozeEvent("conversation.chat.completed", data))
    assert (reader.unreadable, reader.end) == (True, None)
    assert reader.take(said("delta", content="x")).text == "", "text may be missing before it"


def test_members_that_are_null_say_nothing() -> None:
    reader = ChatReader()
    assert reader.take(said("delta", content=None, reasoning_content=None, role=None)).text == ""
    assert reader.take(said("completed", type=None, content=None)).text == ""
    reader.take(CozeEvent("error", b'{"code":4000,"msg":null}'))
    assert reader.fault is not None
    assert (reader.unreadable, reader.fault.number) == (False, 4000)


def test_events_that_nobody_knows_say_nothing() -> None:
    reader = ChatReader()
    for event in (CozeEvent("PING", b""), CozeEvent("conversation.new", b"{"), CozeEvent("done", b'"[DONE]"')):
        reader.take(event)
    assert (reader.unreadable, reader.over) == (False, False)


def test_after_the_end_nothing_is_told() -> None:
    reader = ChatReader()
    reader.take(CozeEvent("conversation.chat.completed", b'{"id":"8","conversation_id":"7"}'))
    assert reader.take(said("delta", content="x")).text == ""

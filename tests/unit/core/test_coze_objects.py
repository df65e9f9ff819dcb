"""Where conversations and waiting chats are found: below their caller and its session alone."""

from msgspec.structs import replace

from jotgate.core.coze_objects import (
    KeptConversation,
    WaitingChat,
    conversation_key,
    conversations_of,
    read_conversation,
    read_waiting,
    waiting_key,
)
from jotgate.core.owned_objects import NAME_BYTES_MAX
from tests.callers import principal

ANN = principal(subject="ann")


def test_what_is_kept_is_read_again_and_nothing_else() -> None:
    conversation, waiting = KeptConversation("7", "work", 4), WaitingChat("7", "8", "1", ("c-1",))
    assert read_conversation(conversation.written()) == conversation
    assert read_waiting(waiting.written()) == waiting
    assert read_conversation(b"{}") is None
    assert read_waiting(b"\xff") is None


def test_keys_tell_callers_sessions_and_upstreams_apart() -> None:
    keys = {
        conversation_key(who, upstream, label, name)
        for who in (ANN, principal(subject="bob"), replace(ANN, tenant="acme"))
        for upstream in ("coze", "other")
        for label in ("", "work")
        for name in ("", "trip")
    }
    assert len(keys) == 24
    assert waiting_key(ANN, "coze", "", "trip") not in keys


def test_no_label_is_the_usual_one_and_a_list_is_of_one_session() -> None:
    assert conversation_key(ANN, "coze", "", "") == conversation_key(ANN, "coze", "default", "default")
    asked = conversations_of(ANN, "coze", "work")
    key = conversation_key(ANN, "coze", "work", "trip")
    assert (asked.kind, asked.place, asked.owner) == (key.kind, key.place, key.owner)


def test_the_longest_names_have_room() -> None:
    key = conversation_key(ANN, "u" * 64, "🌍" * 128, "🌍" * 128)
    assert len(key.name.encode()) == NAME_BYTES_MAX

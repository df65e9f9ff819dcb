"""What a call says of Coze in its head and its body, and what the upstream takes of that."""

import pytest
from msgspec import Raw

from jotgate.core.coze_aims import Aim, Asked, aim_of, read_asked, without_names
from jotgate.errors import RequestMalformed


def asked(head: dict[str, str] | None = None, **body: bytes) -> Asked:
    headers = {name.encode(): value.encode() for name, value in (head or {}).items()}
    return read_asked(headers, {name.replace("_", "-"): Raw(value) for name, value in body.items()})


def test_a_call_that_says_nothing_asks_nothing() -> None:
    assert asked() == Asked()
    assert asked({"content-type": "application/json"}, model=b'"gpt-4"') == Asked()


def test_the_head_and_the_body_say_the_same_by_the_same_names() -> None:
    head = {
        "x-model-type": "conversation",
        "x-bot-id": "7",
        "x-workflow-id": "8",
        "x-conversation-id": "c 1",
        "x-session-name": "né",
    }
    wanted = Asked("conversation", "7", "8", "c 1", "né")
    assert asked(head) == wanted
    assert read_asked({}, {name: Raw(f'"{value}"'.encode()) for name, value in head.items()}) == wanted
    assert asked({"x-bot-id": "7"}, x_bot_id=b'"7"', x_model_type=b'"chat"') == Asked("chat", "7")


def test_an_empty_field_says_nothing() -> None:
    assert asked({"x-bot-id": "  ", "x-model-type": ""}) == Asked()


@pytest.mark.parametrize(
    ("head", "body", "param"),
    [
        ({"x-model-type": "assistant"}, {}, "x-model-type"),
        ({"x-bot-id": "7"}, {"x_bot_id": b'"8"'}, "x-bot-id"),
        ({}, {"x_bot_id": b"7"}, "x-bot-id"),
        ({"x-bot-id": "7/../8"}, {}, "x-bot-id"),
        ({"x-bot-id": "7" * 129}, {}, "x-bot-id"),
        ({"x-workflow-id": "a b"}, {}, "x-workflow-id"),
        ({"x-workflow-id": "\u0663"}, {}, "x-workflow-id"),
        ({"x-session-name": "s" * 129}, {}, "x-session-name"),
        ({"x-session-name": "a\x07b"}, {}, "x-session-name"),
        ({"x-conversation-id": "\u200b"}, {}, "x-conversation-id"),
    ],
)
def test_what_is_no_name_or_is_said_twice_is_refused_by_its_name(
    head: dict[str, str], body: dict[str, bytes], param: str
) -> None:
    with pytest.raises(RequestMalformed) as caught:
        asked(head, **body)
    assert caught.value.param == param
    assert "7/../8" not in caught.value.message


def test_what_names_the_aim_does_not_go_on() -> None:
    members = {"model": Raw(b'"gpt-4"'), "x-bot-id": Raw(b'"7"'), "messages": Raw(b"[]")}
    assert list(without_names(members)) == ["model", "messages"]


def test_natively_the_model_decides_all() -> None:
    assert aim_of(None, "bot:7") == Aim("chat", "7", alias="bot:7")
    assert aim_of(None, "7") == Aim("chat", "7", alias="7")
    assert aim_of(None, "workflow:8") == Aim("workflow", workflow_id="8", alias="workflow:8")


def test_at_a_face_the_model_decides_on_the_bot_and_the_face_on_the_rest() -> None:
    settled = Aim("conversation", conversation_id="c", label="l", alias="gpt-4")
    assert aim_of(settled, "bot:7") == Aim("conversation", "7", "", "c", "l", "gpt-4")
    assert aim_of(Aim("workflow", alias="gpt-4"), "workflow:8") == Aim("workflow", "", "8", alias="gpt-4")


def test_a_route_of_the_operators_own_leads_where_it_leads_whatever_the_usual_mode_is() -> None:
    assert aim_of(Aim("chat", alias="report"), "workflow:8").mode == "workflow"
    assert aim_of(Aim("workflow", alias="report"), "bot:7").mode == "chat"

"""The shape of an answer holds names and types, and says where two differ."""

import json

import pytest

from jotgate.testing.coze_shapes import Shape, differences, events_of, shape_of_json, shape_of_stream

_CHAT = {"code": 0, "data": {"id": "75001", "usage": {"token_count": 18}, "tags": [{"a": 1}, {"a": None}]}}


def test_names_and_types_are_kept_and_values_are_not() -> None:
    shape = shape_of_json(200, "application/json", _CHAT)
    assert shape.members == {
        "code": "number",
        "data": "object",
        "data.id": "text",
        "data.tags": "array",
        "data.tags[]": "object",
        "data.tags[].a": "null|number",
        "data.usage": "object",
        "data.usage.token_count": "number",
    }
    assert (shape.status, shape.code) == (200, "0")
    assert "75001" not in repr(shape)


def test_a_code_of_oauth_is_one() -> None:
    assert shape_of_json(401, "application/json", {"error_code": "invalid_client"}).code == "invalid_client"
    assert shape_of_json(502, "text/html", None).code == ""


@pytest.mark.parametrize("gap", ["", " "])
def test_a_stream_is_its_events_once_each_with_the_members_of_all(gap: str) -> None:
    said = [("delta", {"content": "a"}), ("delta", {"content": "b", "created_at": 1}), ("done", "[DONE]")]
    text = "".join(f"event:{gap}{name}\ndata:{gap}{json.dumps(data)}\n\n" for name, data in said)
    shape = shape_of_stream(200, "text/event-stream", events_of(text))
    assert (shape.events, shape.spaced) == (("delta", "done"), gap == " ")
    assert shape.members == {"delta": "object", "delta.content": "text", "delta.created_at": "number", "done": "text"}


def test_data_that_is_no_json_is_text() -> None:
    assert [event.data for event in events_of("event:x\ndata:{\n\n:comment\n\n")] == ["{"]


def test_each_difference_is_a_line() -> None:
    live = Shape(status=200, code="4101", kind="a", members={"a": "text", "b": "null"}, events=("x", "y"), spaced=True)
    standin = Shape(status=401, code="4100", kind="b", members={"b": "number", "c": "text"}, events=("y", "z"))
    assert differences(live, standin) == [
        "status: live 200, stand-in 401",
        "code: live '4101', stand-in '4100'",
        "content type: live 'a', stand-in 'b'",
        "space after the colon: live True, stand-in False",
        "event x: live only",
        "event z: stand-in only",
        "member a: live only, text",
        "member b: live null, stand-in number",
        "member c: stand-in only, text",
    ]
    assert differences(live, live) == []

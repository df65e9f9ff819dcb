"""What a client of the Responses API may ask for over a WebSocket, and what its upstream is sent for it."""

import json
from typing import Any

import pytest

from jotgate.core.realtime import read_server
from jotgate.core.responses_socket import for_upstream, output_wanted, read_client, write_error
from jotgate.errors import ModelNotPermitted, RequestMalformed


def name_of(model: str) -> str:
    if model not in ("talk", "draw"):
        raise ModelNotPermitted("not this one")
    return f"gpt-{model}"


def sent(ceiling: int | None = None, **members: Any) -> Any:
    """What the upstream is sent for a response that is asked for."""
    event = read_client(json.dumps({"type": "response.create", **members}).encode())
    return json.loads(for_upstream(event, name_of, ceiling, model="talk", made=frozenset({"resp_1"})))


def test_the_model_is_the_connections_and_nothing_is_stored() -> None:
    assert sent(input="Hi", store=True) == {
        "type": "response.create",
        "input": "Hi",
        "model": "gpt-talk",
        "store": False,
    }
    tools = [
        {"type": "image_generation", "model": "draw"},
        {"type": "function", "parameters": {"model": 1, "file_id": 2}},
    ]
    assert sent(tools=tools)["tools"] == [{"type": "image_generation", "model": "gpt-draw"}, tools[1]]
    with pytest.raises(ModelNotPermitted):
        sent(moderation={"model": "other"})


def test_a_response_goes_on_from_one_of_this_connection() -> None:
    assert sent(previous_response_id="resp_1")["previous_response_id"] == "resp_1"
    assert sent(previous_response_id=None)["previous_response_id"] is None
    for other in ("resp_2", ["resp_1"], 1):
        with pytest.raises(RequestMalformed) as caught:
            sent(previous_response_id=other)
        assert caught.value.param == "previous_response_id"


@pytest.mark.parametrize(
    "members",
    [
        {"background": True},
        {"response": {"store": True, "model": "other"}},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"stream_id": "two"},
        {"model": 1},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        {"tools": [{"type": "mcp", "connector_id": "connector_gmail"}]},
    ],
)
def test_what_an_upstream_keeps_belongs_to_nobody(members: dict[str, Any]) -> None:
    with pytest.raises(RequestMalformed):
        sent(**members)


@pytest.mark.parametrize(
    "message", [b"", b"[]", b'{"type":"session.update"}', b'{"type":"response.create","type":"response.create"}']
)
def test_other_events_are_refused(message: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_client(message)


def test_the_ceiling_is_the_lesser_one() -> None:
    assert sent(50)["max_output_tokens"] == 50
    assert sent(50, max_output_tokens=20)["max_output_tokens"] == 20
    assert sent(50, max_output_tokens=70)["max_output_tokens"] == 50
    event = read_client(b'{"type":"response.create","max_output_tokens":20}')
    assert output_wanted(event) == 20
    assert output_wanted(read_client(b'{"type":"response.create"}')) is None


def test_what_a_server_says_of_a_response() -> None:
    said = {"type": "response.completed", "response": {"id": "r", "usage": {"input_tokens": 3, "output_tokens": 4}}}
    event = read_server(json.dumps(said).encode())
    assert (event.type, event.response_id, event.used) == ("response.completed", "r", (3, 4))
    assert read_server(b'{"type":"error"}').used is None
    assert read_server(b"\xff").type == ""


def test_a_refusal_is_an_error_event() -> None:
    told = json.loads(write_error(RequestMalformed("what", param="model")))
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", 400, "request_malformed")
    assert (told["code"], told["param"]) == ("request_malformed", "model")

"""Workflows and files of Coze through a running gateway: the SDK of OpenAI at one end, Coze's stand-in at the other."""

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

import openai
import pytest
from openai import OpenAI

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, PAT, WORKFLOW_ID
from jotgate.testing.coze_values import Fault, Interrupt, Workflow
from jotgate.testing.running import Gateway, running_gateway, until
from jotgate.testing.upstream import Gate
from jotgate.upstreams.coze_workflow_runs import LOOK_S
from tests.integration.exchanges import Caller, record_of

_GO: Final[Any] = [{"role": "user", "content": "Grüße aus 東京 \U0001f600"}]
_OUTPUT: Final = '{"output":"Grüße aus 東京 \U0001f600"}'
_ASKING: Final = "7400000000000000002"
_UNPUBLISHED: Final = "7400000000000000003"
_FAILING: Final = "7400000000000000004"
_SLOW: Final = "7400000000000000005"
_MODELS: Final = {"wf": WORKFLOW_ID, "asking": _ASKING, "gone": _UNPUBLISHED, "failing": _FAILING, "slow": _SLOW}


def settings(server: CozeServer) -> str:
    models = ", ".join(f'"{alias}" = "workflow:{name}"' for alias, name in _MODELS.items())
    return (
        '[[upstreams]]\nname = "coze"\nkind = "coze"\ncredential_env = "COZE_API_KEY"\n'
        f'base_url = "{server.url}"\nmodels = {{ {models}, "bot" = "bot:{BOT_ID}" }}\n'
    )


@pytest.fixture(scope="module")
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        asks = (Interrupt(), Interrupt(kind=5, question="", data='{"age":"integer"}', node_title="Input"))
        running.workflows |= {
            WORKFLOW_ID: Workflow(workflow_id=WORKFLOW_ID, output=_OUTPUT, pings=2),
            _ASKING: Workflow(workflow_id=_ASKING, interrupts=asks),
            _UNPUBLISHED: Workflow(workflow_id=_UNPUBLISHED, published=False),
            _FAILING: Workflow(workflow_id=_FAILING, failure=(4000, "the node was given nonsense")),
            _SLOW: Workflow(workflow_id=_SLOW, gate=Gate()),
        }
        yield running


@pytest.fixture(scope="module")
def gateway(server: CozeServer) -> Iterator[Gateway]:
    with running_gateway(settings(server), "--workers", "2", environment={"COZE_API_KEY": PAT}) as running:
        yield running


@pytest.fixture(scope="module")
def ann(gateway: Gateway) -> Iterator[OpenAI]:
    with client_of(gateway, "ann") as made:
        yield made


def client_of(gateway: Gateway, subject: str) -> OpenAI:
    return OpenAI(api_key=gateway.token(subject=subject), base_url=f"{gateway.url}/v1", max_retries=0, timeout=30.0)


def reply_to(call_id: str, said: str) -> Any:
    return [*_GO, {"role": "tool", "tool_call_id": call_id, "content": said}]


def call_of(answer: Any) -> Any:
    """The one tool call of a whole answer."""
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "coze_interrupt"
    return call


def test_a_run_is_awaited_and_its_data_is_the_answer(ann: OpenAI, server: CozeServer) -> None:
    answer = ann.chat.completions.create(model="wf", messages=_GO, extra_body={"coze": {"parameters": {"n": 3}}})
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (_OUTPUT, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (13, 5, 18)
    assert answer.model == "wf"
    run = server.runs[-1]
    assert (run.way, json.loads(run.parameters)) == ("sync", {"input": _GO[0]["content"], "n": 3})


@pytest.mark.parametrize(("spaces", "chunk_bytes"), [(None, 0), (False, 1), (True, 7)])
def test_a_run_streams_exactly_what_it_says_wherever_its_bytes_are_cut(
    ann: OpenAI, server: CozeServer, *, spaces: bool | None, chunk_bytes: int
) -> None:
    server.spaces, server.chunk_bytes = spaces, chunk_bytes
    with ann.chat.completions.create(
        model="wf", messages=_GO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    server.spaces, server.chunk_bytes = None, 0
    *said, last = chunks
    assert said[0].choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in said) == f"Working.{_OUTPUT}"
    assert [one.choices[0].finish_reason for one in said if one.choices[0].finish_reason] == ["stop"]
    assert len({one.id for one in chunks}) == 1
    assert last.usage is not None
    assert last.usage.total_tokens == 18
    assert server.runs[-1].way == "stream"


def test_an_asynchronous_run_is_looked_at_no_more_than_once_a_second(ann: OpenAI, server: CozeServer) -> None:
    begun_s = time.monotonic()
    answer = ann.chat.completions.create(model="wf", messages=_GO, extra_body={"coze": {"is_async": True}})
    assert answer.choices[0].message.content == _OUTPUT
    run = server.runs[-1]
    looks = server.count(f"/v1/workflows/{WORKFLOW_ID}/run_histories/{run.execute_id}")
    assert (run.way, looks) == ("async", 2)
    assert time.monotonic() - begun_s >= LOOK_S


def test_what_a_run_asks_is_answered_by_its_caller_and_by_nobody_else(
    ann: OpenAI, gateway: Gateway, server: CozeServer
) -> None:
    first = call_of(ann.chat.completions.create(model="asking", messages=_GO))
    with client_of(gateway, "bob") as bob:
        told = []
        for call_id in (first.id, "call_" + "A" * 24):
            with pytest.raises(openai.BadRequestError) as refused:
                bob.chat.completions.create(model="asking", messages=reply_to(call_id, "Bob"))
            told.append(refused.value.body)
        assert told[0] == told[1]
    assert server.resumed == []
    with ann.chat.completions.create(model="asking", messages=reply_to(first.id, "Ann"), stream=True) as stream:
        deltas = [chunk.choices[0].delta for chunk in stream]
    (second,) = [call for delta in deltas for call in delta.tool_calls or ()]
    assert second.function is not None
    assert json.loads(second.function.arguments or "") == {
        "type": 5,
        "kind": "input",
        "node": "Input",
        "question": "",
        "data": '{"age":"integer"}',
    }
    done = ann.chat.completions.create(model="asking", messages=reply_to(second.id or "", '{"age":33}'))
    assert done.choices[0].message.content == json.dumps({"output": '{"age":33}'}, separators=(",", ":"))
    assert [(run.way, run.told) for run in server.runs[-2:]] == [("resume", "Ann"), ("resume", '{"age":33}')]
    assert len({run.execute_id for run in server.runs[-3:]}) == 1


def test_a_question_outlives_control_and_is_answered_once(ann: OpenAI, gateway: Gateway) -> None:
    call = call_of(ann.chat.completions.create(model="asking", messages=_GO))
    before = gateway.pids["control"]
    os.kill(before, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", before) != before, "there is another control process")

    def answered() -> bool:
        try:
            return bool(call_of(ann.chat.completions.create(model="asking", messages=reply_to(call.id, "Ann"))))
        except openai.InternalServerError:
            return False  # The other one has not opened the store yet.

    until(answered, "the question is known again")
    with pytest.raises(openai.BadRequestError, match="no workflow waits"):
        answered()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "more", "error", "number"),
    [
        ("gone", {}, openai.NotFoundError, 4200),
        ("failing", {}, openai.BadRequestError, 4000),
    ],
)
def test_what_coze_refuses_is_an_error_that_the_sdk_knows(
    ann: OpenAI, *, model: str, more: dict[str, object], error: type[openai.APIStatusError], number: int, stream: bool
) -> None:
    with pytest.raises(openai.APIError, match=f"code {number}") as refused:
        list(ann.chat.completions.create(model=model, messages=_GO, stream=stream, extra_body=more))
    if not stream or model == "gone":
        assert isinstance(refused.value, error)


def test_a_plan_without_asynchronous_runs_is_the_callers_error(ann: OpenAI, server: CozeServer) -> None:
    server.async_in_plan = False
    with pytest.raises(openai.BadRequestError, match="6003"):
        ann.chat.completions.create(model="wf", messages=_GO, extra_body={"coze": {"is_async": True}})
    server.async_in_plan = True


def test_an_asynchronous_run_that_asks_something_fails_with_cozes_code(ann: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="6039"):
        ann.chat.completions.create(model="asking", messages=_GO, extra_body={"coze": {"is_async": True}})


@pytest.mark.parametrize("ill", ["drop", "reset", "malformed", "end", "error_event"])
def test_a_stream_that_goes_wrong_ends_in_an_error_and_never_in_text(
    ann: OpenAI, server: CozeServer, *, ill: Any
) -> None:
    server.faults.append(Fault(ill=ill, path="/v1/workflow/stream_run", code=5000, after=1))
    said = []
    with pytest.raises(openai.APIError), ann.chat.completions.create(model="wf", messages=_GO, stream=True) as stream:
        said += [chunk.choices[0].delta.content or "" for chunk in stream]
    assert server.faults == []
    assert "rror" not in "".join(said)


def test_a_run_whose_caller_leaves_goes_on_at_coze_and_is_on_record(
    gateway: Gateway, ann: OpenAI, server: CozeServer
) -> None:
    with ann.chat.completions.create(
        model="slow", messages=_GO, stream=True, extra_headers={"X-Request-Id": "run-left"}
    ) as stream:
        assert next(iter(stream)).choices[0].delta.role == "assistant"
    assert record_of(gateway, "run-left")["outcome"] == "caller_gone"
    assert server.cancels == []


def test_what_coze_cannot_take_is_refused_by_its_name(gateway: Gateway) -> None:
    caller = Caller(gateway, gateway.token(subject="ann"))
    for more, param in (
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"top_k": 3}, "top_k"),
        ({"coze": {"bot": "7"}}, "coze"),
        ({"stream": True, "coze": {"is_async": True}}, "coze"),
    ):
        answer = caller.chat("wf", "hello", **more)
        assert (answer.status, answer.json["error"]["param"], answer.code) == (400, param, "request_malformed")
    assert caller.chat("wf", "hello", temperature=0.2, max_tokens=9, user="x", seed=1).status == 200
    caller.close()


def test_pictures_and_files_reach_a_bot_by_their_urls_alone(ann: OpenAI, server: CozeServer) -> None:
    def ask(*parts: object) -> None:
        messages: Any = [{"role": "user", "content": parts}]
        ann.chat.completions.create(model="bot", messages=messages)

    picture = {"type": "image_url", "image_url": {"url": "https://pictures.example/\u2603.png"}}
    ask({"type": "text", "text": "What is it?"}, picture, {"type": "file", "file": {"file_url": "https://f.example/a"}})
    seen = server.chats[-1]
    assert (seen.content_type, json.loads(seen.query)) == (
        "object_string",
        [
            {"type": "text", "text": "What is it?"},
            {"type": "image", "file_url": "https://pictures.example/\u2603.png"},
            {"type": "file", "file_url": "https://f.example/a"},
        ],
    )
    before = len(server.chats)
    for part in (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"file_id": "7300000000000000009"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(part)
        assert refused.value.param == "messages[0].content[0]"
    assert len(server.chats) == before


def test_the_credential_of_coze_stands_nowhere_that_jotgate_wrote(gateway: Gateway) -> None:
    written = [path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()]
    assert not any(PAT.encode() in one for one in (*written, gateway.errors.encode()))

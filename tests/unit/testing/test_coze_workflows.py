"""The workflows of Coze's stand-in: events with numbers, interrupts that are answered, runs that are looked at."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, WORKFLOW_ID
from jotgate.testing.coze_values import Interrupt, Workflow
from jotgate.testing.upstream import Gate
from tests.coze_clients import Plain, events

_RUN = {"workflow_id": WORKFLOW_ID, "parameters": {"input": "x"}}


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


def stream(plain: Plain, **changed: object) -> list[tuple[str, Any]]:
    """The events of a streamed run."""
    return events(plain.text("POST", "/v1/workflow/stream_run", {**_RUN, **changed})[1])


def resume(plain: Plain, event_id: str, said: str = "x", kind: int = 2) -> tuple[int, bytes]:
    """What is said when an interrupt is answered."""
    body = {"workflow_id": WORKFLOW_ID, "event_id": event_id, "resume_data": said, "interrupt_type": kind}
    return plain.text("POST", "/v1/workflow/stream_resume", body)


def test_events_are_numbered_and_have_spaces(server: CozeServer, plain: Plain) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, messages=("a", "b"), pings=1)
    _, text = plain.text("POST", "/v1/workflow/stream_run", _RUN)
    lines = [line.split("data: ")[0] for line in text.decode().splitlines() if line]
    assert lines[:5] == ["id: 0", "event: PING", "", "id: 1", "event: Message"]
    found = events(text)
    assert [name for name, _ in found] == ["PING", "Message", "Message", "Message", "Done"]
    assert [data.get("node_is_finish") for _, data in found] == [None, False, True, True, None]
    assert json.loads(found[3][1]["content"]) == {"output": '{"input":"x"}'}
    assert found[3][1]["usage"] == {"token_count": 18, "input_count": 13, "output_count": 5}
    server.spaces = False
    assert plain.text("POST", "/v1/workflow/stream_run", _RUN)[1].startswith(b"id:0\nevent:PING\ndata:{}\n\n")


def test_an_interrupt_ends_its_stream_and_is_answered_three_times_at_most(server: CozeServer, plain: Plain) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, interrupts=(Interrupt(question="Who?"),))
    *_, asked, (name, data) = stream(plain)
    assert (asked[1]["content"], name) == ("Who?", "Interrupt")
    event_id = data["interrupt_data"]["event_id"]
    assert len(event_id.split("/")) == 2
    for said in ("Ann", "Bob", "Cy"):
        status, text = resume(plain, event_id, said)
        assert status == 200
        assert json.loads(events(text)[0][1]["content"]) == {"output": said}
    assert resume(plain, event_id)[0] == 400
    assert server.resumed == [event_id] * 3


def test_an_answer_must_fit_its_question(server: CozeServer, plain: Plain) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, interrupts=(Interrupt(kind=5, question=""),))
    event_id = stream(plain)[-1][1]["interrupt_data"]["event_id"]
    assert resume(plain, event_id, kind=2)[0] == 400
    assert resume(plain, "1/2", kind=5)[0] == 404
    other = {"workflow_id": "1", "event_id": event_id, "resume_data": "x", "interrupt_type": 5}
    assert plain.post("/v1/workflow/stream_resume", **other)[1]["code"] == 4200
    assert server.resumed == []


def test_a_run_that_asks_at_once_says_what(server: CozeServer, plain: Plain) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, interrupts=(Interrupt(kind=5, data="name?"),))
    answer = plain.post("/v1/workflow/run", **_RUN)[1]
    assert (answer["interrupt_data"]["type"], answer["interrupt_data"]["data"]) == (5, "name?")
    _, text = resume(plain, answer["interrupt_data"]["event_id"], "Ann", 5)
    assert json.loads(events(text)[0][1]["content"]) == {"output": "Ann"}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"workflow_id": ""}, 400, 4000),
        ({"workflow_id": "1"}, 404, 4200),
        ({"bot_id": BOT_ID, "app_id": "1"}, 400, 4000),
        ({"parameters": [1]}, 400, 4000),
    ],
)
@pytest.mark.parametrize("path", ["/v1/workflow/run", "/v1/workflow/stream_run"])
def test_a_run_that_coze_would_refuse_is_refused(
    plain: Plain, path: str, changed: dict[str, Any], status: int, code: int
) -> None:
    found, answer = plain.post(path, **{**_RUN, **changed})
    assert (found, answer["code"]) == (status, code)


def test_an_unpublished_one_is_not_found_and_one_in_the_background_needs_the_plan(
    server: CozeServer, plain: Plain
) -> None:
    server.async_in_plan = False
    assert plain.post("/v1/workflow/run", is_async=True, **_RUN)[1]["code"] == 6003
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, published=False)
    assert plain.post("/v1/workflow/run", **_RUN)[1]["code"] == 4200
    assert server.runs == []


def looked_at(plain: Plain, looks: int) -> list[dict[str, Any]]:
    """What a run in the background says, look by look."""
    execute_id = plain.post("/v1/workflow/run", is_async=True, **_RUN)[1]["execute_id"]
    path = f"/v1/workflows/{WORKFLOW_ID}/run_histories/{execute_id}"
    return [plain.get(path)[1]["data"][0] for _ in range(looks)]


def test_a_run_in_the_background_is_running_for_some_looks(server: CozeServer, plain: Plain) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, delay=2, output='{"a":1}')
    found = looked_at(plain, 3)
    assert [look["execute_status"] for look in found] == ["Running", "Running", "Success"]
    assert [look["output"] for look in found] == ["", "", '{"a":1}']
    gate = Gate()
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, delay=0, gate=gate)
    assert [look["execute_status"] for look in looked_at(plain, 2)] == ["Running", "Running"]
    gate.open()
    assert [look["execute_status"] for look in looked_at(plain, 1)] == ["Success"]


@pytest.mark.parametrize(
    ("workflow", "code"),
    [
        (Workflow(workflow_id=WORKFLOW_ID, delay=0, failure=(720702222, "node failed")), 720702222),
        (Workflow(workflow_id=WORKFLOW_ID, delay=0, interrupts=(Interrupt(),)), 6039),
    ],
)
def test_a_run_in_the_background_fails(server: CozeServer, plain: Plain, workflow: Workflow, code: int) -> None:
    server.workflows[WORKFLOW_ID] = workflow
    (look,) = looked_at(plain, 1)
    assert (look["execute_status"], look["error_code"], look["output"]) == ("Fail", code, "")


def test_a_run_that_is_none_is_not_found(plain: Plain) -> None:
    assert plain.get(f"/v1/workflows/{WORKFLOW_ID}/run_histories/1")[1]["code"] == 4314
    execute_id = plain.post("/v1/workflow/run", is_async=True, **_RUN)[1]["execute_id"]
    assert plain.get(f"/v1/workflows/1/run_histories/{execute_id}")[1]["code"] == 4314


def test_what_was_run_is_kept(server: CozeServer, plain: Plain) -> None:
    plain.text("POST", "/v1/workflow/stream_run", _RUN, plain.token("ann"))
    (seen,) = server.runs
    assert (seen.session, seen.way, json.loads(seen.parameters)) == ("ann", "stream", {"input": "x"})

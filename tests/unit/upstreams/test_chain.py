"""A chain answers as one model: its steps are asked in turn, its answer has their usage, and its failures are told."""

import json
from typing import Any, Final

import pytest

from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from tests.chaining import (
    DONE,
    FOUND,
    SETTINGS,
    TALK,
    WORKED,
    ChainStage,
    completion,
    event,
    events_of,
    usage_event,
)

TOOLS: Final = [{"type": "function", "function": {"name": "look_up"}}]


def code_of(body: bytes) -> str:
    found: dict[str, Any] = json.loads(body)
    code = found["error"]["code"]
    assert isinstance(code, str)
    return code


def test_a_stream_is_the_last_steps_and_its_usage_that_of_all() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step(stream_options={"include_usage": True})
    assert caller.state == "waiting"
    last.stream(event("A fjord "))
    assert caller.status == 200
    assert caller.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert b"A fjord " in caller.body  # before the answer ends
    last.tell(None, event("is a bay.", "stop") + usage_event(300, 40) + DONE, complete=True)
    first, second, usage = events_of(caller.body)
    assert {one["id"] for one in (first, second, usage)} == {first["id"]}
    assert [one["model"] for one in (first, second, usage)] == ["c"] * 3
    assert (first["object"], first["created"]) == ("chat.completion.chunk", 1_800_000_000)
    assert [one["choices"][0]["delta"] for one in (first, second)] == [
        {"content": "A fjord "},
        {"content": "is a bay."},
    ]
    assert usage["choices"] == []
    # 100 at 1 and 20 at 5 dollars a million; 200 and 30 at the same; 300 at 3 and 40 at 15.
    assert usage["usage"] == {
        "prompt_tokens": 600,
        "completion_tokens": 90,
        "total_tokens": 690,
        "cost_usd": pytest.approx(0.00205),
        "steps": [
            {
                "name": "find",
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "cost_usd": pytest.approx(0.0002),
            },
            {
                "name": "work",
                "prompt_tokens": 200,
                "completion_tokens": 30,
                "total_tokens": 230,
                "cost_usd": pytest.approx(0.00035),
            },
            {
                "name": "tell",
                "prompt_tokens": 300,
                "completion_tokens": 40,
                "total_tokens": 340,
                "cost_usd": pytest.approx(0.0015),
            },
        ],
    }
    assert stage.at_rest()


def test_a_stream_whose_caller_did_not_ask_for_usage_has_none() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("Hi", "stop"))
    last.tell(None, usage_event(300, 40) + DONE, complete=True)
    (only,) = events_of(caller.body)
    assert "usage" not in only
    assert stage.trail.only.tokens_in == 600


def test_an_answer_that_is_no_stream_is_one_json_object() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step(stream=False)
    assert json.loads(last.outbound.body).get("stream") is None
    last.answer(200, completion("A bay.", (300, 40)))
    answer = json.loads(caller.body)
    assert (caller.status, answer["object"], answer["model"]) == (200, "chat.completion", "c")
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A bay."},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (600, 90)
    assert stage.at_rest()


def test_every_step_gets_the_whole_conversation_and_what_came_before() -> None:
    stage = ChainStage()
    stage.to_last_step(temperature=0.1, top_p=0.9, max_tokens=30, tools=TOOLS)
    find, work, tell = (stage.body(number) for number in range(3))
    for body in (find, work, tell):
        assert body["messages"][1:] == TALK[1:]
        system = body["messages"][0]
        assert system["role"] == "system"
        assert system["content"].endswith("\n\nBe brief.")
    assert '"required":["intent"]' in str(find["messages"])
    assert "Work on: know fjords" in str(work["messages"])
    assert f"Say it: {WORKED}" in str(tell["messages"])
    assert find["response_format"]["json_schema"]["schema"]["required"] == ["intent"]
    assert (find["model"], find["max_completion_tokens"], find.get("stream")) == ("real-m", 50, None)
    assert (tell["model"], tell["max_completion_tokens"], tell["temperature"]) == ("real-n", 30, 0.1)
    assert (tell["top_p"], tell["tools"]) == (0.9, TOOLS)
    assert tell["stream_options"] == {"include_usage": True}
    assert "top_p" not in find


def test_the_request_id_goes_with_every_step() -> None:
    stage = ChainStage()
    stage.to_last_step()
    lines = {exchange.outbound.lines for exchange in stage.one.exchanges}
    assert len(lines) == 1
    assert b"X-Request-Id: req-w0-" in lines.pop()


def test_the_record_has_the_sums_and_every_step() -> None:
    stage = ChainStage()
    _, last = stage.to_last_step()
    stage.pass_time(1)
    last.stream(event("Hi", "stop"))
    last.tell(None, usage_event(300, 40) + DONE, complete=True)
    record = stage.trail.only
    assert (record.tokens_in, record.tokens_out, record.upstream, record.stream) == (600, 90, "c", True)
    steps = [(one.step, one.upstream, one.model, one.tokens_in, one.tokens_out, one.cost) for one in record.steps]
    assert steps == [
        ("find", "one", "real-m", 100, 20, 200_000),
        ("work", "one", "real-m", 200, 30, 350_000),
        ("tell", "one", "real-n", 300, 40, 1_500_000),
    ]
    assert record.steps[2].duration_us == 1_000_000


def test_a_gate_that_is_closed_is_told_with_a_status_and_ends_the_chain() -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    stage.one.last.answer(200, completion(FOUND))
    stage.one.last.answer(200, completion('{"content":"dunno","confidence":0.3}'))
    assert (caller.status, code_of(caller.body)) == (422, "chain_gate_closed")
    assert b"step 'work': 'confidence' is 0.3, and at least 0.5 is wanted" in caller.body
    assert len(stage.one.exchanges) == 2
    assert stage.trail.only.code == "chain_gate_closed"
    assert [one.step for one in stage.trail.only.steps] == ["find", "work"]
    assert stage.at_rest()


def test_no_gate_holds_where_gates_are_off() -> None:
    stage = ChainStage(text=_with('name = "c"', 'name = "c"\ngates = false'))
    caller, _ = stage.chain()
    stage.one.last.answer(200, completion('{"intent":""}'))
    stage.one.last.answer(200, completion('{"content":"dunno","confidence":0.3}'))
    assert len(stage.one.exchanges) == 3
    assert caller.state == "waiting"


def test_an_output_that_is_not_what_the_schema_says_is_asked_for_once_more() -> None:
    stage = ChainStage()
    caller, _ = stage.chain(stream=False)
    stage.one.last.answer(200, completion("Sure! Fjords.", (100, 20)))
    messages = stage.body()["messages"]
    said, told = messages[-2:]
    assert messages[:-2] == stage.body(0)["messages"]
    assert said == {"role": "assistant", "content": "Sure! Fjords."}
    assert "it must be one JSON object" in told["content"]
    stage.one.last.answer(200, completion(f"```json\n{FOUND}\n```", (130, 25)))
    stage.one.last.answer(200, completion(WORKED, (200, 30)))
    stage.one.last.answer(200, completion("A bay.", (300, 40)))
    assert caller.status == 200
    find = stage.trail.only.steps[0]
    assert (find.tokens_in, find.tokens_out, find.tries, find.repaired) == (230, 45, 2, True)


@pytest.mark.parametrize("wrong", ["no", '{"intent":7}', "[1]", '{"intent":'])
def test_an_output_that_stays_wrong_is_an_error_which_quotes_nothing_of_it(wrong: str) -> None:
    stage = ChainStage()
    caller, _ = stage.chain()
    stage.one.last.answer(200, completion(wrong))
    stage.one.last.answer(200, completion(wrong))
    assert (caller.status, code_of(caller.body)) == (502, "chain_output_invalid")
    assert len(stage.one.exchanges) == 2
    assert stage.at_rest()


def test_no_second_answer_is_asked_for_where_repairs_are_off() -> None:
    stage = ChainStage(text=_with('name = "c"', 'name = "c"\nrepair = false'))
    caller, _ = stage.chain()
    stage.one.last.answer(200, completion("no"))
    assert (caller.status, len(stage.one.exchanges)) == (502, 1)


def test_a_stream_that_breaks_off_is_told_in_the_stream() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("A fjord "))
    last.fail(UpstreamTorn("the upstream's answer broke off"), written=True)
    assert caller.state == "aborted"
    assert code_of(caller.body.rsplit(b"data: ", 1)[1]) == "upstream_torn"
    assert stage.trail.only.outcome == "torn"
    assert stage.at_rest()


def test_an_error_event_of_the_upstream_is_no_answer() -> None:
    stage = ChainStage()
    caller, last = stage.to_last_step()
    last.stream(event("A "))
    last.tell(None, b'data: {"error":{"message":"overloaded"}}\n\n', complete=False)
    assert last.aborted
    assert caller.state == "aborted"
    assert b"overloaded" not in caller.body
    assert code_of(caller.body.rsplit(b"data: ", 1)[1]) == "upstream_torn"
    assert stage.at_rest()


def test_who_leaves_ends_the_step_that_runs() -> None:
    stage = ChainStage()
    _, running = stage.chain()
    stage.one.last.answer(200, completion(FOUND))
    work = stage.one.last
    running.caller_gone()
    assert work.aborted
    assert stage.trail.only.outcome == "caller_gone"
    assert [(one.step, one.estimated) for one in stage.trail.only.steps] == [("find", False), ("work", True)]
    assert stage.at_rest()


def test_who_leaves_while_the_answer_streams_ends_it_upstream() -> None:
    stage = ChainStage()
    _, running = stage.chain()
    stage.one.last.answer(200, completion(FOUND))
    stage.one.last.answer(200, completion(WORKED))
    stage.one.last.stream(event("A"))
    running.caller_gone()
    assert stage.one.last.aborted
    assert stage.at_rest()


def test_a_slow_caller_holds_the_stream_and_not_the_time_of_its_step() -> None:
    stage = ChainStage()
    _, running = stage.chain()
    stage.one.last.answer(200, completion(FOUND))
    stage.one.last.answer(200, completion(WORKED))
    last = stage.one.last
    last.stream(event("A"))
    running.caller_paused()
    paused = last.paused
    stage.pass_time(25)
    running.caller_resumed()
    assert (paused, last.paused) == (True, False)
    stage.pass_time(1)
    assert stage.gateway.live


def test_a_call_that_no_chain_takes_is_refused_before_the_first_step() -> None:
    stage = ChainStage()
    for members, param in (
        ({"messages": []}, "messages"),
        ({"messages": 3}, "messages"),
        ({"messages": [{"content": "no role"}]}, "messages[0]"),
        ({"messages": [*TALK, {"role": "robot", "content": "x"}]}, "messages[4]"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools"),
    ):
        caller, _ = stage.chain(**members)
        assert (caller.status, code_of(caller.body)) == (400, "request_malformed")
        assert json.loads(caller.body)["error"]["param"] == param
        assert param in json.loads(caller.body)["error"]["message"]
    assert stage.one.exchanges == []
    assert {one.outcome for one in stage.trail.records} == {"refused"}
    assert stage.at_rest()


def test_a_chain_is_asked_in_chats_alone() -> None:
    stage = ChainStage()
    caller, _ = stage.begin(b'{"model":"c","input":"x"}', path=b"/v1/embeddings")
    assert caller.status == 400
    assert b"chat completions alone" in caller.body


def test_an_upstream_that_tells_no_usage_is_counted_by_the_bytes_of_what_it_says() -> None:
    stage = ChainStage()
    stage.chain()
    sent = len(stage.one.last.outbound.body)
    stage.one.last.answer(200, completion(FOUND, None))
    stage.one.last.answer(200, completion("no"))
    stage.one.last.answer(200, completion("no"))
    find = stage.trail.only.steps[0]
    said = len(json.dumps(FOUND)) - 2
    assert (find.tokens_in, find.tokens_out, find.estimated) == (sent, said, True)


def test_of_a_long_answer_without_usage_no_more_than_its_ceiling_is_taken() -> None:
    stage = ChainStage()
    stage.chain()
    stage.one.last.answer(200, completion(json.dumps({"intent": "fjord " * 50}), None))
    stage.one.last.answer(200, completion("no"))
    stage.one.last.answer(200, completion("no"))
    assert stage.trail.only.steps[0].tokens_out == 50


def test_what_is_not_known_of_one_price_is_not_known_of_the_sum() -> None:
    stage = ChainStage(text=_with('[[prices]]\nmodel = "real-n"\ninput = 3\noutput = 15\n', ""))
    caller, last = stage.to_last_step(stream=False)
    last.answer(200, completion("A bay.", (300, 40)))
    usage = json.loads(caller.body)["usage"]
    assert "cost_usd" not in usage
    assert ["cost_usd" in one for one in usage["steps"]] == [True, True, False]


def test_an_upstream_that_was_never_reached_is_no_cost() -> None:
    stage = ChainStage(text=_with("tries = 3", "tries = 1"))
    caller, _ = stage.chain()
    stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    assert (caller.status, code_of(caller.body)) == (502, "upstream_unavailable")
    assert stage.trail.only.steps == ()
    assert stage.at_rest()


def _with(old: str, new: str) -> str:
    assert SETTINGS.count(old) >= 1
    return SETTINGS.replace(old, new, 1)

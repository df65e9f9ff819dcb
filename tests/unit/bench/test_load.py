"""What is asked of every candidate, and how the load generator's answer is read."""

import json

import pytest

from bench.errors import BenchError
from bench.load import LoadResult, parse_result, render_request
from bench.plan import FULL, Stream

PRINTED = (
    '{"sent":10,"ok":8,"not_ok":1,"errors":1,"unanswered":0,"reconnects":1,"streams":0,"chunks":0,"seconds":1.000100,'
    '"cpu_s":0.010000,"latency_us":{"p50":98.0,"p90":120.0,"p99":304.1,"max":900.0},"chunk_us":null,'
    '"first_chunk_us":null}\n'
)


def test_the_printed_object_is_read_field_by_field() -> None:
    result = parse_result(PRINTED)

    assert (result.sent, result.ok, result.not_ok, result.errors) == (10, 8, 1, 1)
    assert result.latency_us == {"p50": 98.0, "p90": 120.0, "p99": 304.1, "max": 900.0}
    assert result.chunk_us is None


@pytest.mark.parametrize("text", ["", "done=1 rps=2", "[]", '{"sent":1}', PRINTED.replace('"sent"', '"surprise"')])
def test_anything_else_is_refused_with_what_was_printed(text: str) -> None:
    with pytest.raises(BenchError, match="the load generator printed"):
        parse_result(text)


def result(**counts: int) -> LoadResult:
    fields = {"sent": 0, "ok": 0, "not_ok": 0, "errors": 0, "unanswered": 0} | counts
    return parse_result(json.dumps(json.loads(PRINTED) | fields))


def test_all_answered_with_200_is_no_fault() -> None:
    assert result(sent=4, ok=4).fault() is None


@pytest.mark.parametrize(
    "counts",
    [
        {"sent": 4, "ok": 3, "not_ok": 1},
        {"sent": 4, "ok": 3, "errors": 1},
        {"sent": 4, "ok": 3, "unanswered": 1},
        {"sent": 0},
    ],
)
def test_a_single_other_answer_is_a_fault_and_so_is_none_at_all(counts: dict[str, int]) -> None:
    fault = result(**counts).fault()

    assert fault is not None
    assert f"of {counts['sent']} requests" in fault


@pytest.mark.parametrize("stream", [None, FULL.paced])
def test_a_request_is_framed_and_carries_the_token(stream: Stream | None) -> None:
    head, _, payload = render_request("e.y.J", stream).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")

    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert b"Authorization: Bearer e.y.J" in lines
    assert b"Content-Length: %d" % len(payload) in lines
    assert json.loads(payload)["model"] == "gpt-4o-mini"
    assert json.loads(payload).get("stream", False) is (stream is not None)


def test_a_stream_request_tells_the_mock_upstream_how_many_events_and_how_fast() -> None:
    wanted = Stream(connections=1, rounds=1, chunks=7, interval_us=250)

    assert b"n=7,i=250 " in render_request("t", wanted)


def test_a_large_prompt_is_that_much_longer_and_has_what_json_escapes() -> None:
    plain, large = (render_request("t", more_chars=chars).partition(b"\r\n\r\n")[2] for chars in (0, 100_000))

    def prompt(payload: bytes) -> str:
        text: str = json.loads(payload)["messages"][1]["content"]
        return text

    assert len(prompt(large)) - len(prompt(plain)) == 100_000
    assert b'\\"' in large


def test_a_unary_request_never_looks_like_one_with_a_pace() -> None:
    unary = render_request("t")

    assert b'"stream"' not in unary
    assert b"n=" not in unary

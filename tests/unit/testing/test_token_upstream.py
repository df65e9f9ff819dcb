"""The upstream that sells tokens, in Python and in C: the same ceilings, the same usage, the same lines in its log."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.compiler import compile_all
from bench.mock import start_counting
from bench.server import Server, running
from jotgate.testing.call_log import CallLine, read_calls, tokens_of
from jotgate.testing.running import until


class Upstream:
    """One that runs, and what it has written down."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server = server
        self._log = log

    def ask(self, prompt: str, **members: object) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request("POST", "/v1/chat/completions", body_of(prompt, **members), {"X-Request-Id": "r"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def leave(self, prompt: str, **members: object) -> None:
        """Ask, and go away when a byte has come."""
        body = body_of(prompt, **members)
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as connection:
            head = b"POST / HTTP/1.1\r\nX-Request-Id: gone\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body)
            assert connection.recv(1)

    @property
    def calls(self) -> list[CallLine]:
        return read_calls(self._log)

    def end(self) -> list[CallLine]:
        """Stop it, and read all that it has written."""
        self.server.process.send_signal(signal.SIGTERM)
        assert self.server.process.wait(10) == 0, self.server.last_words()
        return self.calls


@pytest.fixture(params=["python", pytest.param("c", marks=pytest.mark.peers)])
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upstream]:
    log = tmp_path / "calls.txt"
    program = compile_all().mock_upstream if request.param == "c" else None
    with running(start_counting(program, log)) as server:
        yield Upstream(server, log)


def body_of(prompt: str, **members: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], **members}).encode()


def events(body: bytes) -> list[dict[str, Any]]:
    """The data of a stream but the end mark."""
    texts = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line]
    return [json.loads(text) for text in texts if text != b"[DONE]"]


def words_in(body: bytes) -> int:
    """The tokens that stand in a stream."""
    return body.count(b"tok ")


@pytest.mark.parametrize(
    ("prompt", "members", "made", "reason"),
    [
        ("hello", {}, 24, "stop"),
        ("n=7", {}, 7, "stop"),
        ("n=50", {"max_tokens": 9}, 9, "length"),
        ("n=50", {"max_tokens": 9, "max_completion_tokens": 8}, 8, "length"),
        ("n=50", {"max_tokens": 9, "n": 3}, 27, "length"),
        ("n=5", {"max_tokens": 9}, 5, "stop"),
        ("n=50 end=over", {"max_tokens": 9}, 50, "length"),
    ],
)
def test_a_whole_answer_keeps_its_ceiling_and_says_what_was_sent(
    upstream: Upstream, prompt: str, members: dict[str, object], made: int, reason: str
) -> None:
    status, body = upstream.ask(prompt, **members)

    answer = json.loads(body)
    (line,) = upstream.end()
    bytes_asked = len(body_of(prompt, **members))
    assert status == 200
    assert answer["choices"][0]["finish_reason"] == reason
    assert answer["usage"] == {
        "prompt_tokens": line.prompt,
        "completion_tokens": made,
        "total_tokens": line.prompt + made,
    }
    assert 0 < line.prompt <= bytes_asked, "a token has a byte at least"
    assert (line.kind, line.written) == ("unary", made)
    assert line.ceiling == members.get("max_completion_tokens", members.get("max_tokens"))
    assert line.ending == ("over" if "over" in prompt else "complete")


@pytest.mark.parametrize(
    ("prompt", "members", "made"),
    [
        ("hello", {}, 100),
        ("n=7", {}, 7),
        ("n=50 k=16", {}, 50),
        ("n=50 k=16", {"max_tokens": 20}, 20),
        ("n=6", {"n": 2}, 12),
    ],
)
def test_a_stream_keeps_its_ceiling_and_says_what_was_sent_when_asked_to(
    upstream: Upstream, prompt: str, members: dict[str, object], made: int
) -> None:
    _, told = upstream.ask(prompt, stream=True, stream_options={"include_usage": True}, **members)
    _, silent = upstream.ask(prompt, stream=True, **members)

    first, second = upstream.end()
    assert (words_in(told), words_in(silent)) == (made, made)
    assert events(told)[-1]["usage"]["completion_tokens"] == made
    assert events(told)[-1]["usage"]["prompt_tokens"] == first.prompt
    assert not any("usage" in event for event in events(silent))
    assert (first.kind, first.written, first.ending) == ("stream", made, "complete")
    assert second.written == made


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_take_the_time_that_was_asked_for(upstream: Upstream, stream: bool) -> None:
    began_s = time.monotonic()
    upstream.ask("n=4,i=20000", stream=stream)

    assert time.monotonic() - began_s >= 4 * 0.02


@pytest.mark.parametrize("program", ["python", pytest.param("c", marks=pytest.mark.peers)])
def test_a_pace_is_for_calls_that_do_not_say_theirs(program: str, tmp_path: Path) -> None:
    compiled = compile_all().mock_upstream if program == "c" else None
    log = tmp_path / "calls.txt"
    with running(start_counting(compiled, log, tokens_per_s=50)) as server:
        upstream = Upstream(server, log)
        began_s = time.monotonic()
        upstream.ask("n=4", stream=True)
        paced_s = time.monotonic() - began_s
        upstream.ask("n=1000,i=0", stream=True)

    assert paced_s >= 4 / 50


def test_a_stream_whose_caller_left_is_written_down_as_far_as_it_was_written(upstream: Upstream) -> None:
    upstream.leave("n=100000,i=1000", stream=True)

    until(lambda: upstream.calls != [], "the call is written down")
    (line,) = upstream.end()
    assert (line.request_id, line.ending) == ("gone", "gone")
    assert line.written < 100_000


def test_what_is_under_way_at_the_end_is_written_down(upstream: Upstream) -> None:
    body = body_of("n=100,i=1000000")
    with socket.create_connection(("127.0.0.1", upstream.server.port), 10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert upstream.ask("n=1")[0] == 200, "it has read what came before"
        lines = {line.ending: line for line in upstream.end()}

    assert lines["gone"].written == 100, "nobody stops a whole answer that is being made"
    assert lines["complete"].written == 1


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_refusal_costs_no_tokens(upstream: Upstream, status: int) -> None:
    assert upstream.ask(f"n=10 end={status}", stream=True)[0] == status
    assert upstream.ask(f"n=10 end={status}")[0] == status

    lines = upstream.end()
    assert [(line.kind, line.written, line.ending) for line in lines] == [
        ("stream", 0, str(status)),
        ("unary", 0, str(status)),
    ]
    assert tokens_of(lines) == 0


@pytest.mark.parametrize("how", ["torn", "reset"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_can_be_torn(upstream: Upstream, how: str, stream: bool) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        upstream.ask(f"n=10 end={how}", stream=stream)

    (line,) = upstream.end()
    assert (line.written, line.ending) == (5 if stream else 10, how)


def test_a_stream_can_fail_in_its_middle_and_say_no_usage(upstream: Upstream) -> None:
    _, failed = upstream.ask("n=10 end=error", stream=True)
    _, silent = upstream.ask("n=10 end=silent", stream=True, stream_options={"include_usage": True})

    assert words_in(failed) == 5
    assert "error" in events(failed)[-1]
    assert words_in(silent) == 10
    assert not any("usage" in event for event in events(silent))
    assert [line.written for line in upstream.end()] == [5, 10]


@pytest.mark.parametrize(("prompt", "stream", "written"), [("end=hang", True, 0), ("n=10 end=stall", True, 5)])
def test_an_answer_can_hang(upstream: Upstream, prompt: str, stream: bool, written: int) -> None:
    body = body_of(prompt, stream=stream)
    with socket.create_connection(("127.0.0.1", upstream.server.port), 10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: upstream.calls != [], "the call is written down")

    (line,) = upstream.end()
    assert line.written == written


def test_what_is_no_call_is_answered_and_not_written_down(upstream: Upstream) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.server.port, timeout=10)
    connection.request("GET", "/v1/models")
    assert connection.getresponse().status == 200
    connection.close()

    assert upstream.end() == []

"""Logs: whatever is handed to them, no secret comes out, each event is one line, and a flood is cut."""

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator

import pytest

from jotgate.core.audit import CallRecord
from jotgate.core.values import Secret
from jotgate.processes.console import say
from jotgate.telemetry.logs import CallJournal, install, learn, watch_loop
from jotgate.telemetry.redaction import Redactor

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
BASIC = base64.b64encode(b"canary:canary-password").decode()
CANARIES = {
    "token": TOKEN,
    "part of a token": TOKEN.rpartition(".")[0],
    "authorization field": f"Authorization: Bearer {TOKEN}",
    "authorization of another kind": f"authorization: Basic {BASIC}",
    "raw header pairs": f"[(b'host', b'h'), (b'authorization', b'Basic {BASIC}')]",
    "header dictionary": "{'Authorization': 'canary-opaque-value'}",
    "cookie": "Cookie: session=canary-session; other=canary-other",
    "set-cookie": "set-cookie=canary-session; HttpOnly",
    "provider key": "the key sk-canary0123456789 was refused",
    "personal token": "jot_canary0123456789",
    "token of Coze": "czs_canary0123456789",
    "token of a user of Coze": "czu_canary0123456789",
    "personal access token of Coze": "pat_canary0123456789canary0123456789",
    "private key in one line": "KEY=-----BEGIN PRIVATE KEY-----\\nY2FuYXJ5\\n-----END PRIVATE KEY-----",
    "api key field": "x-api-key: canary-key",
    "scheme alone": "Bearer canary0123456789canary",
    "URL": "http://user:canary-password@proxy.example:3128/",
    "query": "GET /x?access_token=canary-value&model=m",
    "PEM": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----",
    "torn PEM": "-----BEGIN EC PRIVATE KEY-----\nY2FuYXJ5",
    "known credential": "it said: canary, my lovely credential! is wrong",
}
SIGNS = ("canary", "eyJ", BASIC, "Y2FuYXJ5")
KNOWN = "canary, my lovely credential!"


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, ours = logging.getLogger(), logging.getLogger("jotgate")
    before = root.handlers, root.level, ours.level, logging.raiseExceptions
    yield
    root.handlers, logging.raiseExceptions = before[0], before[3]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    ours.handlers, ours.propagate = [], True


def start(form: str, level: str = "debug") -> io.StringIO:
    """Logs into memory."""
    out = io.StringIO()
    install("worker 0", level, form, out)
    return out


def lines(out: io.StringIO) -> list[dict[str, object]]:
    """What was written as JSON."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("bird", CANARIES.values(), ids=CANARIES.keys())
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_comes_out_whichever_way_it_went_in(form: str, bird: str) -> None:
    out = start(form)
    learn([Secret(KNOWN)])
    say(bird)
    say("a field", event="e", reason=bird)
    logging.getLogger("uvicorn.error").error("a library says %s", bird)
    try:
        raise ValueError(bird)
    except ValueError:
        logging.getLogger("jotgate").exception("failed")
    call = CallRecord(at=0, worker="w", row=1, operation="o", status=502, outcome="failed", code="c", upstream="u")
    CallJournal().note(call, bird)
    assert out.getvalue().count("\n") >= 5
    for sign in SIGNS:
        assert sign not in out.getvalue()


def test_the_canaries_would_sing_without_the_redactor() -> None:
    assert all(any(sign in canary for sign in SIGNS) for canary in CANARIES.values())


@pytest.mark.parametrize(
    "harmless",
    [
        "the request carries no bearer token",
        "worker 0 (pid 4711) was killed by SIGKILL; starting another in 0.05 s",
        "'/home/me/.local/share/jotgate/keys' has mode 0755",
        "upstreams[0].credential_env: names the environment variable 'OPENAI_API_KEY', which is not set",
        "http://127.0.0.1:8080/v1 is free",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert Redactor().clean(harmless) == harmless


def test_a_line_says_when_who_and_what() -> None:
    out = start("json")
    say("it went wrong", event="went_wrong", level="error", count=3)
    (line,) = lines(out)
    moment = line.pop("time")
    assert isinstance(moment, str)
    assert len(moment) == len("2026-11-22T18:17:00.123Z")
    assert line.pop("pid")
    assert line == {
        "level": "error",
        "process": "worker 0",
        "event": "went_wrong",
        "message": "it went wrong",
        "count": 3,
    }


def test_a_text_line_moves_no_cursor_and_begins_no_other() -> None:
    out = start("text")
    say("a\x1b[2J\nb", event="e", name="x\ry")
    assert out.getvalue() == "jotgate: a\\x1b[2J\\nb name=x\\ry\n"


def test_auto_is_json_where_no_terminal_is() -> None:
    out = start("auto")
    say("hello")
    assert lines(out)[0]["message"] == "hello"


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_what_weighs_less_than_the_level_is_not_written(level: str, count: int) -> None:
    out = start("json", level)
    for weight in ("debug", "info", "warning"):
        say("x", level=weight)
    assert len(lines(out)) == count


def test_a_flood_of_one_event_is_cut_and_others_come_through() -> None:
    out = start("json")
    for _ in range(1_000):
        say("again", event="flood")
    say("something else", event="other")
    said = [line["event"] for line in lines(out)]
    assert 20 <= said.count("flood") <= 60  # The second may have turned while they were written.
    assert said[-1] == "other"


def test_a_call_that_an_upstream_failed_is_found_by_its_request_id() -> None:
    out = start("json", "warning")
    record = CallRecord(
        at=0, worker="w", row=1, operation="chat.completions", status=502, outcome="failed",
        code="upstream_unavailable", upstream="u", request_id="req-1",
    )  # fmt: skip
    CallJournal().note(record, "[Errno 111] Connect call failed")
    (line,) = lines(out)
    named = ("event", "request_id", "upstream", "code", "reason")
    assert [line[name] for name in named] == [
        "call_failed", "req-1", "u", "upstream_unavailable", "[Errno 111] Connect call failed",
    ]  # fmt: skip


def test_a_refused_call_is_said_for_debugging_only() -> None:
    record = CallRecord(at=0, worker="w", row=1, operation="o", status=401, outcome="refused", code="token_expired")
    for level, count in (("debug", 1), ("info", 0)):
        out = start("json", level)
        CallJournal().note(record, "")
        assert len(lines(out)) == count


def test_a_fault_in_a_callback_is_told_without_its_arguments() -> None:
    out = start("json")

    def fail(body: bytes) -> None:
        raise KeyError(len(body))

    async def play() -> None:
        loop = asyncio.get_running_loop()
        watch_loop(loop)
        loop.call_soon(fail, b"a prompt that nobody may read")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(play())
    (line,) = lines(out)
    assert (line["event"], line["level"]) == ("internal", "error")
    assert "KeyError: 29" in str(line["trace"])
    assert "prompt" not in out.getvalue()


def test_a_secret_that_is_part_of_another_is_taken_out_with_it() -> None:
    redactor = Redactor()
    for secret in ("abcdef", "abcdef-and-more"):
        redactor.learn([secret])
    assert redactor.clean("x abcdef-and-more y abcdef z") == "x (secret) y (secret) z"


def test_so_many_secrets_are_known_and_no_more() -> None:
    redactor = Redactor()
    redactor.learn(f"other{number}" for number in range(20_000))
    redactor.learn(["the-last-of-all"])
    assert redactor.clean("the-last-of-all") == "(secret)"
    assert len(redactor._learnt) == 10_000

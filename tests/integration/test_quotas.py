"""Quotas of a running gateway: what is let through, cut, charged, written down and counted."""

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.mock import start_counting
from bench.server import running
from jotgate.testing.call_log import read_calls, tokens_of
from jotgate.testing.running import Gateway, run_command, until
from tests.exposition import read_exposition
from tests.integration.exchanges import Caller, record_of

StartGateway = Callable[..., Gateway]
MakeCaller = Callable[..., Caller]
STEP = 64


@pytest.fixture
def seller(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An upstream that keeps ceilings and writes down what it sold: its entry and its log."""
    log = tmp_path / "calls.txt"
    with running(start_counting(None, log)) as server:
        upstream = f'[[upstreams]]\nname = "seller"\nkind = "openai"\nbase_url = "http://127.0.0.1:{server.port}/v1"\n'
        route = f'[[routes]]\nalias = "m"\nattempts = [{{ upstream = "seller" }}]\noutput_step = {STEP}\n'
        yield upstream + route, log


def quota(limit: str, name: str = "q") -> str:
    return f'[[quotas]]\nname = "{name}"\nlimit = "{limit}"\n'


def test_calls_beyond_a_quota_are_refused_recorded_and_counted(start_gateway: StartGateway, call: MakeCaller) -> None:
    gateway = start_gateway(quota("3 requests/lifetime"))
    caller = call(gateway, gateway.token("--scope", "ai", "--scope", "metrics"))
    answers = [
        caller(
            "POST",
            "/v1/chat/completions",
            {"model": "echo", "messages": [{"role": "user", "content": "one two"}]},
            headers={"X-Request-Id": f"q-{number}"},
        )
        for number in range(4)
    ]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    assert answers[3].code == "quota_exceeded"
    charged = record_of(gateway, "q-2")["charged"]
    assert charged == {"tokens_in": 2, "tokens_out": 2}
    refused = record_of(gateway, "q-3")
    assert (refused["code"], refused["status"], "charged" in refused) == ("quota_exceeded", 429, False)

    def counted() -> bool:
        found = read_exposition(caller("GET", "/metrics").body.decode())
        return found.total("jotgate_quota_refusals_total", level="principal", unit="requests") == 1

    until(counted, "the refusal is counted", 10.0)
    shown = run_command("explain", "q-2", data=gateway.data).stdout
    assert "charged   tokens_in=2 tokens_out=2" in shown


def test_a_stream_is_cut_within_its_quota_and_the_upstream_sold_no_more(
    start_gateway: StartGateway, call: MakeCaller, seller: tuple[str, Path]
) -> None:
    entry, log = seller
    gateway = start_gateway(entry + quota("600 tokens/lifetime"))
    caller = call(gateway, gateway.token())
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "n=100000,i=1000"}]}
    caller.send("POST", "/v1/chat/completions", body, headers={"X-Request-Id": "cut"})
    with pytest.raises(http.client.IncompleteRead) as torn:
        caller.receive()
    event = json.loads(torn.value.partial.rstrip().rpartition(b"data: ")[2])
    assert event["error"]["code"] == "quota_exceeded"
    record = record_of(gateway, "cut")
    assert (record["outcome"], record["code"]) == ("cut", "quota_exceeded")
    spent = sum(record["charged"].get(name, 0) for name in ("tokens_in", "tokens_out"))
    assert 500 <= spent <= 600
    until(lambda: len(read_calls(log)) == 1, "the upstream has written the call down", 10.0)
    assert tokens_of(read_calls(log)) <= spent


def test_a_unary_call_is_sent_the_ceiling_that_is_left(
    start_gateway: StartGateway, call: MakeCaller, seller: tuple[str, Path]
) -> None:
    entry, log = seller
    gateway = start_gateway(entry + quota("200 tokens/lifetime"))
    caller = call(gateway, gateway.token())
    answer = caller.chat("m", "k=5000")
    assert answer.status == 200
    assert caller.chat("m", "k=5000").status in (200, 429)
    while (answer := caller.chat("m", "k=5000")).status == 200:
        pass
    assert answer.code == "quota_exceeded"
    assert tokens_of(read_calls(log)) <= 200
    assert all(one.ceiling is not None for one in read_calls(log))


def test_only_so_many_calls_run_at_once(
    start_gateway: StartGateway, call: MakeCaller, seller: tuple[str, Path]
) -> None:
    entry, _ = seller
    gateway = start_gateway(entry + quota("1 concurrent"))
    token = gateway.token()
    first, second = call(gateway, token), call(gateway, token)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "n=1500,i=4000"}]}
    first.send("POST", "/v1/chat/completions", body, headers={"X-Request-Id": "first"})
    until(lambda: read_live(gateway, call) == 1, "the first call runs", 10.0)
    refused = second.chat("m", "k=1")
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert first.receive().status == 200
    assert second.chat("m", "k=1").status == 200


def read_live(gateway: Gateway, call: MakeCaller) -> float:
    caller = call(gateway, gateway.token("--scope", "ai", "--scope", "metrics"))
    return read_exposition(caller("GET", "/metrics").body.decode()).total("jotgate_live_calls")

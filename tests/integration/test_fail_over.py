"""A running gateway before upstreams that fail, refuse, are full, or stand behind a proxy: no good request suffers."""

import json
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.testing.certificates import Authority
from jotgate.testing.running import Gateway, running_gateway, until
from jotgate.testing.upstream import Gate, UpstreamServer, unary, upstream_in_thread
from tests.integration.exchanges import Answer, Caller, record_of
from tests.proxies import proxy_in_thread

_GOOD: Final = unary(b'{"choices":[]}')
_CALLERS: Final = 8


def entry(name: str, base_url: str, *settings: str) -> str:
    """An upstream in `jotgate.toml`."""
    lines = (f'name = "{name}"', 'kind = "openai"', f'base_url = "{base_url}"', *settings)
    return "[[upstreams]]\n" + "".join(f"{line}\n" for line in lines)


def route(*attempts: str, rules: str = "") -> str:
    """A route `m` in `jotgate.toml`."""
    return f'[[routes]]\nalias = "m"\nattempts = [{", ".join(attempts)}]\n{rules}\n'


@contextmanager
def many(gateway: Gateway, callers: int = _CALLERS) -> Iterator[Callable[[int], list[Answer]]]:
    """So many callers with a connection each; what this gives has them make calls, and returns all answers."""
    token = gateway.token()
    idle: SimpleQueue[Caller] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(callers):
            idle.put(stack.enter_context(closing(Caller(gateway, token))))

        def call(_: int) -> Answer:
            caller = idle.get()
            answer = caller.chat("m")
            idle.put(caller)
            return answer

        pool = stack.enter_context(ThreadPoolExecutor(callers))
        yield lambda count: list(pool.map(call, range(count)))


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def test_while_one_of_two_upstreams_answers_503_now_and_then_no_request_fails() -> None:
    with upstream_in_thread() as first, upstream_in_thread() as second:
        for number in range(300):
            retry = [b"Retry-After: 0"] if number % 2 else []
            first.script.append(unary(b"{}", 503, *retry) if number % 5 in (1, 2) else _GOOD)
        first.default = second.default = _GOOD
        config = (
            entry("first", first.base_url, 'breaker_timeout = "1s"', "breaker_failures = 2")
            + entry("second", second.base_url)
            + route('{ upstream = "first", weight = 1 }', '{ upstream = "second", weight = 1 }')
        )
        with running_gateway(config) as gateway, many(gateway) as call:
            assert statuses(call(300)) == {200: 300}
        assert len(first.requests) + len(second.requests) > 300


def test_while_one_of_two_upstreams_refuses_connections_now_and_then_no_request_fails() -> None:
    with upstream_in_thread() as first, upstream_in_thread() as second:
        first.default = unary(b'{"choices":[]}', 200, b"Connection: close")
        second.default = _GOOD
        config = (
            entry("first", first.base_url, 'breaker_timeout = "1s"')
            + entry("second", second.base_url)
            + route('{ upstream = "first" }', '{ upstream = "second" }')
        )
        with running_gateway(config) as gateway, many(gateway) as call:
            for _ in range(3):
                first.do(first.refuse())
                assert statuses(call(40)) == {200: 40}
                first.do(first.accept())
                call_until_asked(call, first)
                assert statuses(call(40)) == {200: 40}


def call_until_asked(call: Callable[[int], list[Answer]], server: UpstreamServer) -> None:
    """Make good calls until this upstream, whose breaker has opened, is asked again."""
    asked = len(server.requests)
    while len(server.requests) == asked:
        assert statuses(call(8)) == {200: 8}


def test_weights_share_the_calls() -> None:
    with upstream_in_thread() as first, upstream_in_thread() as second:
        first.default = second.default = _GOOD
        config = (
            entry("first", first.base_url)
            + entry("second", second.base_url)
            + route('{ upstream = "first", weight = 3 }', '{ upstream = "second", model = "n", weight = 1 }')
        )
        with running_gateway(config) as gateway, many(gateway) as call:
            assert statuses(call(80)) == {200: 80}
        assert abs(len(first.requests) - 60) <= 2
        assert json.loads(second.requests[0].body)["model"] == "n"


def test_an_upstream_that_is_down_is_left_alone_and_its_callers_are_told_at_once() -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{dead.getsockname()[1]}"
        config = entry("dead", base_url, 'models = ["m"]', "breaker_failures = 3", 'breaker_timeout = "1h"')
        with running_gateway(config) as gateway:
            caller = Caller(gateway, gateway.token())
            codes = [caller.chat("m").code for _ in range(4)]
            assert codes == [Code.UPSTREAM_UNAVAILABLE] * 3 + [Code.UPSTREAM_SUSPENDED]
            answer = caller("POST", "/v1/chat/completions", {"model": "m"}, headers={"X-Request-Id": "suspended"})
            assert (answer.status, answer.code) == (503, Code.UPSTREAM_SUSPENDED)
            assert 3_500 < int(answer.all("retry-after")[0]) <= 3_600
            assert record_of(gateway, "suspended")["outcome"] == "refused"
            assert gateway.errors.count("is left alone for a while") == 1
            caller.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hundred_calls_at_once_never_exceed_the_bound_at_the_upstream(workers: int) -> None:
    gates = [Gate() for _ in range(100)]
    with upstream_in_thread(*([gate, *_GOOD] for gate in gates)) as server:
        config = entry("one", server.base_url, 'models = ["m"]', "max_concurrent = 4", 'queue_timeout = "1m"')
        with running_gateway(config, "--workers", str(workers)) as gateway, ExitStack() as stack:
            call = stack.enter_context(many(gateway, 100))
            pool = stack.enter_context(ThreadPoolExecutor(1))
            answers = pool.submit(call, 100)
            for number, gate in enumerate(gates):
                until(lambda seen=number: len(server.requests) > seen, f"call {number} has come")  # type: ignore[misc]
                gate.open()
            assert statuses(answers.result(30)) == {200: 100}
        assert server.busiest <= 4
        assert server.opened <= 8  # Of each worker's connections one may be closing while the next is opened.


def test_a_full_queue_and_a_long_wait_are_told() -> None:
    gate = Gate()
    with upstream_in_thread([gate, *_GOOD]) as server:
        server.default = _GOOD
        bounds = ("max_concurrent = 1", "queue_length = 1", 'queue_timeout = "1s"')
        config = entry("one", server.base_url, 'models = ["m"]', *bounds)
        with running_gateway(config) as gateway, ExitStack() as stack:
            token = gateway.token()
            callers = [stack.enter_context(closing(Caller(gateway, token))) for _ in range(3)]
            pool = stack.enter_context(ThreadPoolExecutor(2))
            first = pool.submit(callers[0].chat, "m")
            until(lambda: len(server.requests) == 1, "the first call has come")
            second = pool.submit(callers[1].chat, "m")
            # Whichever of the two came second waits in the queue, and the other one finds it full.
            third = callers[2].chat("m")
            assert (second.result(10).code, third.code) == (Code.UPSTREAM_BUSY, Code.UPSTREAM_BUSY)
            assert third.all("retry-after") == ["1"]
            gate.open()
            assert first.result(10).status == 200
            assert callers[2].chat("m").status == 200
            assert len(server.requests) == 2


def tls_upstream(authority: Authority) -> ssl.SSLContext:
    """The upstream's half of TLS."""
    pair = authority.issue("upstream")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def test_an_upstream_with_a_certificate_of_its_own_authority_is_reached_through_a_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "proxy.txt").write_text("user:pass\n")
    with (
        upstream_in_thread(tls=tls_upstream(authority)) as server,
        proxy_in_thread("Basic dXNlcjpwYXNz") as proxy,
    ):
        server.default = _GOOD
        through = (f'proxy = "{proxy.url}"', f'proxy_credential_file = "{tmp_path}/proxy.txt"')
        roots = f'ca_file = "{authority.root}"'
        config = (
            entry("proxied", server.base_url, 'models = ["m"]', roots, *through)
            + entry("straight", server.base_url, 'models = ["straight"]', roots)
            + entry("strange", server.base_url, 'models = ["strange"]')
            + entry("barred", server.base_url, 'models = ["barred"]', roots, through[0])
        )
        with running_gateway(config) as gateway:
            caller = Caller(gateway, gateway.token())
            assert [caller.chat("m").status for _ in range(3)] == [200] * 3
            assert len(proxy.heads) == 1
            assert caller.chat("straight").status == 200
            assert len(proxy.heads) == 1
            assert caller.chat("strange").code == Code.UPSTREAM_UNAVAILABLE
            assert caller.chat("barred").code == Code.UPSTREAM_UNAVAILABLE
            caller.close()
        assert {request.target for request in server.requests} == {"/v1/chat/completions"}


def test_a_health_check_finds_what_calls_would_have_found() -> None:
    with upstream_in_thread() as first, upstream_in_thread() as second:
        first.default, second.default = unary(b"{}", 500), _GOOD
        rules = ("breaker_failures = 2", 'health_path = "/health"', 'health_interval = "1s"')
        config = (
            entry("first", first.base_url, *rules)
            + entry("second", second.base_url)
            + route('{ upstream = "first" }', '{ upstream = "second" }')
        )
        with running_gateway(config) as gateway:
            until(lambda: len(first.requests) == 3, "two checks have failed, and the next one begins")
            assert {request.target for request in first.requests} == {"/health"}
            caller = Caller(gateway, gateway.token())
            assert caller.chat("m").status == 200
            assert len(second.requests) == 1
            caller.close()

"""What the settings of the edge do at a running gateway: waits, crowds, web origins, and their change meanwhile."""

import http.client
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from jotgate.errors import Code
from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import Caller, exchange, records, statuses

HASTE = "[limits]\nfirst_byte_s = 1\nheader_s = 1\nbody_s = 1\nidle_s = 1\n"
ORIGIN = "https://app.example"


def test_slow_clients_are_cut_off_and_told_so_where_a_request_had_begun(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(HASTE)
    token = gateway.token().encode()
    assert exchange(gateway, b"") == b""
    assert statuses(exchange(gateway, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")) == [200]
    body = b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: 9\r\n\r\n{" % token
    for begun in (b"GET /health HTTP/1.1\r\nHos", body):
        received = exchange(gateway, begun)
        assert statuses(received) == [408]
        assert Code.REQUEST_TIMEOUT.encode() in received
    until(lambda: [record["code"] for record in records(gateway)] == ["request_timeout"] * 2, "both are recorded")


def test_one_address_has_its_share(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("[limits]\nconnections_per_address = 20\n")
    address = urlsplit(gateway.url)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection((address.hostname, address.port), 10))
        received = exchange(gateway, b"")
        assert statuses(received) == [429]
        assert Code.TOO_MANY_CONNECTIONS.encode() in received
    until(lambda: statuses(exchange(gateway, b"GET / HTTP/1.0\r\n\r\n")) == [404], "there is room again")


def test_a_page_of_a_listed_origin_may_call_and_the_list_can_change(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("")
    caller = Caller(gateway, gateway.token())
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    def allowed() -> list[str]:
        answer = caller("OPTIONS", "/v1/chat/completions", headers=asked, token=b"none")
        assert answer.status == 204
        return answer.all("access-control-allow-origin")

    assert allowed() == []
    gateway.data.with_name("jotgate.toml").write_text(f'[cors]\norigins = ["{ORIGIN}"]\n')
    until(lambda: allowed() == [ORIGIN], "the origin is listed")
    answer = caller("GET", "/v1/models", headers={"Origin": ORIGIN})
    assert answer.all("access-control-allow-origin") == [ORIGIN]
    refused = caller("GET", "/v1/models", headers={"Origin": ORIGIN}, token=b"x")
    assert (refused.status, refused.all("access-control-allow-origin")) == (401, [ORIGIN])
    caller.close()


def test_a_proxy_is_believed_as_soon_as_it_is_trusted(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("")
    caller = Caller(gateway, gateway.token())

    def recorded() -> str:
        count = len(records(gateway))
        assert caller("GET", "/v1/models", headers={"X-Forwarded-For": "203.0.113.5"}).status == 200
        until(lambda: len(records(gateway)) > count, "it is recorded")
        return str(records(gateway)[-1]["peer"])

    assert recorded() == "127.0.0.1"
    gateway.data.with_name("jotgate.toml").write_text('[server]\ntrusted_proxies = ["127.0.0.1"]\n')
    until(lambda: recorded() == "203.0.113.5", "the proxy is believed")
    caller.close()


@pytest.mark.parametrize(
    ("path", "allow"), [("/v1/chat/completions", "OPTIONS, POST"), ("/v1/models", "GET, HEAD, OPTIONS")]
)
def test_options_and_head(steady_gateway: Gateway, path: str, allow: str) -> None:
    caller = Caller(steady_gateway, steady_gateway.token())
    answer = caller("OPTIONS", path, token=b"none")
    assert (answer.status, answer.all("allow"), answer.body) == (204, [allow], b"")
    head = caller("HEAD", "/v1/models")
    assert (head.status, head.body, head.all("x-content-type-options")) == (200, b"", ["nosniff"])
    assert head.all("content-length") == caller("GET", "/v1/models").all("content-length")
    caller.close()


def test_a_worker_that_is_told_to_stop_says_goodbye_and_lets_an_upload_come(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway("")
    token, address = gateway.token(), urlsplit(gateway.url)
    kept = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    kept.request("GET", "/health")
    assert kept.getresponse().read()
    body = b'{"model":"echo","messages":[{"role":"user","content":"hello"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
    with ExitStack() as stack:
        silent, upload = (
            stack.enter_context(socket.create_connection((address.hostname, address.port), 10)) for _ in range(2)
        )
        upload.sendall(head % (token.encode(), len(body)) + body[:9])
        # The worker accepts in turn: when this is answered, it has the two before.
        assert statuses(exchange(gateway, b"GET /health HTTP/1.0\r\n\r\n")) == [200]
        os.kill(gateway.pids["worker 0"], signal.SIGTERM)
        until(lambda: "takes nothing more" in gateway.errors, "it drains")
        kept.request("GET", "/health")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert silent.recv(1) == b"", "the moment for a last request is over"
        upload.sendall(body[9:])
        received = b""
        while piece := upload.recv(65_536):
            received += piece
    assert statuses(received) == [200]
    assert b"\r\nConnection: close\r\n" in received
    kept.close()

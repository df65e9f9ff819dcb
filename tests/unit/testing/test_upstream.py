"""The scripted upstream does what it is told, and sees what it is sent."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from jotgate.testing.upstream import (
    Answer,
    End,
    Gate,
    UpstreamServer,
    chunked,
    torn,
    unary,
    until_close,
    upstream_in_thread,
)


def client_of(server: UpstreamServer) -> http.client.HTTPConnection:
    parts = urlsplit(server.base_url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)


@pytest.mark.parametrize("answer", [unary(b"abcd", 201), chunked(b"ab", b"cd"), until_close(b"ab", b"cd")])
def test_an_answer_is_one_that_another_client_reads(answer: Answer) -> None:
    with upstream_in_thread(answer) as server:
        client = client_of(server)
        client.request("POST", "/v1/x", b"body", {"X-Thing": "a"})
        response = client.getresponse()
        assert (response.status, response.read()) == (201 if answer == unary(b"abcd", 201) else 200, b"abcd")
        (request,) = server.requests
        assert (request.target, request.headers["x-thing"], request.body) == ("/v1/x", "a", b"body")
        client.close()


def test_what_is_not_scripted_is_answered_by_default() -> None:
    with upstream_in_thread() as server:
        client = client_of(server)
        for status in (500, 418):
            client.request("GET", "/")
            response = client.getresponse()
            assert response.status == status
            response.read()
            server.default = unary(b"", 418)
        assert [request.connection for request in server.requests] == [0, 0]
        assert server.connections == 1
        client.close()


def test_a_torn_answer_is_short() -> None:
    with upstream_in_thread(torn(b"half")) as server:
        client = client_of(server)
        client.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()
        client.close()


def test_a_gate_holds_the_answer_until_it_is_opened_from_another_thread() -> None:
    gate = Gate()
    answer: Answer = [b"HTTP/1.1 200 OK\r\n", gate, b"Content-Length: 0\r\n\r\n"]
    with upstream_in_thread(answer) as server, socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        for part in (b"POST / HTTP/1.1\r\nContent-Le", b"ngth: 2\r\n\r\na", b"b"):
            sock.sendall(part)
        assert sock.recv(100) == b"HTTP/1.1 200 OK\r\n"
        gate.open()
        assert sock.recv(100) == b"Content-Length: 0\r\n\r\n"
        assert server.requests[0].body == b"ab"


def first_byte(end: End) -> bytes:
    """What a client reads of an answer that is only an end."""
    script: Answer = [end, b"never sent"]
    with upstream_in_thread(script) as server, socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return sock.recv(1)


def test_a_connection_ends_as_it_is_told() -> None:
    assert first_byte(End()) == b""
    with pytest.raises(ConnectionResetError):
        first_byte(End("reset"))

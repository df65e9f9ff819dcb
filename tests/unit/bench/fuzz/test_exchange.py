"""What the campaign calls a sound answer."""

import pytest

from bench.fuzz.exchange import read_responses

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 4\r\n\r\nHTTP"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "statuses"),
    [
        (b"", []),
        (OK, [200]),
        (OK + BAD, [200, 400]),
        (CHUNKED + OK, [200, 200]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, [100, 200]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + BAD, [200, 400]),  # an answer to HEAD
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK, [200, 200]),
        (b"HTTP/1.1 200 OK\r\nContent-Le", [200]),
        (b"HTTP/1.1 204 No Content\r\n\r\n" + OK, [204, 200]),
    ],
)
def test_responses_are_told_apart(received: bytes, statuses: list[int]) -> None:
    assert read_responses(received) == statuses


@pytest.mark.parametrize(
    "received", [b"hello", OK + b"more", BAD[1:], b"HTTP/1.0 200 OK\r\n\r\n", CHUNKED + b"0\r\n\r\n"]
)
def test_anything_else_is_none(received: bytes) -> None:
    assert read_responses(received) is None

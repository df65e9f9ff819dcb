"""Header fields cross the gateway by allow-list alone."""

from jotgate.gateway.headers import content_type, has_coding, lines_to_caller, lines_to_upstream


def test_only_what_an_upstream_needs_goes_to_it() -> None:
    lines = lines_to_upstream(
        {
            b"accept": b"text/event-stream",
            b"openai-beta": b"assistants=v2",
            b"traceparent": b"00-1-2-01",
            b"tracestate": b"a=b",
            b"authorization": b"Bearer secret",
            b"cookie": b"session=1",
            b"accept-encoding": b"gzip",
            b"openai-organization": b"org",
            b"x-forwarded-for": b"10.0.0.1",
            b"x-request-id": b"from-the-caller",
            b"x-jotgate-peer": b"10.0.0.1",
            b"host": b"gate",
            b"content-length": b"7",
            b"connection": b"keep-alive",
        },
        "req-1",
    )
    assert lines == (
        b"X-Request-Id: req-1\r\naccept: text/event-stream\r\nopenai-beta: assistants=v2\r\n"
        b"traceparent: 00-1-2-01\r\ntracestate: a=b\r\n"
    )


def test_only_what_a_caller_needs_comes_back() -> None:
    lines = lines_to_caller(
        [
            (b"content-type", b"application/json"),
            (b"content-encoding", b"identity"),
            (b"retry-after", b"3"),
            (b"x-should-retry", b"true"),
            (b"openai-organization", b"ours"),
            (b"set-cookie", b"a=b"),
            (b"www-authenticate", b"Bearer"),
            (b"x-request-id", b"theirs"),
            (b"x-ratelimit-remaining-tokens", b"7"),
            (b"connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"content-length", b"7"),
            (b"server", b"theirs"),
        ],
        "req-1",
    )
    assert lines == (
        b"X-Request-Id: req-1\r\ncontent-type: application/json\r\ncontent-encoding: identity\r\n"
        b"retry-after: 3\r\nx-should-retry: true\r\n"
    )


def test_the_media_type_is_read_without_its_parameters() -> None:
    assert content_type([(b"x", b"y"), (b"content-type", b"Text/Event-Stream ; charset=utf-8")]) == b"text/event-stream"
    assert content_type([]) == b""


def test_a_coding_is_seen() -> None:
    assert has_coding([(b"content-encoding", b"gzip")])
    assert not has_coding([(b"content-type", b"gzip")])

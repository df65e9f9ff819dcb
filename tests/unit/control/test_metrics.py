"""The loopback listener of the figures: one path, for those who call it by a name of its own."""

import asyncio

import pytest
from starlette.types import Message, Scope

from jotgate.control.metrics import build_metrics, metrics_route


def get(path: str, host: str = "127.0.0.1:9464") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, header fields and body of a GET."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", host.encode())],
        "server": ("127.0.0.1", 9464),
        "client": ("127.0.0.1", 50_000),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    application = build_metrics(metrics_route(lambda: b"up 1\n", "text/plain"))
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


def test_the_figures_are_at_their_path() -> None:
    status, headers, body = get("/metrics")
    assert (status, body, headers[b"cache-control"]) == (200, b"up 1\n", b"no-store")


@pytest.mark.parametrize("path", ["/metrics/", "/metrics//", "//evil.example/metrics/", "/"])
def test_no_other_path_leads_there_and_none_is_repeated(path: str) -> None:
    status, headers, body = get(path, "localhost:9464")
    assert (status, b"location" in headers) == (404, False)
    assert b"evil" not in body


def test_a_name_of_somebody_else_is_refused() -> None:
    assert get("/metrics", "evil.example")[0] == 403

"""What of a caller's header reaches an MCP server."""

import pytest

from jotgate.core.calls import Request
from jotgate.gateway.mcp_lines import legacy_passed, stateless_passed


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_stream_is_taken_up_again_by_get_alone_where_what_is_said_again_is_sifted(method: bytes) -> None:
    headers = {b"mcp-protocol-version": b"2025-11-25", b"last-event-id": b"e-7", b"authorization": b"Bearer own"}
    request = Request(method, b"/mcp/files", b"", headers, "127.0.0.1", 0.0, request_id="r-1")
    for lines in (legacy_passed(request, "theirs"), stateless_passed(request)):
        assert b"mcp-protocol-version: 2025-11-25" in lines
        assert b"own" not in lines
    assert (b"last-event-id: e-7\r\n" in legacy_passed(request, "theirs")) == (method == b"GET")
    assert b"last-event-id" not in stateless_passed(request)

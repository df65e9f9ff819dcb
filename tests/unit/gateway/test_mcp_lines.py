"""What of a caller's header reaches an MCP server."""

import pytest

from jotgate.core.calls import Request
from jotgate.gateway.mcp_lines import legacy_passed, stateless_passed


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_nothing_is_said_again_of_another_stream_where_nobody_would_sift_it(method: bytes) -> None:
    headers = {b"mcp-protocol-version": b"2025-11-25", b"last-event-id": b"e-7", b"authorization": b"Bearer own"}
    request = Request(method, b"/mcp/files", b"", headers, "127.0.0.1", 0.0, request_id="r-1")
    for lines in (legacy_passed(request, "theirs"), stateless_passed(request)):
        assert b"mcp-protocol-version: 2025-11-25" in lines
        assert b"last-event-id" not in lines.lower()
        assert b"e-7" not in lines
        assert b"own" not in lines

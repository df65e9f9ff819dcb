"""A real MCP server of the older era alone, over its input and output: `python -m tests.peers.mcp_elder`.

Its tool `wait` is never answered, and `cancelled` tells which ids it was told to cancel, and what was asked under them.
"""

import json
import sys
from typing import Any, Final

_TOOLS: Final = [{"name": name, "inputSchema": {"type": "object"}} for name in ("cancelled", "wait")]


def main() -> None:
    """Answer line by line."""
    asked: dict[object, str] = {}
    cancelled: list[str] = []
    for line in sys.stdin:
        message = json.loads(line)
        params: dict[str, Any] = message.get("params", {})
        if message["method"] == "notifications/cancelled":
            cancelled.append(asked.get(params["requestId"], "nothing"))
        elif message["method"] == "tools/call" and params["name"] == "wait":
            asked[message["id"]] = params["arguments"]["name"]
            progress = {"progressToken": params["_meta"]["progressToken"], "progress": 0}
            _say({"method": "notifications/progress", "params": progress})
        elif "id" in message:
            _say({"id": message["id"], **_answer(message["method"], cancelled)})


def _answer(method: str, cancelled: list[str]) -> dict[str, object]:
    if method == "initialize":
        told = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
        return {"result": {**told, "serverInfo": {"name": "elder", "version": "1"}}}
    if method == "tools/list":
        return {"result": {"tools": _TOOLS}}
    if method == "tools/call":
        return {"result": {"content": [{"type": "text", "text": json.dumps(cancelled)}]}}
    return {"error": {"code": -32601, "message": "no such method"}}


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

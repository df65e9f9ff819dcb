"""An MCP server over its input and output that says what no server may: `python -m tests.peers.mcp_hostile [elder]`.

It is told in the argument `case` of its tool, or as the cursor of a list, what to say. `elder`: it begins with what is
no answer to `initialize`, and never does better.
"""

import json
import os
import sys
from typing import Any

from tests.mcp_clients import STATELESS
from tests.mcp_script import HOSTILE, TOOLS


def main(arguments: list[str]) -> None:
    """Answer line by line."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message:
            continue
        if arguments:
            _say(HOSTILE["a list that is none"], message["id"])
            continue
        params: dict[str, Any] = message.get("params", {})
        case = params.get("arguments", {}).get("case") or params.get("cursor", "")
        answer = HOSTILE.get(case) or json.dumps({"jsonrpc": "2.0", "id": "ID", **_answer(message["method"])}).encode()
        _say(answer.replace(b'"ID"', b"ID"), message["id"])


def _answer(method: str) -> dict[str, object]:
    if method == "server/discover":
        return {"result": {"supportedVersions": [STATELESS], "capabilities": {"tools": {}}}}
    if method == "tools/list":
        return {"result": {"resultType": "complete", "tools": TOOLS}}
    if method == "tools/call":
        return {"result": {"resultType": "complete", "content": [{"type": "text", "text": str(os.getpid())}]}}
    return {"error": {"code": -32601, "message": "no such method"}}


def _say(line: bytes, identity: object) -> None:
    sys.stdout.buffer.write(line.replace(b"ID", json.dumps(identity).encode()) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

"""A daemon with the preset `mcp-daemon` and document 004's own secret, and what its own lines are run by."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import jwt as pyjwt
import pytest
from websockets.asyncio.client import connect

from jotgate.testing.running import Gateway, clean_environment, short_directory
from tests.documents.excerpts import ROOT, excerpt
from tests.peers.oidc_provider import FOLDER, node

SECRET: Final = "your_64_character_hex_secret_here"
"""The document's placeholder: at a daemon that only this machine reaches, its lines work as they stand."""
HELLO: Final = {"tool": "chat", "arguments": {"message": "Hello, EX-AI!"}}
PAGE: Final = "docs/systems/mcp-daemon.md"
WITHIN_S: Final = 30.0
SOCKETS: Final = ROOT / "tests/peers/mcp/node_modules"


def text_of(*lines: int, **values: str) -> str:
    """What entries have within their fences, one after the other."""
    rows = "\n".join(excerpt("004", line, **values) for line in lines).splitlines()
    fences = [place for place, row in enumerate(rows) if row.startswith("```")]
    opens = len(fences) > 1 or any(rows[place] != "```" for place in fences)
    return "\n".join(row for row in rows[fences[0] if opens else 0 :] if not row.startswith("```")) + "\n"


def signed(secret: str = SECRET, /, **claims: object) -> str:
    """A token with the document's claims; one that is None is left out."""
    now_s = int(time.time())
    usual: dict[str, object] = {
        "sub": "agent_001",
        "name": "AI Client",
        "iat": now_s,
        "exp": now_s + 3_600,
        "iss": "exai-mcp-server",
        "aud": "exai-mcp-client",
        "quota": 100,
        "role": "user",
        **claims,
    }
    return pyjwt.encode({name: one for name, one in usual.items() if one is not None}, secret, "HS256")


def run(command: list[str], place: Path, stdin: str = "", **variables: str) -> str:
    """What a command prints; nothing of it is kept but that."""
    done = subprocess.run(
        command,
        cwd=place,
        env=clean_environment({"PATH": os.environ["PATH"], **variables}),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(lines: str, place: Path, **variables: str) -> str:
    return run([sys.executable, "-c", lines], place, **variables)


class Daemon:
    """The daemon, with what is asked of it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.url = gateway.read_line_with("The preset mcp-daemon serves").split()[-1]
        self.address = self.url.replace("http:", "ws:")

    def post(self, path: str, token: str | None, body: object = None) -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = httpx.post(self.url + path, headers=headers, json=body, timeout=WITHIN_S, trust_env=False)
        return answer.status_code, answer.json()

    def validate(self, token: str | None) -> tuple[int, Any]:
        return self.post("/validate", token)

    def frame(self, token: str, frame: object) -> Any:
        """What is answered to one frame on a connection of its own."""

        async def talk() -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            async with connect(self.address, additional_headers=headers) as connection:
                await connection.send(json.dumps(frame))
                return json.loads(await connection.recv())

        return asyncio.run(asyncio.wait_for(talk(), WITHIN_S))


def require_sockets() -> None:
    if not (SOCKETS / "ws").is_dir() or not (FOLDER / "node_modules" / "jsonwebtoken").is_dir():
        pytest.skip("NOT COVERED, the document's JavaScript: npm could not install its packages (make setup)")


def javascript(lines: str, place: Path) -> str:
    require_sockets()
    file = place / "lines.cjs"
    file.write_text(lines)
    return run([node(), str(file)], place, NODE_PATH=f"{SOCKETS}:{FOLDER / 'node_modules'}")


@contextmanager
def mcp_daemon() -> Iterator[Daemon]:
    with short_directory() as place:
        dotenv = place / ".env"
        dotenv.write_text(text_of(84, secret=SECRET) + "EXAI_WS_PORT=0\n")
        dotenv.chmod(0o600)
        gateway = Gateway(place / "data", ("--preset", "mcp-daemon", "--workers", "1"), cwd=place)
        try:
            yield Daemon(gateway.start())
        finally:
            gateway.stop()


def result_of(answer: Any) -> str:
    """The text of a tool's result."""
    return str(answer["result"]["content"][0]["text"])

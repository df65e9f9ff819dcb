"""A gateway with the preset `api-gateway`, its backend, and document 003's own code in Node."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import jwt as pyjwt
import pytest

from jotgate.jose.keys import signing_key_to_pem
from jotgate.testing.running import Gateway, run_command
from tests.documents.excerpts import ROOT, excerpt
from tests.documents.ledger import read_documents
from tests.logging_in import JOHN, rsa_key
from tests.peers.oidc_provider import FOLDER, node

WITHIN_S: Final = 20.0
PEM: Final = signing_key_to_pem(rsa_key()).decode()
"""What JWT_PRIVATE_KEY holds."""
DATA: Final = "/api/protected/data"


def document(lines: range) -> str:
    """The document's own lines as they stand."""
    return "\n".join(read_documents(ROOT)["003"].lines[number - 1] for number in lines)


def middleware_with(jwks_url: str) -> str:
    """The document's middleware as it stands, but for the address of the keys."""
    _, _, client = excerpt("003", 116, jwks_url=jwks_url).partition("\n")  # Behind a sentence.
    return f"{client}\n{document(range(126, 188))}"


def require_npm() -> None:
    if not (FOLDER / "node_modules" / "jwks-rsa").is_dir():
        pytest.skip("NOT COVERED, the document's own code in Node: npm could not install its packages (make setup)")


class Face:
    """A gateway with the preset, and the backend's credentials."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        line = gateway.read_line_with("The preset api-gateway serves")
        self.url = line.split()[-1]
        self.backend = self.make_client("backend", "login")

    def make_client(self, name: str, grant: str) -> tuple[str, str]:
        said = self.command("client", "create", name, "--grant", grant)
        found = dict(row.split("=", 1) for row in said.split())
        return found["client_id"], found["client_secret"]

    def command(self, *arguments: str) -> str:
        done = run_command(*arguments, data=self.gateway.data)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str = DATA, token: str | None = None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.get(self.url + path, headers=headers, timeout=WITHIN_S)

    def log_in(self, **changes: object) -> Any:
        answer = httpx.post(self.url + "/api/auth/login", json={**JOHN, **changes}, auth=self.backend, timeout=WITHIN_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask_refresh(self, token: str) -> httpx.Response:
        return httpx.post(self.url + "/api/auth/refresh", json={"refreshToken": token}, timeout=WITHIN_S)

    def refresh(self, token: str) -> Any:
        answer = self.ask_refresh(token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post_form(self, path: str, **fields: str) -> httpx.Response:
        """Ask the token service of the native listener, as the backend."""
        return httpx.post(self.gateway.url + path, data=fields, auth=self.backend, timeout=WITHIN_S)


@contextmanager
def express_with(lines: str, folder: Path) -> Iterator[str]:
    """An Express application with these lines, ended at the end; where it listens."""
    file = folder / f"{len(list(folder.iterdir()))}.cjs"
    file.write_text(
        "const express = require('express');\nconst jwt = require('jsonwebtoken');\n"
        f"const app = express();\napp.use(express.json());\n{lines}\n"
        "const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));\n"
    )
    process = subprocess.Popen([node(), str(file)], stdout=subprocess.PIPE, text=True, env=_node_environment())
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait(WITHIN_S)
        process.stdout.close()


def _node_environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "NODE_PATH": str(FOLDER / "node_modules"), **variables}


def run_node(lines: str, place: Path, **variables: str) -> str:
    """What lines of the document print."""
    require_npm()
    file = place / "lines.cjs"
    file.write_text(lines)
    done = subprocess.run(
        [node(), str(file)],
        env=_node_environment(**variables),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def ask(url: str, token: str | None = None) -> tuple[int, Any]:
    """What the document's own middleware answers."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return told(httpx.get(url + DATA, headers=headers, timeout=WITHIN_S))


def signed(key: str = PEM, header: Mapping[str, str] | None = None, **changes: object) -> str:
    """A token that the key in JWT_PRIVATE_KEY has signed, whatever it says."""
    now_s = int(time.time())
    usual = {**JOHN, "iat": now_s, "exp": now_s + 3_600, "iss": "api-gateway", "aud": "openai-api"}
    return pyjwt.encode({**usual, **changes}, key, "RS256", headers=dict(header or {}))

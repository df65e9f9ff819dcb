"""The Coze proxy as its document has it: jotgate with its `.env`, in front of a Coze on loopback."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from openai import OpenAI

from jotgate.testing.coze import CozeServer
from jotgate.testing.coze_told import APP_ID, BOT_ID, WORKFLOW_ID
from jotgate.testing.running import Gateway, clean_environment, run_command, short_directory, until
from tests.documents.excerpts import ROOT, excerpt
from tests.peers.oidc_provider import FOLDER, node
from tests.stand_in_curl import install

SERVED: Final = 200
WITHIN_S: Final = 30.0
HELLO: Final[Any] = [{"role": "user", "content": "Hello!"}]
MODEL: Final = "gpt-3.5-turbo"
_SETTINGS: Final = (43, 47, 51, 56, 58)
"""A line of each of the ledger's entries that are lines of `.env`."""


def dotenv(coze: CozeServer, **changes: str | None) -> str:
    """The document's `.env`, the placeholders filled in; with `changes`, where None takes a line out."""
    key = coze.private_key_pem.strip().replace("\n", "\\n")
    head, tail = "-----BEGIN PRIVATE KEY-----\\n", "\\n-----END PRIVATE KEY-----"
    values = {
        "app_id": APP_ID,
        "key_id": coze.key_id,
        "private_key": key.removeprefix(head).removesuffix(tail),
        "coze": coze.url,
        "bot_id": BOT_ID,
        "workflow_id": WORKFLOW_ID,
    }
    text = "\n".join(excerpt("000", line, **values) for line in _SETTINGS)
    rows = [row for row in text.splitlines() if "=" in row and not row.startswith(("#", "`"))]
    found = dict(row.split("=", 1) for row in rows)
    return "".join(f"{name}={value}\n" for name, value in {**found, **changes}.items() if value is not None)


def variables(coze: CozeServer, **changes: str | None) -> dict[str, str]:
    """The same as an environment."""
    return dict(row.split("=", 1) for row in dotenv(coze, **changes).splitlines())


class CozeFace:
    """The face of a running gateway. `key` is what its callers show."""

    def __init__(self, url: str, coze: CozeServer, key: str = "not-used") -> None:
        self.url = url
        self.coze = coze
        self.key = key
        self._client = httpx.Client(timeout=WITHIN_S, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        """One request; an empty key is none."""
        shown = self.key if key is None else key
        headers = {**({"Authorization": f"Bearer {shown}"} if shown else {}), **more.pop("headers", {})}
        return self._client.request(method, self.url + path, headers=headers, **more)

    def chat(self, key: str | None = None, *, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        body = {"model": MODEL, "messages": HELLO, **more}
        return self.ask("POST", "/v1/chat/completions", key, json=body, headers=dict(headers or {}))

    def openai(self, key: str | None = None) -> OpenAI:
        """The official client; a refused request is not sent again."""
        shown = self.key if key is None else key
        return OpenAI(base_url=f"{self.url}/v1", api_key=shown, max_retries=0, timeout=WITHIN_S)

    def run(self, lines: str, place: Path) -> str:
        """What lines in bash print, with this face in the place of localhost:3000."""
        folder = place / "bin"
        folder.mkdir(exist_ok=True)
        path = f"{install(folder)}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=place,
            env=clean_environment({**kept, "PATH": path, "http_proxy": self.url}),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Housed(CozeFace):
    """A gateway with the preset, in a directory with `.env`; callers show tokens of the installation."""

    def __init__(self, gateway: Gateway, place: Path, coze: CozeServer) -> None:
        line = gateway.read_line_with("The preset coze-proxy serves")
        super().__init__(line.split()[-1], coze)
        self.gateway = gateway
        self.place = place
        self._tokens: dict[tuple[str, ...], str] = {}
        self.key = self.token("ann")

    def token(self, subject: str, *scopes: str) -> str:
        """A token; by default one that may do all that the face does."""
        if (subject, *scopes) in self._tokens:
            return self._tokens[subject, *scopes]
        words = [word for scope in scopes or ("ai", "upstream:credentials") for word in ("--scope", scope)]
        done = run_command("token", "create", "--subject", subject, *words, data=self.gateway.data)
        assert done.returncode == 0, done.stderr
        return self._tokens.setdefault((subject, *scopes), done.stdout.strip())

    def write(self, **changes: str | None) -> None:
        """Write `.env`, and have it read."""
        before = (self.place / ".env").read_text()
        after = dotenv(self.coze, **changes)
        if before != after:
            (self.place / ".env").write_text(after)
            self.gateway.reload()


@contextmanager
def housed(coze: CozeServer) -> Iterator[Housed]:
    """A gateway with the preset and the document's `.env`, for callers with tokens."""
    with short_directory() as place:
        (place / ".env").write_text(dotenv(coze))
        (place / ".env").chmod(0o600)
        gateway = Gateway(place / "data", ("--preset", "coze-proxy"), {"PORT": "0"}, cwd=place)
        try:
            with closing(Housed(gateway.start(), place, coze)) as found:
                yield found
        finally:
            gateway.kill()


def as_documented(house: Housed) -> Housed:
    """The same with the document's `.env` again, and a Coze that is well."""
    house.coze.faults.clear()
    house.coze.replies.clear()
    house.coze.life_s = None
    house.write()
    # Where nobody answered a moment ago, nobody is asked for a while.
    until(lambda: house.ask("GET", "/get_jwt").status_code == SERVED, "tokens are got")
    return house


def outside_make(additions: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a `make` that runs these tests hands on to another one."""
    inner = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS")
    return {name: value for name, value in clean_environment(additions).items() if name not in inner}


@contextmanager
def made(lines: str, environment: Mapping[str, str], place: Path) -> Iterator[tuple[str, Path]]:
    """Run lines of the document, which start jotgate in its own tree; where the face is, and the log."""
    said = place / "made.stderr"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            ["bash", "-c", lines],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=outside_make(environment),
            cwd=ROOT,
            start_new_session=True,
        )
    stdout = process.stdout
    assert stdout is not None
    first_lines = b""
    try:
        while b"/v1/chat/completions" not in first_lines.partition(b"The preset coze-proxy serves")[2]:
            ready = select.select([stdout], [], [], WITHIN_S)[0]
            piece = os.read(stdout.fileno(), 65_536) if ready else b""
            assert piece, said.read_text()
            first_lines += piece
        (place / "made.stdout").write_bytes(first_lines)
        line = next(row for row in first_lines.decode().splitlines() if row.startswith("The preset coze-proxy serves"))
        yield line.split()[-1], said
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(WITHIN_S)
        stdout.close()


def said(answer: httpx.Response) -> tuple[int, str]:
    """The status and the message of a refusal."""
    return answer.status_code, answer.json()["error"]["message"]


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def exchanges(coze: CozeServer) -> int:
    """How many tokens Coze has given."""
    return sum(not one.error for one in coze.exchanges)


def events_of(answer: httpx.Response) -> list[Any]:
    """The events of a stream, without its end."""
    rows = [row.removeprefix("data: ") for row in answer.text.split("\n\n") if row]
    assert rows.pop() == "[DONE]", answer.text
    return [json.loads(row) for row in rows]


def banner(face: CozeFace, text: str) -> list[str]:
    """The lines with curl of the first lines of a face."""
    lines = text.partition("The preset coze-proxy serves")[2].splitlines()[1:]
    found = [line.strip() for line in lines if line.strip().startswith("curl")]
    paths = [re.split(r"[ ']", one.partition(face.url)[2], maxsplit=1)[0] for one in found]
    assert paths == ["/get_jwt", "/refresh_jwt", "/clear_jwt", "/health", "/v1/chat/completions"]
    return found


def try_lines(face: CozeFace, lines: Sequence[str], place: Path) -> None:
    """Run them as they stand."""
    answers = [json.loads(face.run(one, place)) for one in lines]
    assert [one.get("success") for one in answers[:3]] == [True, True, True]
    assert answers[3]["status"] == "ok"
    assert answers[4]["choices"][0]["message"]["content"]


def require_openai() -> None:
    if not (FOLDER / "node_modules" / "openai").is_dir():
        pytest.skip("NOT COVERED, the document's client in Node: npm could not install `openai` (make setup)")


def run_module(rows: Sequence[str], place: Path) -> str:
    """What a module of these lines prints in Node."""
    (place / "node_modules").symlink_to(FOLDER / "node_modules")
    file = place / "lines.mjs"
    file.write_text("\n".join(rows))
    done = subprocess.run(
        [node(), str(file)], cwd=place, capture_output=True, encoding="utf-8", timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

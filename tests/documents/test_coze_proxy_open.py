"""Document 000 against a gateway that its own line has started, open to this machine: what is run is what is written.

The document says `localhost:3000`. The gateway listens on a free port, and curl finds it there as its proxy.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from jotgate.core.coze_proxy_variables import ALIASES
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_values import Fault, Reply
from jotgate.testing.running import run_command, short_directory, until
from tests.coze_faces import (
    HELLO,
    MODEL,
    SERVED,
    WITHIN_S,
    CozeFace,
    banner,
    code_of,
    made,
    outside_make,
    require_openai,
    run_module,
    try_lines,
    variables,
)
from tests.documents.excerpts import ROOT, code, excerpt

FORBIDDEN: Final = (b"czs_", b"PRIVATE KEY-----")


@pytest.fixture(scope="module")
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        yield server


class Opened(CozeFace):
    """The gateway that the document's line has started."""

    def __init__(self, url: str, coze: CozeServer, place: Path, said: Path) -> None:
        super().__init__(url, coze)
        self.place = place
        self.said = said

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    @property
    def first_lines(self) -> str:
        return (self.place / "made.stdout").read_text()

    def curl(self, line: int) -> Any:
        """What a line of the document with curl prints."""
        rows = [row for row in excerpt("000", line).splitlines() if row.strip().startswith("curl")]
        return json.loads(self.run("\n".join(rows), self.place))

    def make(self, line: int) -> str:
        """What a line of the document that is a target here prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code("000", line)],
            cwd=ROOT,
            env=outside_make({"PORT": self.port}),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def opened(coze: CozeServer) -> Iterator[Opened]:
    with short_directory() as place:
        environment = {**variables(coze), "PORT": "0", "JOTGATE_DATA": str(place / "data")}
        line = f"{code('000', 148).rstrip()} ARGS='--port 0'"
        with made(line, environment, place) as (url, said), closing(Opened(url, coze, place, said)) as found:
            yield found


def test_the_line_that_starts_it_serves_and_says_what_it_is(opened: Opened) -> None:
    assert code("000", 65).strip() == "make dev", "the same target as of the line that has started this one"
    assert "OPEN: it looks at no credential (--open-local)" in opened.first_lines
    assert opened.ask("GET", "/health", "").json()["mode"] == "open-local"


def test_the_documents_curl_lines_get_renew_and_drop_a_token(opened: Opened) -> None:
    first = opened.curl(74)
    assert first["success"] is True
    assert first["token"].startswith("czs_")
    assert first["info"].keys() == {"hasToken", "isValid", "expiresIn"}
    renewed = opened.curl(76)
    assert (renewed["success"], renewed["token_type"]) == (True, "Bearer")
    assert renewed["access_token"] not in {first["token"], ""}
    assert opened.curl(77) == {"success": True, "message": "JWT token cleared successfully"}


def test_the_documents_debugging_lines_say_how_it_stands(opened: Opened) -> None:
    health = opened.curl(138)
    assert health["config"] == {
        "hasCozeApiKey": False,
        "hasJWTConfig": True,
        "defaultModelType": "chat",
        "hasBotId": True,
        "hasWorkflowId": True,
    }
    assert opened.curl(143)["token"].startswith("czs_")
    assert opened.curl(138)["jwt"] == {"hasToken": True, "isValid": True, "expiresIn": pytest.approx(900, abs=30)}


def test_one_command_tries_all_paths_of_the_token(opened: Opened) -> None:
    printed = opened.make(71)
    for line in ("GET /get_jwt", "POST /refresh_jwt", "DELETE /clear_jwt", "GET /health", "all is well"):
        assert line in printed
    assert not re.search(r"czs_\w{8}", printed)


def test_the_complete_example_runs(opened: Opened) -> None:
    printed = opened.make(99)
    assert re.search(r"^chat  \S", printed, re.MULTILINE)
    assert re.search(r"^stream  \S", printed, re.MULTILINE)
    assert re.search(r"^workflow  \S", printed, re.MULTILINE)


def test_the_sdk_for_typescript_is_pointed_here_and_answered_through_coze(opened: Opened, tmp_path: Path) -> None:
    require_openai()
    opened.coze.replies.append(Reply(pieces=("Grüß ", "dich")))
    rows = [row for row in excerpt("000", 83, address=opened.url).splitlines() if not row.startswith("`")]
    rows.insert(rows.index("const openai = new OpenAI({") + 1, excerpt("000", 86))
    rows += [row for row in excerpt("000", 90).splitlines() if not row.startswith("`")]
    response = json.loads(run_module([*rows, "console.log(JSON.stringify(response));"], tmp_path))
    assert response["choices"][0]["message"] == {"role": "assistant", "content": "Grüß dich"}


def test_the_official_client_chats_streams_and_runs_a_workflow(opened: Opened) -> None:
    client = opened.openai("not-used")
    opened.coze.replies.append(Reply(pieces=("Grüß ", "dich"), usage=(3, 4)))
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Grüß dich", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 4, 7)
    opened.coze.replies.append(Reply(pieces=("Grüß ", "dich")))
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    text = "".join(one.delta.content or "" for chunk in stream for one in chunk.choices)
    assert text == "Grüß dich"
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers={"x-model-type": "workflow"})
    assert "Hello!" in str(answer.choices[0].message.content)
    assert [one.id for one in client.models.list()][:2] == list(ALIASES)


def test_logging_is_detailed_and_has_no_secret(opened: Opened) -> None:
    opened.coze.faults.append(Fault(code=4015))
    refused = opened.chat()
    unknown = opened.ask("GET", "/v1/conversations/none/history", headers={"Origin": "https://evil.example"})
    assert min(refused.status_code, unknown.status_code) >= 400
    token = opened.curl(74)["token"]
    until(lambda: unknown.headers["x-request-id"] in opened.said.read_text(), "what was refused is told")
    text = opened.said.read_bytes()
    assert token.encode() not in text
    for secret in FORBIDDEN:
        assert secret not in text
    assert b"Hello!" not in text, "nor what was said"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example:3000"}],
    ids=str,
)
def test_an_open_face_refuses_pages_of_elsewhere(opened: Opened, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/get_jwt"), ("POST", "/refresh_jwt"), ("GET", "/health")):
        assert code_of(opened.ask(method, path, headers=headers)) == (403, "origin_refused")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it is refused
def test_an_open_face_that_others_could_reach_does_not_start(coze: CozeServer, tmp_path: Path, host: str) -> None:
    environment = {**variables(coze), "PORT": "0", "HOST": host}
    words = ("up", "--preset", "coze-proxy", "--open-local", "--port", "0", "--behind-proxy")
    done = run_command(*words, data=tmp_path / "data", environment=environment)
    assert done.returncode != 0
    assert "--open-local" in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_first_lines_work_as_pasted(opened: Opened) -> None:
    try_lines(opened, banner(opened, opened.first_lines), opened.place)


def test_no_key_is_looked_at(opened: Opened) -> None:
    for key in ("not-used", "anything", ""):
        assert opened.ask("GET", "/v1/models", key).status_code == SERVED

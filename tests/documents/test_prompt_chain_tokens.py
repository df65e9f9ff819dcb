"""Document 001 on tokens: its lines for the script, the function and the dependency, run as they stand."""

import asyncio
import hmac
import json
import logging
import os
import re
import secrets
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import jwt as pyjwt
import pytest
from fastapi import APIRouter, FastAPI

from jotgate.core.preset_entries import PromptChainEntry
from jotgate.core.prompt_chain_secret import secret_fault
from jotgate.core.prompt_chain_variables import read_prompt_chain
from jotgate.sdk import generate_jwt
from jotgate.sdk.fastapi import verify_bearer_token
from tests.documents.excerpts import ROOT, code, excerpt

SECRET: Final = secrets.token_urlsafe(64)
TIME_LIMIT_S: Final = 40


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with `scripts` as the repository has it, and the secret in `.env`."""
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    (tmp_path / ".env").write_text(f"JWT_SECRET_KEY={SECRET}\n")
    return tmp_path


def run(lines: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Lines in bash there, `python` being the one that runs the tests, without a secret in the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JWT_", "JOTGATE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**kept, "PATH": path, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=TIME_LIMIT_S,
    )


def command(line: int) -> str:
    """The one command of an entry that calls the script; what stands around it is prose, comments and fences."""
    (found,) = (
        row.strip() for row in excerpt("001", line).splitlines() if re.match(r"\s*(python|export \w+=\$\(python)", row)
    )
    return found


def printed(lines: str, folder: Path, **variables: str) -> str:
    """The token that a command prints, or puts into a variable."""
    variable = re.match(r"export (\w+)=", lines)
    done = run(lines + (f"\nprintf '%s\\n' \"${variable[1]}\"" if variable else ""), folder, **variables)
    assert done.returncode == 0, done.stderr
    (token,) = done.stdout.splitlines()
    return token


def claims_of(token: str, secret: str = SECRET, algorithm: str = "HS256") -> dict[str, int | str]:
    """What another library reads in it."""
    found: dict[str, int | str] = pyjwt.decode(token, secret, [algorithm])
    return found


DAY_S: Final = 86_400


@pytest.mark.parametrize(
    ("line", "subject", "lifetime_s"),
    [
        (21, "client", None),
        (24, "client", 7 * DAY_S),
        (27, "my-service", None),
        (91, "client", None),
        (94, "client", 7 * DAY_S),
        (97, "client", 3_600),
        (100, "analytics-service", None),
        (103, "my-client", 30 * DAY_S),
        (287, "client", 7 * DAY_S),
        (342, "client", 30 * DAY_S),
        (358, "client", None),
    ],
)
def test_each_line_of_the_script_makes_the_token_that_it_says(
    line: int, subject: str, lifetime_s: int | None, place: Path
) -> None:
    claims = claims_of(printed(command(line), place))
    assert claims["sub"] == subject
    assert claims.get("exp") == (None if lifetime_s is None else int(claims["iat"]) + lifetime_s)


def test_the_secret_that_stands_in_a_command_signs_and_is_no_servers(place: Path) -> None:
    (secret,) = re.findall('"(.+)"', command(106))
    assert claims_of(printed(command(106), place), secret)["sub"] == "client"
    reached = {"JWT_SECRET_KEY": secret, "API_HOST": "10.0.0.7"}
    ((name, fault),) = read_prompt_chain(reached, {}, PromptChainEntry()).faults
    assert (name, "printed in a document" in fault) == ("JWT_SECRET_KEY", True)


def test_a_token_is_made_with_another_algorithm(place: Path) -> None:
    assert claims_of(printed(command(464), place), algorithm="HS512")["sub"] == "client"


def test_each_argument_of_the_script_is_there_with_its_default(place: Path) -> None:
    help_text = " ".join(run("python scripts/generate_jwt.py --help", place).stdout.split())
    stated = re.findall(r"- `(--[a-z-]+) TEXT` - .+ \((.+)\)", "".join(excerpt("001", line) for line in range(73, 77)))
    assert [name for name, _ in stated] == ["--secret", "--subject", "--expires-in", "--algorithm"]
    for name, rest in stated:
        assert name in help_text
        default = re.search(r"defaults? to `(\w+)`|default: `?([\w ]+)`?$", rest)
        assert default, rest
        assert (default[1] or default[2]) in help_text
    for text in re.findall(r"`(\d+\w)`", excerpt("001", 75)):
        assert printed(f"python scripts/generate_jwt.py --expires-in {text}", place)


def test_the_exit_codes_are_those_of_the_list(place: Path) -> None:
    stated = {int(number): text for number, text in re.findall(r"- `(\d)` - (.+)", "".join(map(_row, (111, 112, 113))))}
    good = run("python scripts/generate_jwt.py", place)
    assert (good.returncode, "token printed to stdout" in stated[0], good.stdout.count(".")) == (0, True, 2)
    (place / ".env").unlink()
    missing = run("python scripts/generate_jwt.py", place)
    short = run("python scripts/generate_jwt.py --secret short", place)
    assert (missing.returncode, short.returncode, missing.stdout, short.stdout) == (1, 1, "", "")
    assert "JWT_SECRET_KEY missing or invalid" in stated[1]
    wrong = run(f"python scripts/generate_jwt.py --secret {SECRET} --expires-in soon", place)
    assert (wrong.returncode, wrong.stdout, stated[2]) == (2, "", "Invalid arguments")


def _row(line: int) -> str:
    return excerpt("001", line)


def test_without_a_secret_the_script_fails_in_the_documents_words(place: Path) -> None:
    (place / ".env").unlink()
    (words,) = re.findall(r"fails with `(.+)`", excerpt("001", 319))
    assert words in run("python scripts/generate_jwt.py", place).stderr


def test_header_and_payload_are_those_that_are_printed_and_no_others() -> None:
    header, payload = json.loads(code("001", 122)), json.loads(code("001", 131))
    token = generate_jwt.generate_token(SECRET, payload["sub"], payload["exp"] - payload["iat"])
    assert _decoded(token, 0) == header
    claims = _decoded(token, 1)
    assert claims.keys() == payload.keys()
    assert claims["exp"] - claims["iat"] == payload["exp"] - payload["iat"]
    assert "exp" not in _decoded(generate_jwt.generate_token(SECRET), 1)


def _decoded(token: str, place: int) -> dict[str, int]:
    segment = token.split(".")[place]
    found: dict[str, int] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return found


def test_the_signature_is_hmac_with_the_secret() -> None:
    signing_input, _, signature = generate_jwt.generate_token(SECRET).rpartition(".")
    assert urlsafe_b64decode(signature + "=") == hmac.digest(SECRET.encode(), signing_input.encode(), "sha256")


def test_a_secret_is_made_kept_and_read(tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    shown = run(code("001", 322), tmp_path)
    assert shown.returncode == 0, shown.stderr
    secret = shown.stdout.strip()
    assert secret_fault(secret, "HS256") == ""
    assert (tmp_path / ".env").read_text() == f"JWT_SECRET_KEY={secret}\n"
    assert claims_of(printed("python scripts/generate_jwt.py", tmp_path), secret)["sub"] == "client"


def test_a_secret_is_put_into_the_file(tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    assert run(code("001", 268, secret=SECRET), tmp_path).returncode == 0
    assert claims_of(printed("python scripts/generate_jwt.py", tmp_path))["sub"] == "client"
    assert run("echo 'JWT_SECRET_KEY=<generated_key>' > .env; python scripts/generate_jwt.py", tmp_path).returncode == 1


def test_the_environment_goes_before_the_file(place: Path) -> None:
    other = secrets.token_urlsafe(32)
    assert claims_of(printed("python scripts/generate_jwt.py", place, JWT_SECRET_KEY=other), other)["sub"] == "client"


@pytest.mark.parametrize("line", [51, 272])
def test_the_file_with_the_secret_stays_out_of_version_control(line: int) -> None:
    assert "version control" in excerpt("001", line)
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_function_is_imported_and_called(place: Path) -> None:
    done = run(f"python - <<'LINES'\n{code('001', 474, secret=SECRET)}LINES\n", place, PYTHONPATH=str(place))
    assert done.returncode == 0, done.stderr
    claims = claims_of(done.stdout.strip())
    assert (claims["sub"], int(claims["exp"]) - int(claims["iat"])) == ("my-client", 7 * DAY_S)
    refused = run(
        f"python - <<'LINES'\n{code('001', 474, secret='your-secret-key')}LINES\n", place, PYTHONPATH=str(place)
    )
    assert "KeyRefused" in refused.stderr, "a placeholder is no secret"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    monkeypatch.delenv("JWT_ALGORITHM", raising=False)
    return monkeypatch


def posted(app: FastAPI, headers: Mapping[str, str]) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return await client.post("/v1/chat/completions", headers=headers)

    return asyncio.run(post())


@pytest.fixture
def app(settings: pytest.MonkeyPatch) -> FastAPI:
    """An application with the document's own endpoint in it."""
    names: dict[str, object] = {"__name__": "tests.documents.endpoint"}
    exec(code("001", 242), names)  # noqa: S102 - the document's own code
    router = names["router"]
    assert isinstance(router, APIRouter)
    found = FastAPI()
    found.include_router(router)
    return found


def test_an_endpoint_reads_the_claims(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    token = generate_jwt.generate_token(SECRET, "my-client")
    with caplog.at_level(logging.INFO):
        assert posted(app, {"Authorization": f"Bearer {token}"}).status_code == 200
    assert "Request from my-client" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (174, {}, 401),
        (190, {"Authorization": "Basic dTpw"}, 401),
        (200, {"Authorization": f"Bearer {generate_jwt.generate_token(SECRET[::-1])}"}, 403),
        (208, {"Authorization": "Bearer a.b"}, 403),
    ],
)
def test_the_dependency_refuses_as_the_document_says(
    line: int, headers: dict[str, str], status: int, app: FastAPI
) -> None:
    answer = posted(app, headers)
    assert (answer.status_code, answer.json()) == (status, json.loads(code("001", line)))


@pytest.mark.parametrize("secret", ["", SECRET[:31]], ids=["none", "short"])
def test_an_application_without_a_secret_answers_500(
    secret: str, app: FastAPI, settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.setenv("JWT_SECRET_KEY", secret)
    answer = posted(app, {"Authorization": f"Bearer {generate_jwt.generate_token(SECRET)}"})
    assert (answer.status_code, answer.json()) == (500, json.loads(code("001", 218)))
    assert "JWT_SECRET_KEY" in caplog.text


def test_the_dependency_does_its_steps_in_their_order(app: FastAPI, settings: pytest.MonkeyPatch) -> None:
    """It takes the token, looks at the secret, verifies, and returns the claims."""
    assert verify_bearer_token.__name__ in excerpt("001", 230)
    settings.setenv("JWT_SECRET_KEY", "")
    assert posted(app, {}).status_code == 401
    assert posted(app, {"Authorization": "Bearer a.b"}).status_code == 500
    settings.setenv("JWT_SECRET_KEY", SECRET)
    assert posted(app, {"Authorization": "Bearer a.b"}).status_code == 403
    assert posted(app, {"Authorization": f"Bearer {generate_jwt.generate_token(SECRET)}"}).status_code == 200

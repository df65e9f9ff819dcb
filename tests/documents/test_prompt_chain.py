"""Document 001 against a running gateway: its commands as they stand, its endpoints, its refusals, its settings.

The document says `localhost:8000`. The gateway listens on a free port, and its clients find it there as their proxy:
what is run is what is written.
"""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import jwt as pyjwt
import pytest

from jotgate.sdk.generate_jwt import generate_token
from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.running import Gateway, clean_environment, run_command, short_directory, until
from tests.documents.excerpts import ROOT, code, excerpt

SECRET: Final = secrets.token_urlsafe(64)
TIME_LIMIT_S: Final = 50
DOTENV: Final = f"""\
JWT_SECRET_KEY={SECRET}
CHAIN_ANALYZE_MODEL=echo
CHAIN_PROCESS_MODEL=echo
CHAIN_SYNTHESIZE_MODEL=echo
RATE_LIMIT_CHAT_COMPLETIONS=1000/minute
RATE_LIMIT_MODELS=20/hour
"""
BODY: Final = {"model": "prompt-chaining", "messages": [{"role": "user", "content": "Hello"}]}


class Served:
    """A gateway with the preset, in a directory with `scripts` and `.env`."""

    def __init__(self, gateway: Gateway, place: Path) -> None:
        self.gateway = gateway
        self.place = place
        self.url = re.findall(r"http://127\.0\.0\.1:\d+", gateway.read_line_with("prompt-chain"))[0]
        self.client = httpx.Client(base_url=self.url, timeout=TIME_LIMIT_S, trust_env=False)

    def run(self, lines: str) -> str:
        """What lines in bash print, with this gateway in the place of localhost:8000."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=self.place,
            env=clean_environment({**kept, "PATH": path, "http_proxy": self.url}),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=TIME_LIMIT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, method: str, path: str, authorization: str = "", **more: object) -> httpx.Response:
        headers = {"Authorization": authorization} if authorization else {}
        content = json.dumps({**BODY, **more}).encode() if method == "POST" else None
        return self.client.request(method, path, headers=headers, content=content)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with short_directory() as place:
        (place / "scripts").symlink_to(ROOT / "scripts")
        dotenv = place / ".env"
        dotenv.write_text(DOTENV)
        dotenv.chmod(0o600)
        gateway = Gateway(place / "data", ("--preset", "prompt-chain"), {"API_PORT": "0"}, cwd=place)
        try:
            found = Served(gateway.start(), place)
            with found.client:
                yield found
        finally:
            gateway.kill()


def mine() -> str:
    """A bearer token of a subject that nobody else has."""
    return f"Bearer {generate_token(SECRET, f'subject-{secrets.token_hex(4)}')}"


def body_of(line: int) -> object:
    """The JSON that the document prints there."""
    return json.loads(code("001", line))


def test_curl_with_the_token_of_the_script_gets_a_completion(served: Served) -> None:
    """The settings are in `.env`, and the header has the form that the document prints."""
    assert re.fullmatch(r"Authorization: Bearer <\w+>\s*", code("001", 10))
    token_line = next(row for row in excerpt("001", 21).splitlines() if row.startswith("export"))
    answer = json.loads(served.run(f"{token_line}\n{code('001', 35)}"))
    assert (answer["object"], answer["model"]) == ("chat.completion", "prompt-chaining")
    assert "Hello" in answer["choices"][0]["message"]["content"]


def test_curl_with_max_tokens_gets_a_completion(served: Served) -> None:
    lines = [*excerpt("001", 376).splitlines(), *excerpt("001", 380).splitlines()]
    answer = json.loads(served.run("\n".join(row for row in lines if row.startswith(("TOKEN", "curl", " ", "}")))))
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] > 0


def test_requests_gets_a_completion(served: Served) -> None:
    status, answer = served.run(f"python - <<'LINES'\n{code('001', 394)}LINES").splitlines()
    assert (status, "'prompt-chaining'" in answer) == ("200", True)


def test_httpx_gets_a_completion(served: Served) -> None:
    """Its lines wait at the top, as in an interactive session; they are compiled as that compiles them."""
    (served.place / "lines.py").write_text(code("001", 428))
    program = (
        "import ast, asyncio, inspect\n"
        "lines = compile(open('lines.py').read(), 'lines.py', 'exec', ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)\n"
        "asyncio.run(eval(lines))\n"
    )
    assert served.run(f"python - <<'LINES'\n{program}LINES").strip() == "200"


def test_a_call_streams_until_it_is_done(served: Served) -> None:
    assert "Stream chat completions" in excerpt("001", 156)
    answer = served.ask("POST", "/v1/chat/completions", mine(), stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [row.removeprefix("data: ") for row in answer.text.splitlines() if row.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(one) for one in events[:-1]]
    assert {one["object"] for one in chunks} == {"chat.completion.chunk"}
    said = "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"])
    assert "Hello" in said


def test_the_models_are_listed(served: Served) -> None:
    assert "List available models" in excerpt("001", 157)
    answer = served.ask("GET", "/v1/models", mine())
    assert [one["id"] for one in answer.json()["data"]] == ["prompt-chaining"]


@pytest.mark.parametrize(("line", "path", "word"), [(163, "/health/", "healthy"), (164, "/health/ready", "ready")])
def test_health_is_open(line: int, path: str, word: str, served: Served) -> None:
    assert f"`GET {path}`" in excerpt("001", line)
    answer = served.ask("GET", path)
    assert (answer.status_code, answer.json()) == (200, {"status": word})


@pytest.mark.parametrize("asked", [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/v1/embeddings")])
def test_every_endpoint_of_v1_asks_for_a_bearer_token(asked: tuple[str, str], served: Served) -> None:
    assert "All endpoints under `/v1/*` require JWT" in excerpt("001", 154)
    assert "bearer tokens" in excerpt("001", 7)
    answer = served.ask(*asked)
    assert (answer.status_code, answer.json()) == (401, body_of(174))
    assert answer.headers["www-authenticate"].startswith("Bearer")


NOW_S: Final = int(time.time())
EXPIRED: Final = pyjwt.encode({"sub": "client", "iat": NOW_S - 9, "exp": NOW_S - 1}, SECRET, "HS256")
GOOD: Final = generate_token(SECRET)


def spoiled(token: str, place: int) -> str:
    """The token with another first character of one of its parts."""
    parts = token.split(".")
    parts[place] = ("B" if parts[place][0] == "A" else "A") + parts[place][1:]
    return ".".join(parts)


@pytest.mark.parametrize(
    ("line", "authorization", "status"),
    [
        (182, f"Bearer {EXPIRED}", 401),
        (190, f"Token {GOOD}", 401),
        (200, f"Bearer {generate_token(SECRET[::-1])}", 403),
        (208, "Bearer a.b.c", 403),
        (208, f"Bearer {spoiled(GOOD, 1)}", 403),
        (200, f"Bearer {spoiled(GOOD, 2)}", 403),
    ],
)
def test_a_refusal_is_the_documents(line: int, authorization: str, status: int, served: Served) -> None:
    answer = served.ask("GET", "/v1/models", authorization)
    assert (answer.status_code, answer.json()) == (status, body_of(line))


def test_the_documents_two_titles_of_refusals_come_with_their_status(served: Served) -> None:
    assert 'returns 401 "Token has expired"' in excerpt("001", 338)
    assert served.ask("GET", "/v1/models", f"Bearer {EXPIRED}").json() == {"detail": "Token has expired"}
    assert "returns 403 with valid-looking token" in excerpt("001", 347)
    for cause in ("different `JWT_SECRET_KEY`", "signature is corrupted", "tampered with"):
        assert cause in excerpt("001", 350)
    for token in (generate_token(SECRET[::-1]), spoiled(GOOD, 2), spoiled(GOOD, 1)):
        answer = served.ask("GET", "/v1/models", f"Bearer {token}")
        assert (answer.status_code, answer.json()) == (403, {"detail": "Invalid authentication credentials"})


def test_the_way_out_of_a_refusal(served: Served) -> None:
    """The log tells the cause, the secret is the one that signed, and a fresh token is taken."""
    refused = served.ask("GET", "/v1/models", f"Bearer {generate_token(SECRET[::-1])}")
    explained = explain(served, refused.headers["x-request-id"])
    assert "signature" in explained
    fresh = served.run("python scripts/generate_jwt.py").strip()
    assert served.ask("GET", "/v1/models", f"Bearer {fresh}").status_code == 200
    assert "Verify `JWT_SECRET_KEY`" in excerpt("001", 355)
    assert "server logs" in excerpt("001", 360)


def explain(served: Served, request_id: str) -> str:
    """What `jotgate explain` says of a refused request, once its record is written."""
    said: list[str] = []

    def told() -> bool:
        said[:] = [run_command("explain", request_id, data=served.gateway.data).stdout]
        return request_id in said[0]

    until(told, "the refusal is explained")
    return said[0]


def test_every_attempt_is_recorded_and_no_token_stands_in_a_log(served: Served) -> None:
    assert "both success and failure" in excerpt("001", 291)
    assert "don't expose in logs" in excerpt("001", 296)
    bad, good = generate_token(SECRET[::-1], "intruder"), generate_token(SECRET, "watched")
    refused = served.ask("GET", "/v1/models", f"Bearer {bad}").headers["x-request-id"]
    taken = served.ask("GET", "/v1/models", f"Bearer {good}").headers["x-request-id"]

    def records() -> list[dict[str, object]]:
        text = run_command("audit", "tail", "--json", "-n", "200", data=served.gateway.data).stdout
        return [json.loads(row) for row in text.splitlines()]

    def of(request_id: str) -> list[dict[str, object]]:
        return [one for one in records() if one.get("request_id") == request_id]

    until(lambda: bool(of(refused) and of(taken)), "both are recorded")
    assert (of(refused)[0]["status"], of(taken)[0]["status"], of(taken)[0]["subject"]) == (403, 200, "watched")
    written = served.gateway.errors + "".join(
        path.read_text("utf-8", "replace") for path in served.gateway.data.rglob("*.jsonl")
    )
    assert bad not in written
    assert good not in written
    assert SECRET not in written


def test_issue_and_end_of_tokens_are_tracked(served: Served) -> None:
    """Nobody is told when the script makes one: it is known from its first use on, and can be ended."""
    assert "Track token issuance and expiration" in excerpt("001", 293)
    subject = f"tracked-{secrets.token_hex(4)}"
    token = generate_token(SECRET, subject)
    begun_s = int(time.time())
    assert served.ask("GET", "/v1/models", f"Bearer {token}").status_code == 200

    def listed() -> list[dict[str, object]]:
        done = run_command("token", "list", "--never-expires", "--json", data=served.gateway.data)
        return [one for row in done.stdout.splitlines() if (one := json.loads(row)).get("subject") == subject]

    until(lambda: bool(listed()), "the token is listed")
    (one,) = listed()
    first_s, last_s = one["first_seen_at_s"], one["last_seen_at_s"]
    assert isinstance(first_s, int)
    assert isinstance(last_s, int)
    assert begun_s <= first_s <= last_s <= time.time()
    ended = run_command(
        "token", "revoke", str(one["token_id"]), "--issuer", "prompt-chain", "--yes", data=served.gateway.data
    )
    assert ended.returncode == 0, ended.stderr
    answer = served.ask("GET", "/v1/models", f"Bearer {token}")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Token has been revoked"})


def test_failures_that_repeat_can_be_alerted_on(served: Served) -> None:
    assert "repeated failed authentication" in excerpt("001", 292)
    for _ in range(3):
        served.ask("GET", "/v1/models", f"Bearer {generate_token(SECRET[::-1])}")
    admin = served.gateway.token("--scope", "metrics")

    def counted() -> float:
        text = httpx.get(f"{served.gateway.url}/metrics", headers={"Authorization": f"Bearer {admin}"}).text
        rows = re.findall(r"^jotgate_\w+\{[^}]*signature_invalid[^}]*\} (\S+)$", text, re.MULTILINE)
        return max(map(float, rows), default=0.0)

    until(lambda: counted() >= 3, "the refusals are counted by their reason")


def test_a_rate_limit_answers_429_and_says_when_to_come_back(served: Served) -> None:
    assert "returns 429 Too Many Requests" in excerpt("001", 364)
    assert "adjust rate limits" in excerpt("001", 368)
    assert "backoff" in excerpt("001", 367)
    client = mine()
    answers = [served.ask("GET", "/v1/models", client) for _ in range(21)]
    assert [one.status_code for one in answers] == [200] * 20 + [429]
    last = answers[-1]
    assert last.json() == {"detail": "20 per 1 hour"}
    assert 0 < int(last.headers["retry-after"]) <= 3_600
    assert (last.headers["x-ratelimit-limit"], last.headers["x-ratelimit-remaining"]) == ("20", "0")
    assert served.ask("GET", "/v1/models", mine()).status_code == 200, "another subject has its own"


def faults(**variables: str) -> list[tuple[str, str]]:
    """What is wrong with these variables alone: where, and what."""
    found = load_settings(Sources(environment=variables, presets=("prompt-chain",)))
    return [(one.where, one.fault) for one in found.findings]


@pytest.mark.parametrize(
    ("line", "variables", "said"),
    [
        (223, {}, "JWT_SECRET_KEY is not set"),
        (224, {"JWT_SECRET_KEY": SECRET[:31]}, "less than 32 characters"),
        (458, {"JWT_SECRET_KEY": SECRET[:63], "JWT_ALGORITHM": "HS512"}, "secrets.token_urlsafe(64)"),
    ],
)
def test_without_a_good_secret_nothing_starts(line: int, variables: dict[str, str], said: str) -> None:
    assert excerpt("001", line)
    ((where, fault),) = faults(**variables)
    assert where == "environment JWT_SECRET_KEY"
    assert fault.startswith("Authentication system misconfigured: ")
    assert said in fault
    assert SECRET[:31] not in fault


def test_the_server_ends_with_what_is_to_be_set(tmp_path: Path) -> None:
    kept = {name: value for name, value in clean_environment({}).items() if not name.startswith("JWT_")}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "jotgate", "up", "--preset", "prompt-chain", "--data", "data", "--port", "0"],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "Authentication system misconfigured: JWT_SECRET_KEY is not set; make one" in ended.stderr


def test_the_settings_are_taken_from_the_environment() -> None:
    assert "environment variables" in excerpt("001", 276)
    assert faults(JWT_SECRET_KEY=SECRET) == []
    assert faults(JWT_SECRET_KEY=SECRET, JWT_ALGORITHM="HS512") == []
    ((where, _),) = faults(JWT_SECRET_KEY=SECRET, JWT_ALGORITHM="RS256")
    assert where == "environment JWT_ALGORITHM"


def test_a_reload_that_breaks_the_secret_keeps_what_is_in_effect(served: Served) -> None:
    dotenv = served.place / ".env"
    before = served.gateway.status()["snapshot"]
    try:
        dotenv.write_text(DOTENV.replace(SECRET, SECRET[:31]))
        until(lambda: "Authentication system misconfigured" in served.gateway.errors, "the fault is told")
        assert served.gateway.status()["snapshot"] == before
        assert served.ask("GET", "/v1/models", mine()).status_code == 200
        assert SECRET[:31] not in served.gateway.errors
    finally:
        dotenv.write_text(DOTENV)


def test_what_keeps_tokens_out_of_browsers_is_said() -> None:
    assert "localStorage" in excerpt("001", 298)
    page = (ROOT / "docs/systems/prompt-chain.md").read_text("utf-8")
    assert re.search(r"out of what a\s+page's scripts can read", page)

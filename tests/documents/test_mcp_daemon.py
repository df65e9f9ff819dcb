"""Document 004 against a running daemon: its own clients, and what it says of tokens that are not good."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jotgate.core.issuer_profiles import PROFILES
from jotgate.jose.keys import hmac_key
from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.running import until
from tests.daemons import HELLO, SECRET, WITHIN_S, Daemon, mcp_daemon, python, result_of, run, signed, text_of
from tests.documents.excerpts import ROOT, excerpt
from tests.issuers import verifier_of


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with mcp_daemon() as started:
        yield started


def test_the_secret_of_the_dotenv_is_the_daemon_s(daemon: Daemon) -> None:
    assert daemon.validate(signed())[0] == 200
    assert daemon.validate(signed("x" * 20 + SECRET))[1] == {"error": "Invalid signature", "valid": False}


def test_the_placeholder_is_refused_where_others_reach_the_daemon() -> None:
    environment = {"SUPABASE_JWT_SECRET": SECRET, "EXAI_WS_HOST": "0.0.0.0"}  # noqa: S104 - nothing is bound here
    found = load_settings(Sources(file=None, environment=environment, presets=("mcp-daemon",)))
    assert any("SUPABASE_JWT_SECRET" in str(one) and "others than this machine" in str(one) for one in found.findings)


def test_dotenv_stays_out_of_version_control() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().split()
    assert ".gitignored" in excerpt("004", 89)


def test_a_secret_is_64_hexadecimal_characters_of_hs256() -> None:
    assert "64 characters (256 bits)" in excerpt("004", 92)
    key = hmac_key(os.urandom(32).hex().encode(), "HS256", "secret")
    assert key.algorithm.name == "HS256"
    assert PROFILES["mcp-daemon"].secret == ("HS256",)


def test_the_printed_payload_is_what_is_told_of_it(daemon: Daemon) -> None:
    payload = json.loads(excerpt("004", 58).partition("```json\n")[2].partition("```")[0])
    now_s = int(time.time())
    token = signed(**{**payload, "iat": now_s, "exp": now_s + 3_600, "quota": None, "role": None})
    status, told = daemon.validate(token)
    assert status == 200
    assert told == {
        "valid": True,
        "sub": payload["sub"],
        "name": payload["name"],
        "role": "user",
        "exp": now_s + 3_600,
        "quota": 100,
        "quota_remaining": 100,
    }


def test_a_token_alone_says_who_calls(daemon: Daemon) -> None:
    """Nothing is stored of it beforehand, and each server that has the secret takes it."""
    token = signed(sub=f"never-seen-{time.time_ns()}")
    assert daemon.post("/call", token, HELLO)[0] == 200
    entry = '[[issuers]]\nname = "daemon"\nprofile = "mcp-daemon"\n'
    others = [verifier_of(entry, {"SUPABASE_JWT_SECRET": SECRET}) for _ in range(2)]
    assert len({one.verify(token.encode(), time.time()).subject for one in others}) == 1


def test_attach_send_validate_process(daemon: Daemon) -> None:
    token = signed()
    assert result_of(daemon.post("/call", token, HELLO)[1]) == "Hello, EX-AI!"
    assert result_of(daemon.frame(token, HELLO)) == "Hello, EX-AI!"
    assert daemon.post("/call", None, HELLO)[0] == 401
    assert daemon.post("/call", token[:-6] + "AAAAAA", HELLO)[0] == 401


@pytest.mark.parametrize(
    ("line", "claims", "secret"),
    [
        (589, {"exp": 1_700_000_000, "iat": 1_600_000_000}, SECRET),
        (596, {}, "another-secret-of-forty-characters-000000"),
        (606, {"aud": "another"}, SECRET),
        (619, {"iss": "another"}, SECRET),
        (632, {"quota": 0}, SECRET),
    ],
)
def test_the_five_messages(daemon: Daemon, line: int, claims: dict[str, object], secret: str) -> None:
    wanted = excerpt("004", line).split('"')[1]
    token = signed(secret, **claims)
    assert daemon.validate(token) == (401, {"valid": False, "error": wanted})
    status, told = daemon.post("/call", token, HELLO)
    assert (status, told["error"]["message"]) == (429 if claims == {"quota": 0} else 401, wanted)


def test_what_is_no_token_is_invalid_with_a_reason(daemon: Daemon) -> None:
    assert "Invalid token: {str(e)}" in excerpt("004", 285)
    status, told = daemon.validate("abc")
    assert (status, told["valid"], told["error"].startswith("Invalid token: ")) == (401, False, True)


def test_the_document_s_python_client(daemon: Daemon, tmp_path: Path) -> None:
    lines = text_of(382, 396, 410, 421, 434, token=signed()).replace("http://127.0.0.1:3000", daemon.url)
    told = json.loads(python(lines + "import json\nprint(json.dumps(result))", tmp_path))
    assert (told["tool"], result_of(told)) == ("chat", "Hello, EX-AI!")
    assert re.fullmatch(r"req-[0-9a-f]+-[0-9a-f]+", told["request_id"])
    late = text_of(382, 396, 410, 421).replace("http://127.0.0.1:3000", daemon.url)
    late += f"EXAIClient({signed(exp=1_700_000_000, iat=1_600_000_000)!r}).call_tool('chat', {{}})\n"
    refused = subprocess.run(
        [sys.executable, "-c", late], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert "Token expired!" in refused.stdout
    assert "Authentication required - token expired" in refused.stderr


def test_the_document_s_curl_lines(daemon: Daemon, tmp_path: Path) -> None:
    for line, member in ((504, "valid"), (510, "result")):
        lines = text_of(line, token=signed(), address=daemon.url)
        assert member in json.loads(run(["bash", "-euo", "pipefail", "-c", lines], tmp_path))


def test_F08_an_expired_token_is_refused_and_one_that_is_good_yet_is_refreshed(daemon: Daemon) -> None:
    late = signed(exp=int(time.time()) - 1)
    assert daemon.validate(late)[1]["error"] == "Token has expired"
    status, refused = daemon.post("/refresh", late)
    assert (status, refused["error"]["message"]) == (401, "Token has expired")
    status, renewed = daemon.post("/refresh", signed(sub="renewed"))
    assert (status, daemon.validate(renewed["access_token"])[1]["sub"]) == (200, "renewed")
    told = daemon.frame(signed(), {"op": "rotate_token", "old": late, "new": late, "request_id": "r"})
    assert (told["op"], told["request_id"], "error" in told) == ("rotate_token_res", "r", True)
    assert daemon.validate(signed())[0] == 200, "a new token is what replaces it"


def test_no_part_of_a_token_or_secret_stands_in_a_log_and_each_call_has_its_subject(daemon: Daemon) -> None:
    token = signed(sub="logged_agent")
    daemon.post("/call", token, HELLO)
    files = daemon.gateway.data / "audit"
    until(lambda: any(b"logged_agent" in one.read_bytes() for one in files.iterdir()), "the call is recorded")
    written = b"".join(one.read_bytes() for one in files.iterdir()) + daemon.gateway.errors.encode()
    for part in (token, token[-20:], SECRET, SECRET[:10]):
        assert part.encode() not in written


def test_the_document_s_logging_is_configured(tmp_path: Path) -> None:
    python(text_of(650), tmp_path)

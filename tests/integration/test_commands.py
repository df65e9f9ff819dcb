"""`jotgate token`: with a jotgate that runs, without one, and when several commands come at once."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jotgate.assembly import offline
from jotgate.cli.common import ControlRefusal
from jotgate.cli.operator import ask_control
from jotgate.core.claims import TokenText
from jotgate.core.principals import Verified
from jotgate.errors import Code, TokenError
from jotgate.jose.keys import generate, signing_key_from_pem
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources
from jotgate.testing.forge import ABSENT
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from jotgate.testing.running import Gateway, clean_environment, run_command


@pytest.fixture(params=["running", "offline"])
def data(request: pytest.FixtureRequest, directory: Path) -> Path:
    """A DATA directory on which jotgate runs, or on which none does."""
    if request.param == "offline":
        return directory / "data"
    start: Callable[[], Gateway] = request.getfixturevalue("start_gateway")
    return start().data


def inspect(token: str, data: Path) -> dict[str, dict[str, object]]:
    """What `jotgate token inspect` shows."""
    shown = run_command("token", "inspect", "--insecure", data=data, stdin=token)
    assert shown.returncode == 0, shown.stderr
    decoded: dict[str, dict[str, object]] = json.loads(shown.stdout)
    return decoded


def test_a_token_is_alone_on_stdout_and_says_what_was_asked(data: Path) -> None:
    made = run_command(
        "token", "create", "--subject", "me", "--ttl", "2h", "--scope", "models embeddings",
        "--scope", "chat.completions", "--model", "a", "--model", "b", data=data,
    )  # fmt: skip
    assert (made.returncode, made.stderr.startswith("  next  jotgate token verify")) == (0, True)
    assert made.stderr.count("\n") == 1
    assert made.stdout.count("\n") == 1
    shown = inspect(made.stdout, data)
    claims = shown["claims"]
    issuer = json.loads((data / "installation.json").read_text())["issuer"]
    assert claims["iss"] == claims["aud"] == issuer
    assert (claims["sub"], claims["client_id"]) == ("me", "jotgate-cli")
    assert (claims["scope"], claims["models"]) == ("models embeddings chat.completions", ["a", "b"])
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 7200
    assert shown["header"]["typ"] == "at+jwt"
    assert str(shown["verified"]) == "False"


def test_a_good_token_verifies_from_stdin_and_from_the_environment(data: Path) -> None:
    token = run_command("token", "create", "--subject", "me", data=data).stdout.strip()
    for found in (
        run_command("token", "verify", data=data, stdin=token + "\n"),
        run_command("token", "verify", data=data, environment={"JOTGATE_TOKEN": token}),
    ):
        assert (found.returncode, found.stderr.startswith("  next  jotgate ")) == (0, True)
        assert "  subject  me\n  scopes   ai\n  models   all\n" in found.stdout
        assert token not in found.stdout


def test_a_wrong_token_is_refused_with_its_code_and_exit_status_1(data: Path) -> None:
    token = run_command("token", "create", "--subject", "me", data=data).stdout.strip()
    head, _, signature = token.rpartition(".")
    other = "A" if signature[10] != "A" else "B"
    changed = f"{head}.{signature[:10]}{other}{signature[11:]}"
    elsewhere = run_command("token", "create", "--subject", "me", "--audience", "https://other.example", data=data)
    for wrong, code in (
        (changed, Code.SIGNATURE_INVALID),
        ("no token at all", Code.TOKEN_MALFORMED),
        (elsewhere.stdout, Code.CLAIM_REFUSED),
    ):
        found = run_command("token", "verify", data=data, stdin=wrong)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith(f"error {code}: ")
        assert "  fix  " in found.stderr


def test_each_wrong_token_gets_its_reason_from_control_and_from_a_command_alone(gateway: Gateway) -> None:
    directory = DataDirectory(gateway.data)
    (file,) = directory.keys.glob("*.pem")
    issuer = json.loads((gateway.data / "installation.json").read_text())["issuer"]
    tokens = wrong_tokens(signing_key_from_pem(file.read_bytes(), "ES256"), issuer, issuer, time.time())
    asked, alone = {}, {}
    for name, (token, _) in tokens.items():
        with pytest.raises(ControlRefusal) as refusal:
            ask_control(directory, "/tokens/verify", TokenText(token.decode("ascii")), Verified)
        asked[name] = refusal.value.name
        with pytest.raises(TokenError) as error:
            offline.verify(directory, Sources(), token)
        alone[name] = error.value.code
    assert asked == alone == {name: code for name, (_, code) in tokens.items()}


def test_a_command_alone_says_that_it_judges_no_other_issuers_tokens(directory: Path) -> None:
    data = directory / "data"
    assert run_command("token", "create", "--subject", "me", data=data).returncode == 0
    foreign = TestIssuer(generate("ES256"), "https://idp.example", "https://gate.example", time.time())
    for token in (foreign.token(), foreign.with_claims(iss=ABSENT)):
        found = run_command("token", "verify", data=data, stdin=token.decode())
        assert found.returncode == 1
        assert "no jotgate runs here, and only a running one judges other issuers' tokens" in found.stderr
        assert "Start jotgate on this directory" in found.stderr
    own = run_command("token", "create", "--subject", "me", "--audience", "https://gate.example", data=data).stdout
    assert "no jotgate runs" not in run_command("token", "verify", data=data, stdin=own).stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        ((), 2, "error usage: the following arguments are required: --subject"),
        (("--subject", "me", "--scope", "admin"), 2, "The scopes are: ai, chat.completions,"),
        (("--subject", "me", "--ttl", "1 hour"), 2, "error usage: '1 hour' is not a duration"),
        (("--subject", "me", "--ttl", "366d"), 2, "a token lives at most 365d"),
        (("--subject", ""), 2, "error usage: the subject is empty"),
        (("--subject", "me", "--scope", ""), 2, "--scope names no scope"),
        (("--subject", "me", "--scope", " ", "--scope", ""), 2, "--scope names no scope"),
    ],
)
def test_what_cannot_be_granted_is_refused_before_anything_is_made(
    directory: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    refused = run_command("token", "create", *arguments, data=directory / "data")
    assert refused.returncode == exit_code
    assert said in refused.stderr
    assert refused.stdout == ""
    assert not (directory / "data").exists()


@pytest.mark.parametrize("action", ["verify", "inspect"])
@pytest.mark.parametrize("place", [("eyJhbGciOiJub25lIn0.e30.x",), ("--token", "eyJhbGciOiJub25lIn0.e30.x")])
def test_a_token_in_argv_is_refused_and_not_repeated(directory: Path, action: str, place: tuple[str, ...]) -> None:
    refused = run_command("token", action, *place, data=directory / "data")
    assert refused.returncode == 2
    assert "eyJ" not in refused.stderr
    assert refused.stdout == ""


def test_a_token_in_argv_is_answered_with_the_right_way(directory: Path) -> None:
    refused = run_command("token", "verify", "abc", data=directory / "data")
    assert "stdin or in the environment variable JOTGATE_TOKEN" in refused.stderr


def test_inspect_wants_to_be_told_that_you_know(directory: Path) -> None:
    refused = run_command("token", "inspect", data=directory / "data", stdin="a.b.c")
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr


def test_an_empty_token_is_wrong_usage(directory: Path) -> None:
    assert run_command("token", "verify", data=directory / "data").returncode == 2


def test_verify_makes_no_installation(directory: Path) -> None:
    refused = run_command("token", "verify", data=directory / "data", stdin="a.b.c")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error command: there is no jotgate installation in ")
    assert not (directory / "data").exists()


def test_commands_that_come_at_once_share_one_new_installation(directory: Path) -> None:
    data = directory / "data"
    command = [sys.executable, "-P", "-m", "jotgate", "token", "create", "--subject", "me", "--data", str(data)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({})) for _ in range(6)
    ]
    tokens = [process.communicate(timeout=30)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    assert len({str(inspect(token, data)["header"]["kid"]) for token in tokens}) == 1
    assert len({str(inspect(token, data)["claims"]["jti"]) for token in tokens}) == 6
    assert len(list((data / "keys").glob("*.pem"))) == 1
    assert run_command("audit", "verify", data=data).returncode == 0


def test_a_command_waits_five_seconds_for_data_and_then_says_who_holds_it(directory: Path) -> None:
    data = DataDirectory(directory / "data")
    data.prepare()
    held = data.take_lock(0)
    refused = run_command("token", "create", "--subject", "me", data=data.path)
    os.close(held)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error directory_busy: process {os.getpid()} is using ")


@pytest.mark.parametrize("spoiled", [".", "keys", "audit"])
def test_modes_that_let_others_in_are_refused_with_the_remedy(directory: Path, spoiled: str) -> None:
    data = directory / "data"
    run_command("token", "create", "--subject", "me", data=data)
    (data / spoiled).chmod(0o750)
    refused = run_command("token", "create", "--subject", "me", data=data)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error directory_refused: ")
    assert "  fix  chmod 700 " in refused.stderr


def test_data_that_cannot_be_made_is_refused(directory: Path) -> None:
    (directory / "file").write_bytes(b"")
    refused = run_command("token", "create", "--subject", "me", data=directory / "file" / "data")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error directory_refused: ")


def test_every_issued_token_is_in_the_audit_log_by_its_id_alone(data: Path) -> None:
    token = run_command("token", "create", "--subject", "me", data=data).stdout.strip()
    claims = inspect(token, data)["claims"]
    records = run_command("audit", "tail", "--json", data=data).stdout
    events = [json.loads(line) for line in records.splitlines()]
    (issued,) = [event for event in events if event.get("event") == "token.issued"]
    assert issued["subject"] == "me"
    assert issued["details"]["jti"] == claims["jti"]
    assert token.rpartition(".")[2] not in records


def test_a_token_that_is_not_text_is_refused_as_any_other(directory: Path) -> None:
    data = directory / "data"
    run_command("token", "create", "--subject", "me", data=data)
    found = subprocess.run(
        [sys.executable, "-P", "-m", "jotgate", "token", "verify", "--data", str(data)],
        input=b"\xff\x00.\xfe.\xfd", capture_output=True, check=False, env=clean_environment({}),
    )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr.startswith(b"error token_malformed: ")


def test_control_says_how_it_is(gateway: Gateway) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(gateway.data / "control.sock"))
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    status = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert status["pid"] == gateway.pids["control"]
    assert status["workers"] == 1
    assert status["kid"] == inspect(gateway.token(), gateway.data)["header"]["kid"]


def test_the_version_is_printed(directory: Path) -> None:
    assert run_command("--version", data=directory).stdout == "jotgate 0.1.0\n"

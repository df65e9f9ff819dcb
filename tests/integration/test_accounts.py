"""Clients, principals and tenants by their commands, with a running jotgate and without one, from end to end."""

import base64
import http.client
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from jotgate.jose.keys import generate, public_jwk, signing_key_to_pem
from jotgate.testing.running import Gateway, clean_environment, run_command, until
from tests.docs.pages import pages
from tests.integration.exchanges import Caller, chat_body

Call = Callable[..., Caller]
_WRITTEN_ADDRESS: Final = "127.0.0.1:8080"
_UNKNOWN: Final = "how many tokens others made for it is unknown"


def ask_token(gateway: Gateway, client: str, secret: str, **form: str) -> tuple[int, dict[str, Any]]:
    """What the token endpoint answers a client."""
    content = "&".join(f"{name}={value}" for name, value in {"grant_type": "client_credentials", **form}.items())
    pair = base64.b64encode(f"{client}:{secret}".encode()).decode()
    fields = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)
    try:
        connection.request("POST", "/oauth/token", content, fields)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Shell:
    """Commands on one DATA."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return run_command(*words, data=self.data)

    def json(self, *words: str) -> dict[str, Any]:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refused(self, *words: str) -> str:
        """What is said by a command that does not do it."""
        done = self(*words)
        assert (done.returncode, done.stdout) in {(1, ""), (2, "")}, done
        return done.stderr

    def typed(self, text: str, *words: str) -> tuple[int, str]:
        """What a command does, and says on its terminal, when this is typed there."""
        ours, its = pty.openpty()
        command = [sys.executable, "-m", "jotgate", *words]
        environment = clean_environment({"JOTGATE_DATA": str(self.data)})
        with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as process:
            os.close(its)
            os.write(ours, text.encode() + b"\n")
            said = b""
            with suppress(OSError):  # The end of a terminal is an error on Linux.
                while piece := os.read(ours, 65_536):
                    said += piece
            os.close(ours)
            return process.wait(20), said.decode()


@pytest.fixture
def shell(gateway: Gateway) -> Shell:
    """Commands on the DATA of a running gateway."""
    return Shell(gateway.data)


def without_times(account: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same at any time."""
    return {name: value for name, value in account.items() if not name.endswith("_at_s") and name != "secrets"}


@pytest.mark.usefixtures("curl")
def test_the_lines_of_the_page_lead_to_a_token_as_pasted(gateway: Gateway, call: Call, directory: Path) -> None:
    script = next(block for block in pages()["docs/accounts.md"].blocks("sh") if "curl" in block)
    path = directory / "jotgate"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jotgate "$@"\n')
    path.chmod(0o700)
    environment = {"JOTGATE_DATA": str(gateway.data), "PATH": f"{directory}:{os.environ['PATH']}"}
    typed = subprocess.run(
        ["/bin/sh", "-e", "-c", script.replace(_WRITTEN_ADDRESS, urlsplit(gateway.url).netloc)],
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert typed.returncode == 0, typed.stderr
    content = json.loads(typed.stdout)
    assert (content["token_type"], content["scope"], content["expires_in"]) == ("Bearer", "ai", 3600)
    # What the command says to do next is that line, with the address of this installation.
    assert f'curl -u "$client_id:$client_secret" -d grant_type=client_credentials {gateway.url}' in typed.stderr
    answer = call(gateway, content["access_token"])("POST", "/v1/chat/completions", chat_body())
    assert answer.status == 200


def test_a_client_lives_and_ends_while_jotgate_runs(gateway: Gateway, shell: Shell, call: Call) -> None:
    made = shell.json("client", "create", "ci", "--grant", "client_credentials", "--scope", "ai", "--access-ttl", "10m")
    assert made["client_id"] == "ci"
    status, content = ask_token(gateway, "ci", made["client_secret"])
    assert (status, content["expires_in"]) == (200, 600)
    token = content["access_token"]
    assert call(gateway, token)("POST", "/v1/chat/completions", chat_body()).status == 200

    rotated = shell.json("client", "rotate-secret", "ci", "--overlap", "1h")
    secrets = made["client_secret"], rotated["client_secret"]
    assert [ask_token(gateway, "ci", secret)[0] for secret in secrets] == [200, 200]
    assert shell("client", "set", "ci", "--scope", "models").returncode == 0
    assert ask_token(gateway, "ci", secrets[1])[1]["scope"] == "models"
    assert ask_token(gateway, "ci", secrets[1], scope="ai")[1]["error"] == "invalid_scope"

    shown = shell.json("client", "show", "ci")
    assert shown["impact"] == {
        "live_tokens": 4,
        "families": 0,
        "personal_tokens": 0,
        "tokens_made_elsewhere": None,
    }
    said = shell.refused("client", "delete", "ci")
    assert f"invalidates 4 live tokens; {_UNKNOWN}" in said
    assert "--yes" in said
    gone = shell("client", "delete", "ci", "--yes")
    assert gone.stdout == f"client ci is deleted: invalidated 4 live tokens; {_UNKNOWN}\n"
    until(
        lambda: call(gateway, token)("POST", "/v1/chat/completions", chat_body()).code == "token_revoked",
        "the token is refused",
        1.0,
    )
    assert ask_token(gateway, "ci", secrets[1])[0] == 401


def test_what_a_client_was_issued_ends_when_it_is_disabled_and_does_not_come_back_with_it(
    gateway: Gateway, shell: Shell, call: Call
) -> None:
    made = shell.json("client", "create", "ci", "--grant", "client_credentials", "--scope", "ai")
    secret = made["client_secret"]
    before = ask_token(gateway, "ci", secret)[1]["access_token"]
    assert call(gateway, before)("POST", "/v1/chat/completions", chat_body()).status == 200
    assert shell("client", "disable", "ci", "--yes").stdout == "client ci is disabled\n"
    status, content = ask_token(gateway, "ci", secret)
    assert (status, content["error"]) == (401, "invalid_client")
    assert call(gateway, before)("POST", "/v1/chat/completions", chat_body()).code == "token_revoked"
    assert shell("client", "enable", "ci").stdout == "client ci is enabled\n"
    assert shell.json("client", "show", "ci")["impact"]["live_tokens"] == 0

    def counts() -> bool:
        later = ask_token(gateway, "ci", secret)[1]
        if later.get("error") == "temporarily_unavailable":
            return False
        assert call(gateway, later["access_token"])("POST", "/v1/chat/completions", chat_body()).status == 200
        return True

    until(counts, "a token is issued when the leeway is over, and counts", 20.0)
    assert call(gateway, before)("POST", "/v1/chat/completions", chat_body()).code == "token_revoked"


def test_deleting_wants_the_name_typed(shell: Shell) -> None:
    shell.json("principal", "create", "ann", "--scope", "ai")
    code, said = shell.typed("bob", "principal", "delete", "ann")
    assert (code, "what was typed is not the name, and nothing was done" in said) == (2, True)
    assert f"the principal ann would be deleted, which invalidates 0 live tokens; {_UNKNOWN}" in said
    code, said = shell.typed("ann", "principal", "delete", "ann")
    assert (code, "principal ann is deleted" in said) == (0, True)
    assert "there is no principal of this name" in shell.refused("principal", "show", "ann")


@pytest.mark.parametrize("running", [True, False], ids=["online", "offline"])
def test_a_command_does_the_same_with_a_running_jotgate_and_without(
    running: bool, directory: Path, request: pytest.FixtureRequest
) -> None:
    """Same words, same answers, same records, same events."""
    shell: Shell = request.getfixturevalue("shell") if running else Shell(directory / "data")
    made = shell.json("client", "create", "ci", "--grant", "jwt-bearer", "--grant", "refresh_token", "--scope", "ai")
    assert without_times(made["client"]) == {
        "name": "ci",
        "title": "",
        "tenant": "default",
        "authentication": "client_secret_basic",
        "grants": ["jwt_bearer", "refresh_token"],
        "scopes": ["ai"],
        "roles": [],
        "models": None,
        "audiences": [],
        "jwks": {"keys": []},
        "tls_subject_dn": "",
        "tls_san_dns": "",
        "tls_san_uri": "",
        "binding": "",
        "access_ttl_s": 3600,
        "enabled": True,
        "version": 1,
    }
    tenant = shell.json("tenant", "create", "acme", "--title", "Acme")["tenant"]
    assert without_times(tenant) == {"name": "acme", "title": "Acme", "roles": [], "enabled": True, "version": 2}
    role = ("tenant", "role", "acme", "reader", "--scope", "models embeddings", "--model", "echo")
    assert shell(*role).stdout == "tenant acme has the role reader\n"
    words = ("principal", "create", "idp/repo:org/app", "--tenant", "acme", "--role", "reader", "--title", "A build")
    principal = shell.json(*words)["principal"]
    assert (principal["roles"], principal["scopes"], principal["models"]) == (["reader"], [], None)
    shell.json("principal", "set", "idp/repo:org/app", "--model", "echo", "--role", "")
    shown = shell("principal", "show", "idp/repo:org/app").stdout
    assert [line.split(maxsplit=1)[1] for line in shown.splitlines()][:4] == [
        "idp/repo:org/app",
        "A build",
        "acme",
        "echo",
    ]
    assert shell("client", "list").stdout == "ci\tclient_secret_basic\tjwt_bearer refresh_token\tai\tdefault\tenabled\n"
    assert shell("client", "list", "--tenant", "acme").stdout == ""
    assert shell("principal", "list", "--tenant", "acme").stdout == "idp/repo:org/app\t\techo\tacme\tenabled\n"
    assert shell("tenant", "list").stdout == "acme\treader\tenabled\n"
    assert "the tenant has principals still" in shell.refused("tenant", "delete", "acme", "--yes")
    shell.json("principal", "delete", "idp/repo:org/app", "--yes")
    assert shell("tenant", "role", "acme", "reader", "--drop").stdout == "tenant acme has no role reader any more\n"
    assert shell.json("tenant", "delete", "acme", "--yes") == {"deleted": "acme"}
    events = [line for line in shell("audit", "tail", "-n", "50", "--json").stdout.splitlines() if '"event"' in line]
    told = [json.loads(line)["event"] for line in events]
    assert [name for name in told if name.split(".")[0] in {"client", "tenant", "principal"}] == [
        "client.created",
        "tenant.created",
        "tenant.changed",
        "principal.created",
        "principal.changed",
        "principal.deleted",
        "tenant.changed",
        "tenant.deleted",
    ]


def test_what_control_refuses_is_said_with_what_to_do(shell: Shell) -> None:
    shell.json("principal", "create", "ann")
    said = shell.refused("client", "create", "ann", "--grant", "client_credentials", "--scope", "ai")
    assert said == (
        "error record_exists: there is a principal of this name already\n"
        "  fix  Choose another name, or change the one that is there\n"
    )
    assert "error record_missing: there is no client of this name" in shell.refused("client", "show", "nobody")


@pytest.mark.parametrize("running", [True, False], ids=["online", "offline"])
@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("client", "create", "ci", "--grant", "password", "--scope", "ai"), "grants: 'password' is no grant"),
        (("client", "create", "ci", "--grant", "client_credentials"), "scopes: is empty"),
        (("principal", "create", "ann", "--limit", "5"), "limits: limits of accounts are set with 'jotgate quota set'"),
        (("principal", "create", ".."), "name: '..' in the path of a URL is a step"),
        (("tenant", "role", "default", "no name"), "name"),
    ],
)
def test_a_wrong_command_line_is_one_and_says_what_to_do(
    running: bool, words: tuple[str, ...], fault: str, directory: Path, request: pytest.FixtureRequest
) -> None:
    shell: Shell = request.getfixturevalue("shell") if running else Shell(directory / "data")
    done = shell(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error usage: ")
    assert fault in done.stderr
    assert f"  fix  'jotgate {words[0]} {words[1]} --help' says what each option takes\n" in done.stderr


def test_where_nothing_was_started_there_is_nothing_to_administer(directory: Path) -> None:
    for name in ("nowhere", "empty"):
        (directory / "empty").mkdir(mode=0o700, exist_ok=True)
        done = Shell(directory / name)("admin", "token")
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is no jotgate installation in" in done.stderr
        assert not (directory / name / "keys").exists()
    assert not (directory / "nowhere").exists()


def test_an_administrators_token_is_made_without_a_running_jotgate_which_is_the_next_step(gateway: Gateway) -> None:
    shell = Shell(gateway.data)
    assert "next  jotgate status" in shell("admin", "token").stderr
    assert gateway.stop() == 0
    done = shell("admin", "token")
    assert done.stdout.startswith("eyJ")
    assert "next  jotgate up" in done.stderr


def test_a_client_may_have_keys_and_no_private_one_comes_in(shell: Shell, directory: Path) -> None:
    key = generate("ES256")
    public = directory / "public.json"
    public.write_text(json.dumps(public_jwk(key.verification_key)))
    create = ("client", "create", "robot", "--grant", "client_credentials", "--scope", "ai", "--jwks")
    made = shell.json(*create, str(public))
    assert (made["client"]["authentication"], "client_secret" in made) == ("private_key_jwt", False)
    assert made["client"]["jwks"] == {"keys": [public_jwk(key.verification_key)]}
    assert "uses no secret" in shell.refused("client", "rotate-secret", "robot")
    private = directory / "private.json"
    private.write_text(json.dumps({"keys": [{**public_jwk(key.verification_key), "d": "c2VjcmV0LXBhcnQ"}]}))
    said = shell.refused("client", "create", "other", *create[3:], str(private))
    assert "private or symmetric key" in said
    assert "c2VjcmV0LXBhcnQ" not in said
    pem = directory / "key.pem"
    pem.write_bytes(signing_key_to_pem(key))
    assert "is no JWK Set" in shell.refused("client", "create", "other", *create[3:], str(pem))
    assert "cannot be read" in shell.refused("client", "create", "other", *create[3:], str(directory / "nothing"))
    # One that gives its keys up uses a secret, once it has one.
    changed = shell("client", "set", "robot", "--auth", "client_secret_post")
    assert "it has no secret: jotgate client rotate-secret makes one" in changed.stderr
    assert shell.json("client", "rotate-secret", "robot")["client_secret"].startswith("jot_s_")


def test_a_secret_is_on_stdout_once_and_nowhere_else(gateway: Gateway, shell: Shell) -> None:
    done = shell("client", "create", "ci", "--grant", "client_credentials", "--scope", "ai")
    secret = done.stdout.splitlines()[1].removeprefix("client_secret=")
    assert secret.startswith("jot_s_")
    assert done.stdout == f"client_id=ci\nclient_secret={secret}\n"
    assert ask_token(gateway, "ci", secret)[0] == 200
    said = [done.stderr, *(shell("client", *words).stdout for words in (("list",), ("show", "ci", "--json")))]
    gateway.stop()
    said.append(gateway.errors)
    assert all(secret not in text for text in said)
    for path in gateway.data.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_the_first_administrator_gets_in_and_nobody_by_an_ordinary_token(
    gateway: Gateway, shell: Shell, call: Call
) -> None:
    everything = shell("admin", "token", "--ttl", "10m").stdout.strip()
    reading = shell("admin", "token", "--scope", "admin:read").stdout.strip()
    shell.json("client", "create", "ci", "--grant", "client_credentials", "--scope", "ai")
    assert call(gateway, everything)("GET", "/admin/api/clients").status == 200
    assert call(gateway, reading)("GET", "/admin/api/clients").status == 200

    def make(token: str, name: str) -> int:
        body = {"name": name, "scopes": ["ai"]}
        fields = {"Content-Type": "application/json"}
        return call(gateway, token)("POST", "/admin/api/principals", body, headers=fields).status

    assert (make(everything, "ann"), make(reading, "bob")) == (201, 403)
    assert call(gateway, gateway.token())("GET", "/admin/api/clients").status == 401
    # It is good for nothing else.
    assert call(gateway, everything)("POST", "/v1/chat/completions", chat_body()).status == 401
    assert "unknown" in shell.refused("token", "create", "--subject", "me", "--scope", "admin:read")

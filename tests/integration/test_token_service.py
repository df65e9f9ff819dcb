"""The token service of a running gateway: the lines of its page, and what both workers do with what it issues."""

import base64
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from jotgate.testing.running import Gateway, run_command, until
from tests.docs.pages import pages
from tests.integration.exchanges import Answer, Caller, exchange, records
from tests.integration.test_readme import place, type_in

__all__ = ["place"]

_BOUND_S: Final = 1.0
_TWO: Final = "[server]\nworkers = 2\n"
_FORM: Final = "application/x-www-form-urlencoded"

Start = Callable[..., Gateway]
Call = Callable[..., Caller]


def make_client(gateway: Gateway, *arguments: str) -> str:
    """A client `ci`; its secret."""
    done = run_command("client", "create", "ci", "--json", *arguments, data=gateway.data)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["client_secret"])


def post(caller: Caller, path: str, secret: str, **form: str) -> Answer:
    """Send a form as the client `ci`."""
    basic = "Basic " + base64.b64encode(f"ci:{secret}".encode()).decode()
    headers = {"Authorization": basic, "Content-Type": _FORM}
    return caller("POST", path, urlencode(form).encode(), headers=headers)


def token_of(caller: Caller, secret: str, **form: str) -> str:
    answer = post(caller, "/oauth/token", secret, grant_type="client_credentials", **form)
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["access_token"])


def statuses(gateway: Gateway, call: Call, token: str) -> set[int]:
    """What calls with a token end in, on connections enough for both workers."""
    return {call(gateway, token)("GET", "/v1/models").status for _ in range(12)}


@pytest.mark.usefixtures("curl")
def test_the_lines_of_the_page(gateway: Gateway, place: Path) -> None:
    (place / "jotgate").symlink_to(place / ".venv" / "bin" / "jotgate")
    lines = pages()["docs/token-service.md"].blocks("sh")
    script = 'PATH="$PWD:$PATH"\n' + "echo\n".join(lines)
    said = [json.loads(line) for line in type_in(script, gateway, place).splitlines() if line.startswith('{"')]
    completed, told = said[:2]
    assert completed["choices"][0]["message"]["content"] == "hello"
    assert (told["active"], told["sub"], told["scope"], told["aud"]) == (True, "ci", "ai", gateway.url)
    done = run_command("token", "list", "--json", data=gateway.data)
    assert done.returncode == 0, done.stderr


def test_a_token_is_taken_by_every_worker_until_its_client_gives_it_back(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_TWO)
    secret = make_client(gateway, "--grant", "client_credentials", "--scope", "ai")
    caller = call(gateway)
    token, other = token_of(caller, secret), token_of(caller, secret)
    assert statuses(gateway, call, token) == {200}
    assert post(caller, "/oauth/revoke", secret, token=token).status == 200
    until(lambda: statuses(gateway, call, token) == {401}, "every worker refuses it", _BOUND_S)
    assert statuses(gateway, call, other) == {200}
    assert json.loads(post(caller, "/oauth/introspect", secret, token=token).body) == {"active": False}


def test_a_token_does_no_more_than_its_client_may(gateway: Gateway, call: Call) -> None:
    secret = make_client(gateway, "--grant", "client_credentials", "--scope", "models", "--model", "other")
    token = token_of(call(gateway), secret)
    assert call(gateway, token).chat().code == "insufficient_scope"
    assert json.loads(call(gateway, token)("GET", "/v1/models").body)["data"] == []


def test_a_disabled_client_gets_nothing_from_its_next_request_on(gateway: Gateway, call: Call) -> None:
    secret = make_client(gateway, "--grant", "client_credentials", "--scope", "ai")
    caller = call(gateway)
    token = token_of(caller, secret)
    assert run_command("client", "disable", "ci", "--yes", data=gateway.data).returncode == 0
    refused = post(caller, "/oauth/token", secret, grant_type="client_credentials")
    assert (refused.status, json.loads(refused.body)["error"]) == (401, "invalid_client")
    assert refused.all("www-authenticate")[0].startswith("Basic ")
    until(lambda: statuses(gateway, call, token) == {401}, "what it was issued ends", _BOUND_S)


def test_what_a_client_needs_to_know_is_found_from_a_refusal_on(gateway: Gateway, call: Call) -> None:
    caller = call(gateway)
    refused = caller.chat()
    (challenge,) = refused.all("www-authenticate")
    url = challenge.partition('resource_metadata="')[2].rstrip('"')
    resource = read(caller, gateway, url)
    (issuer,) = resource["authorization_servers"]
    server = read(caller, gateway, f"{issuer}/.well-known/oauth-authorization-server")
    assert (resource["resource"], server["issuer"]) == (gateway.url, gateway.url)
    assert read(caller, gateway, server["jwks_uri"])["keys"]
    secret = make_client(gateway, "--grant", "client_credentials", "--scope", "ai")
    endpoint = server["token_endpoint"].removeprefix(gateway.url)
    assert post(caller, endpoint, secret, grant_type="client_credentials").status == 200


def read(caller: Caller, gateway: Gateway, url: str) -> Any:
    """A document of the gateway, whatever `Host` says."""
    assert url.startswith(gateway.url)
    answer = caller("GET", url.removeprefix(gateway.url), headers={"X-Forwarded-Host": "evil.example"})
    assert answer.status == 200
    return json.loads(answer.body)


def test_what_the_edge_refuses_of_oauth_clients_it_refuses_in_their_words(gateway: Gateway, call: Call) -> None:
    caller = call(gateway)
    form = {"Content-Type": _FORM}
    refused = {
        "body_too_large": caller("POST", "/oauth/token", b"a" * 65_537, headers=form),
        "method_refused": caller("GET", "/oauth/token"),
        "unknown_operation": caller("POST", "/oauth/authorize", b"", headers=form),
    }
    two = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\nAuthorization: Basic eDp5\r\n\r\n"
    head, _, body = exchange(gateway, two).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "credentials_ambiguous"
    for code, answer in refused.items():
        told = json.loads(answer.body)
        assert (told["error"], told["code"]) == ("invalid_request", code)
        assert answer.all("cache-control") == ["no-store"]


def test_a_form_is_refused_in_its_words_while_control_is_gone(gateway: Gateway, call: Call) -> None:
    caller = call(gateway)
    os.kill(gateway.pids["supervisor"], signal.SIGSTOP)  # Nobody starts another control meanwhile.
    try:
        os.kill(gateway.pids["control"], signal.SIGKILL)
        (gateway.data / "edge.sock").rename(gateway.data / "edge.away")
        answer = post(caller, "/oauth/token", "x", grant_type="client_credentials")
        (gateway.data / "edge.away").rename(gateway.data / "edge.sock")
    finally:
        os.kill(gateway.process.pid, signal.SIGCONT)
    told = json.loads(answer.body)
    assert (answer.status, told["error"]) == (503, "temporarily_unavailable")
    assert told["code"] == "control_unreachable"
    assert (answer.all("retry-after"), answer.all("cache-control")) == (["1"], ["no-store"])


def test_no_secret_is_in_the_log_or_in_the_audit_log(gateway: Gateway, call: Call) -> None:
    secret = make_client(gateway, "--grant", "client_credentials", "--scope", "ai")
    caller = call(gateway)
    token = token_of(caller, secret)
    post(caller, "/oauth/token", secret + "x", grant_type="client_credentials")
    caller("POST", f"/oauth/token?client_secret={secret}", b"", headers={"Content-Type": _FORM})
    events = [one for one in records(gateway, "event") if one["event"] == "client.refused"]
    assert [(one["actor"], one["details"]["method"]) for one in events] == [("ci", "client_secret_basic")]
    kept = b"\0".join(path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())
    for one in (secret, token):
        assert one not in gateway.errors
        assert one.encode() not in kept

"""The decision service of a running gateway: what a proxy is answered, on the wire, in the records and the figures."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.exposition import read_exposition
from tests.integration.exchanges import Answer, Caller, code_of, exchange, record_of, statuses

SETTINGS = """
[decisions]
proxies = ["127.0.0.1"]
public_url = "https://api.example"

[[decisions.paths]]
name = "all"

[[decisions.paths]]
name = "reports"
path = "/reports"
scopes = ["https://api.example/reports"]
preflights = true

[[decisions.paths]]
name = "other"
path = "/other"

[[quotas]]
name = "few"
limit = "3 requests/lifetime"
subjects = ["few"]
operations = ["decide"]
routes = ["all"]

[[policies]]
name = "no-bob"
effect = "deny"
subjects = ["bob"]
routes = ["all"]
reason = "Bob is on holiday"

[[policies]]
name = "rest"
effect = "allow"
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(SETTINGS) as running:
        yield running
        assert running.errors == "jotgate: the settings are reloaded: snapshot 2 is in effect\n"


@pytest.fixture(scope="module")
def proxy(gateway: Gateway) -> Iterator[Caller]:
    """A proxy with a kept connection."""
    with closing(Caller(gateway)) as caller:
        yield caller


def token_of(gateway: Gateway, subject: str = "ann", *scopes: str) -> str:
    words = [word for scope in scopes or ("decide",) for word in ("--scope", scope)]
    return gateway.token(*words, subject=subject)


def ask(proxy: Caller, token: str = "", uri: str = "/", method: str = "GET", **headers: str) -> Answer:
    fields = {
        "X-Forwarded-Method": method,
        "X-Forwarded-Uri": uri,
        "X-Forwarded-For": "203.0.113.7",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return proxy("GET", "/forward-auth", headers=fields, token=token.encode())


def ask_nginx(proxy: Caller, token: str = "") -> Answer:
    fields = {"X-Original-Method": "GET", "X-Original-Uri": "/", "X-Forwarded-For": "203.0.113.7"}
    return proxy("GET", "/forward-auth?style=nginx", headers=fields, token=token.encode())


def test_who_may_pass_is_told_of_and_who_may_not_is_challenged(gateway: Gateway, proxy: Caller) -> None:
    ann = token_of(gateway)
    passed = ask(proxy, ann, "/x?y=z", X_Request_Id="d-1")
    assert (passed.status, passed.body) == (200, b"")
    assert passed.all("x-jot-subject") == ["ann"]
    assert passed.all("x-jot-identity") == [""]
    record = record_of(gateway, "d-1")
    told = {name: record.get(name) for name in ("operation", "face", "model", "subject", "peer", "status")}
    assert told == {
        "operation": "decide",
        "face": "decisions",
        "model": "all",
        "subject": "ann",
        "peer": "203.0.113.7",
        "status": 200,
    }
    missing, scope, bad = ask(proxy), ask(proxy, ann, "/reports"), ask(proxy, "x.y.z", "/reports")
    assert (missing.status, missing.all("www-authenticate")) == (401, ['Bearer realm="jotgate"'])
    assert (scope.status, scope.code) == (403, "insufficient_scope")
    assert (bad.status, bad.code) == (401, "token_malformed")
    bob = ask(proxy, token_of(gateway, "bob"))
    assert (bob.status, bob.code, b"Bob is on holiday" in bob.body) == (403, "policy_denied", True)
    preflight = {"Origin": "https://a.example", "Access_Control_Request_Method": "PUT"}
    assert ask(proxy, "", "/reports", "OPTIONS", **preflight).status == 200
    assert ask(proxy, "", "/", "OPTIONS", **preflight).status == 401


def test_a_client_s_token_for_the_api_behind_the_proxy_passes_there_and_is_none_of_the_gateway_s(
    gateway: Gateway, proxy: Caller
) -> None:
    scope = "https://api.example/reports"
    words = ("client", "create", "web", "--grant", "client_credentials", "--audience", "https://api.example")
    made = run_command(*words, "--scope", scope, data=gateway.data)
    assert made.returncode == 0, made.stderr
    client = dict(row.split("=", 1) for row in made.stdout.split())
    form = {"grant_type": "client_credentials", "scope": scope}
    auth = (client["client_id"], client["client_secret"])
    answer = httpx.post(gateway.url + "/oauth/token", data=form, auth=auth, timeout=20)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    passed = ask(proxy, token, "/reports/7")
    assert (passed.status, passed.all("x-jot-scopes")) == (200, [scope])
    assert proxy("GET", "/v1/models", token=token.encode()).code == "claim_refused"
    assert ask(proxy, token, "/reports/7").status == 200
    assert ask(proxy, token, "/").code == "insufficient_scope"


def test_a_quota_of_requests_is_kept_to_the_last_one(gateway: Gateway, proxy: Caller) -> None:
    token = token_of(gateway, "few")
    answers = [ask(proxy, token), ask_nginx(proxy, token), ask(proxy, token), ask(proxy, token)]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    told = ask_nginx(proxy, token)
    assert (told.status, told.all("x-jot-status"), told.code) == (403, ["429"], "quota_exceeded")
    assert ask(proxy, token, "/other").status == 200, "another route, which the rule does not name"


def test_a_revoked_token_passes_no_more(gateway: Gateway, proxy: Caller) -> None:
    token = token_of(gateway, "cas")
    assert ask(proxy, token, X_Request_Id="d-cas").status == 200
    revoked = run_command("token", "revoke", record_of(gateway, "d-cas")["token"], "--yes", data=gateway.data)
    assert revoked.returncode == 0, revoked.stderr
    refused = ask(proxy, token)
    assert (refused.status, refused.code) == (401, "token_revoked")


def test_a_personal_token_passes_too(gateway: Gateway, proxy: Caller) -> None:
    run_command("principal", "create", "dee", "--scope", "decide", data=gateway.data)
    made = run_command("pat", "create", "--subject", "dee", "--name", "laptop", "--scope", "decide", data=gateway.data)
    assert made.returncode == 0, made.stderr
    passed = ask(proxy, made.stdout.strip().splitlines()[-1].split("=")[-1])
    assert (passed.status, passed.all("x-jot-subject")) == (200, ["dee"])


def test_what_is_answered_has_the_length_that_the_question_s_method_wants(gateway: Gateway) -> None:
    """A proxy that asks with GET about a HEAD reads a body, and one that asks with HEAD none."""
    about_head = b"X-Forwarded-Method: HEAD\r\nX-Forwarded-Uri: /\r\n"
    common = b"Host: api.example\r\nX-Forwarded-For: 203.0.113.7\r\n"
    received = exchange(
        gateway,
        b"GET /forward-auth HTTP/1.1\r\n" + common + about_head + b"\r\n"
        b"HEAD /ext-authz/x HTTP/1.1\r\n" + common + b"\r\n"
        b"GET /ext-authz/x HTTP/1.1\r\nConnection: close\r\n" + common + b"\r\n",
    )
    assert statuses(received) == [401, 401, 401]
    assert received.count(b"token_missing") == 2
    assert code_of(received) == "token_missing"


def test_decisions_are_counted_as_an_operation(gateway: Gateway) -> None:
    with closing(Caller(gateway, gateway.token("--scope", "metrics"))) as caller:

        def counted() -> bool:
            found = read_exposition(caller("GET", "/metrics").body.decode())
            return found.total("jotgate_requests_total", operation="decide", outcome="complete") > 5

        until(counted, "decisions are counted", 10.0)


def test_a_command_says_what_policies_say_of_a_path(gateway: Gateway) -> None:
    words = ("policy", "test", "--operation", "decide", "--model", "all", "--subject", "bob", "--scope", "decide")
    said = run_command(*words, data=gateway.data)
    assert "no-bob" in said.stdout, said.stderr


def test_nobody_is_answered_once_the_settings_have_no_proxies(gateway: Gateway, proxy: Caller) -> None:
    """The last test of the module: it changes the gateway for good."""
    token = token_of(gateway)
    assert ask(proxy, token).status == 200
    gateway.config.write_text("[limits]\nfailed_attempts = 300\n")
    gateway.reload()
    gone = ask(proxy, token)
    assert (gone.status, gone.code) == (404, "unknown_operation")

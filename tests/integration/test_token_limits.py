"""Limits that tokens bring, over a running gateway of two workers: nothing that is made of a token buys more."""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import jwt as pyjwt

from jotgate.testing.running import Gateway, run_command, until
from tests.integration.exchanges import Caller, chat_body

Start = Callable[..., Gateway]
Call = Callable[..., Caller]

SECRET: Final = secrets.token_hex(32)
TWO: Final = "[server]\nworkers = 2\n"
DAEMON: Final = '[[issuers]]\nname = "daemon"\nprofile = "mcp-daemon"\n'


def command(gateway: Gateway, *words: str, stdin: str = "") -> str:
    done = run_command(*words, data=gateway.data, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def ask(gateway: Gateway, call: Call, token: str, times: int) -> list[int]:
    """The statuses of so many calls, each on a connection of its own, so that both workers get some."""
    return [call(gateway, token)("POST", "/v1/chat/completions", chat_body()).status for _ in range(times)]


def daemon_token(**claims: object) -> str:
    now_s = int(time.time())
    stated = {
        "sub": "agent_001",
        "iat": now_s,
        "exp": now_s + 3_600,
        "iss": "exai-mcp-server",
        "aud": "exai-mcp-client",
    }
    return pyjwt.encode({**stated, **claims}, SECRET, "HS256")


def trade(gateway: Gateway, call: Call, grant: str, **form: str) -> Any:
    """What the token endpoint answers to the client `app`."""
    fields = {"grant_type": grant, "client_id": "app", **form}
    answer = call(gateway)(
        "POST",
        "/oauth/token",
        urlencode(fields).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 200, answer.body
    return answer.json


def test_a_token_is_good_for_what_it_brings_and_its_children_for_no_more(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(TWO)
    parent = gateway.token("--max-requests", "5")
    child = command(gateway, "token", "narrow", "--max-requests", "2", stdin=parent)
    grandchild = command(gateway, "token", "narrow", "--limit", "100 requests", stdin=child)
    assert "limits   100 requests; 2 requests (of " in command(gateway, "token", "verify", stdin=grandchild)
    assert ask(gateway, call, child, 1) == [200]
    assert sorted(ask(gateway, call, grandchild, 3)) == [200, 429, 429]
    assert ask(gateway, call, child, 1) == [429], "it shared them with its child"
    assert sorted(ask(gateway, call, parent, 6)) == [200] * 3 + [429] * 3
    fresh = command(gateway, "token", "narrow", stdin=parent)
    assert ask(gateway, call, fresh, 1) == [429]
    answer = call(gateway, fresh)("POST", "/v1/chat/completions", chat_body())
    assert answer.code == "quota_exceeded"
    (request_id,) = answer.all("x-request-id")
    until(
        lambda: "limits    5 requests (of " in str(run_command("explain", request_id, data=gateway.data).stdout),
        "what was refused is explained by the limits of its token",
        10.0,
    )


def test_a_personal_token_keeps_its_limits_through_a_new_secret(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(TWO)
    command(gateway, "principal", "create", "alice", "--scope", "ai")
    words = ("pat", "create", "--subject", "alice", "--name", "ci", "--max-requests", "3", "--max-cost", "1")
    secret = command(gateway, *words)
    assert json.loads(command(gateway, "pat", "list", "--json"))["tokens"][0]["limits"] == ["3 requests", "1 USD"]
    models = call(gateway, secret)("GET", "/v1/models")
    assert models.status == 200
    found = command(gateway, "token", "verify", stdin=secret)
    assert "limits   3 requests; 1 USD" in found


def test_a_rolled_secret_and_what_is_traded_spend_the_same_account(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(TWO)
    command(gateway, "principal", "create", "alice", "--scope", "ai")
    command(gateway, "client", "create", "app", "--auth", "none", "--scope", "ai", "--grant", "token_exchange")
    secret = command(gateway, "pat", "create", "--subject", "alice", "--name", "ci", "--max-requests", "4")
    assert ask(gateway, call, secret, 2) == [200, 200]
    rolled = command(gateway, "pat", "roll", "ci", "--subject", "alice")
    assert ask(gateway, call, rolled, 1) == [200]
    kind = "urn:ietf:params:oauth:token-type:access_token"
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    traded = trade(gateway, call, exchange, subject_token=rolled, subject_token_type=kind)["access_token"]
    assert sorted(ask(gateway, call, traded, 3)) == [200, 429, 429]
    assert ask(gateway, call, secret, 1) == [429]


def test_a_refresh_buys_nothing(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(TWO)
    command(gateway, "principal", "create", "me", "--scope", "ai")
    grants = ("--grant", "token_exchange", "--grant", "refresh_token")
    command(gateway, "client", "create", "app", "--auth", "none", "--scope", "ai", *grants)
    answer = trade(
        gateway,
        call,
        "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=gateway.token("--subject", "me"),
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        scope="ai offline_access",
        authorization_details='[{"type":"jotgate_call","limits":["3 requests"]}]',
    )
    assert answer["authorization_details"] == [{"type": "jotgate_call", "limits": ["3 requests"]}]
    assert ask(gateway, call, answer["access_token"], 2) == [200, 200]
    again = trade(gateway, call, "refresh_token", refresh_token=answer["refresh_token"])
    assert sorted(ask(gateway, call, again["access_token"], 3)) == [200, 429, 429]


def test_F20_a_quota_in_a_token_cannot_raise_what_its_subject_has(start_gateway: Start, call: Call) -> None:
    rule = '[[quotas]]\nname = "agents"\nlimit = "6 requests/day"\nsubjects = ["agent_*"]\n'
    gateway = start_gateway(TWO + DAEMON + rule, environment={"SUPABASE_JWT_SECRET": SECRET})
    small = daemon_token(quota=2)
    assert sorted(ask(gateway, call, small, 4)) == [200, 200, 429, 429]
    spent: list[int] = []
    for age in range(1, 7):
        spent += ask(gateway, call, daemon_token(quota=10**6, iat=int(time.time()) - age), 1)
    assert sorted(spent) == [200] * 4 + [429] * 2, "freshly signed tokens buy nothing"
    assert ask(gateway, call, daemon_token(sub="agent_002"), 1) == [200]
    refused = call(gateway, daemon_token(sub="agent_003", quota=0))("POST", "/v1/chat/completions", chat_body())
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert refused.json["error"]["message"].startswith("Token quota exceeded")
    for quota in ("5", None, 1.5, True):
        answer = call(gateway, daemon_token(quota=quota))("POST", "/v1/chat/completions", chat_body())
        assert (answer.status, answer.code) == (401, "claim_refused")

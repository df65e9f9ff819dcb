"""Tokens are traded at a running jotgate, and its workers take the new ones for as long as the old ones count."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from jotgate.errors import Code
from jotgate.jose import jwt
from jotgate.testing.running import Gateway, run_command, until
from tests.integration.exchanges import Answer, Caller

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
_PATIENCE_S: Final = 5.0
"""The bound of a second is held to elsewhere; here many calls stand in each look."""
_TRIES: Final = 12
"""Calls on connections of their own, enough for both workers."""


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """Two workers, the principal alice, and the public client `narrow`, which may trade."""
    running = start_gateway("[server]\nworkers = 2\n")
    order(running, "principal", "create", "alice", "--scope", "ai")
    order(running, "client", "create", "narrow", "--grant", "token_exchange", "--auth", "none", "--scope", "ai")
    return running


def order(gateway: Gateway, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = run_command(*arguments, "--json", data=gateway.data)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def trade(caller: Caller, token: str, **form: str) -> Answer:
    """Trade a token."""
    fields = {"grant_type": EXCHANGE, "client_id": "narrow", "subject_token_type": ACCESS_TOKEN, **form}
    body = urlencode({"subject_token": token, **fields}).encode()
    return caller("POST", "/oauth/token", body, headers={"Content-Type": "application/x-www-form-urlencoded"})


def statuses(gateway: Gateway, call: Callable[..., Caller], token: str) -> set[int]:
    """What calls with a token end in."""
    return {call(gateway, token).chat().status for _ in range(_TRIES)}


def test_a_child_of_a_personal_token_does_less_and_ends_with_it(gateway: Gateway, call: Callable[..., Caller]) -> None:
    caller = call(gateway)
    made = run_command("pat", "create", "--subject", "alice", "--name", "editor", "--ttl", "1h", data=gateway.data)
    assert made.returncode == 0, made.stderr
    answer = trade(caller, made.stdout.strip().splitlines()[0], scope="models")
    assert answer.status == 200, answer.body
    narrow = answer.json["access_token"]
    assert caller("GET", "/v1/models", token=narrow.encode()).status == 200
    assert call(gateway, narrow).chat().code == Code.INSUFFICIENT_SCOPE
    whole = trade(caller, made.stdout.strip().splitlines()[0]).json["access_token"]
    assert statuses(gateway, call, whole) == {200}
    done = run_command("pat", "revoke", "editor", "--subject", "alice", "--yes", data=gateway.data)
    assert done.returncode == 0, done.stderr
    until(lambda: statuses(gateway, call, whole) == {401}, "every worker refuses the child", _PATIENCE_S)
    assert call(gateway, whole).chat().code == Code.TOKEN_REVOKED


def test_a_revoked_token_of_the_operator_takes_all_that_came_of_it(
    gateway: Gateway, call: Callable[..., Caller]
) -> None:
    caller = call(gateway)
    parent, other = gateway.token(subject="alice"), gateway.token(subject="alice")
    child = trade(caller, parent).json["access_token"]
    grandchild = trade(caller, child).json["access_token"]
    assert statuses(gateway, call, grandchild) == {200}
    jti = str(jwt.peek_unverified(parent.encode())[1]["jti"])
    said = run_command("token", "revoke", "--yes", "--", jti, data=gateway.data)
    assert said.returncode == 0, said.stderr
    until(lambda: statuses(gateway, call, grandchild) == {401}, "every worker refuses the grandchild", _PATIENCE_S)
    refused = trade(caller, child)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    assert refused.json["code"] == Code.SUBJECT_TOKEN_REFUSED
    assert statuses(gateway, call, other) == {200}

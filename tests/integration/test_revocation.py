"""A revoked token is refused everywhere: by both workers, on two machines, after crashes, and with its children."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pytest

from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque
from jotgate.jose import jwt
from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import SigningKey, signing_key_from_pem
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import Postgres, postgres
from tests.integration.exchanges import Caller, records

_TWO: Final = "[server]\nworkers = 2\n"
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_BOUND_S: Final = 1.0
_PERSONAL: Final = make_opaque(Mark.PERSONAL, bytes(range(OPAQUE_BYTES))).reveal()
_CALLS: Final = 12

StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


def codes(gateway: Gateway, token: str) -> set[str]:
    """What calls with a token end in, on connections enough for every worker; empty text where they are served."""
    found: set[str] = set()
    for _ in range(_CALLS):
        with closing(Caller(gateway, token)) as caller:
            answer = caller.chat()
            found.add("" if answer.status == 200 else answer.code)
    return found


def jti(token: str) -> str:
    """The identifier of a token."""
    return str(peek_unverified(token.encode())[1]["jti"])


def revoke(gateway: Gateway, token: str, *arguments: str) -> str:
    """What `jotgate token revoke` says on stdout; it must succeed."""
    done = run_command("token", "revoke", "--yes", *arguments, "--", jti(token), data=gateway.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def restarted(gateway: Gateway, name: str) -> None:
    """Kill a process and wait until another has its place."""
    pid = gateway.pids[name]
    os.kill(pid, signal.SIGKILL)
    until(lambda: gateway.pids.get(name, pid) != pid, f"{name} is started again")
    until(lambda: gateway.settled_on(1), "every worker has a snapshot")


def own_key(gateway: Gateway) -> SigningKey:
    """The private part of the key that signs."""
    (kid,) = [
        one["kid"]
        for one in json.loads(run_command("key", "list", "--json", data=gateway.data).stdout)["keys"]
        if one["state"] == "active"
    ]
    file = gateway.data.with_name("signing.pem")
    if not file.exists():
        done = run_command("key", "export", "--private", "--out", str(file), "--", kid, data=gateway.data)
        assert done.returncode == 0, done.stderr
    return signing_key_from_pem(file.read_bytes(), "ES256", kid)


def child_of(gateway: Gateway, token: str, **claims: object) -> str:
    """A token like this one, with more claims, as the token service would make it."""
    made = {**peek_unverified(token.encode())[1], **claims}
    return jwt.sign(made, ACCESS_TOKEN_TYPE, own_key(gateway)).decode()


def test_a_revoked_token_is_refused_by_both_workers_at_once_and_no_other_is(start_gateway: StartGateway) -> None:
    """RV-06: the invalidation takes place immediately; E04: and it outlives every process."""
    gateway = start_gateway(_TWO)
    token, other = gateway.token(), gateway.token()
    assert codes(gateway, token) == codes(gateway, other) == {""}
    assert revoke(gateway, token, "--reason", "lost") == "revoked: it invalidates 1 live token\n"
    # The command has ended: workers know. No wait, no second try.
    assert codes(gateway, token) == {"token_revoked"}
    assert codes(gateway, other) == {""}
    restarted(gateway, "worker 0")
    assert codes(gateway, token) == {"token_revoked"}
    restarted(gateway, "control")
    assert codes(gateway, token) == {"token_revoked"}
    assert codes(gateway, other) == {""}
    assert gateway.stop() == 0
    again = gateway.start()
    assert codes(again, token) == {"token_revoked"}
    (event,) = [one for one in records(gateway, "event") if one["event"] == "token.revoked"]
    assert event["subject"] == "tester"
    assert (event["details"]["jti"], event["details"]["reason"]) == (jti(token), "lost")


def test_a_token_that_was_narrowed_from_a_revoked_one_or_is_of_an_ended_family_is_refused(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(_TWO)
    parent = gateway.token()
    child = child_of(gateway, parent, jti="child", ancestors=[jti(parent)])
    grandchild = child_of(gateway, parent, jti="grandchild", ancestors=[jti(parent), "child"], family="f")
    for token in (child, grandchild):
        assert codes(gateway, token) == {""}
    revoke(gateway, parent)
    for token in (parent, child, grandchild):
        assert codes(gateway, token) == {"token_revoked"}
    with closing(Caller(gateway, grandchild)) as caller:
        request_id = caller.chat().all("x-request-id")[0]
    until(
        lambda: jti(parent) in run_command("explain", request_id, data=gateway.data).stdout,
        "the log says which ancestor was revoked",
    )
    assert "ancestors" in run_command("explain", request_id, data=gateway.data).stdout


def test_two_machines_that_share_a_store_refuse_within_a_second(start_gateway: StartGateway, server: Postgres) -> None:
    settings = (
        '[server]\npublic_url = "https://gate.example"\nworkers = 2\n'
        f'[store]\nurl = "{server.make_database().url}"\n'
        '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
    )
    one = start_gateway(settings, environment=_MASTER)
    two = start_gateway(settings, environment=_MASTER)
    token, other = one.token(), two.token()
    for gateway in (one, two):
        assert codes(gateway, token) == codes(gateway, other) == {""}
    revoke(one, token)
    until(lambda: codes(two, token) == {"token_revoked"}, "the other machine refuses it", _BOUND_S)
    assert codes(one, token) == {"token_revoked"}
    assert codes(two, other) == {""}


def test_what_it_would_do_is_said_first_and_nothing_is_done(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    token = gateway.token()
    done = run_command("token", "revoke", "--", jti(token), data=gateway.data)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it invalidates 1 live token, and what came of others with it as actor token, which is not" in done.stderr
    assert "--yes" in done.stderr
    assert codes(gateway, token) == {""}


def test_a_command_revokes_without_a_running_jotgate_too(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    token = gateway.token("--ttl", "2h")
    gateway.stop()
    config = ("--config", str(gateway.config))
    assert "invalidates 1 live token" in revoke(gateway, token, *config)
    assert "invalidates 0 live tokens" in revoke(gateway, token, *config), "it was revoked before"
    (row, last) = run_command("token", "list", "--json", *config, data=gateway.data).stdout.splitlines()
    assert json.loads(row)["state"] == "revoked"
    assert json.loads(last) == {"count": 1, "elsewhere": {}}
    verified = run_command("token", "verify", *config, data=gateway.data, stdin=token)
    assert (verified.returncode, "token_revoked" in verified.stderr) == (1, True)
    assert codes(gateway.start(), token) == {"token_revoked"}


def test_the_list_shows_whose_tokens_live_and_never_a_token(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    tokens = [gateway.token(subject=f"user-{number}") for number in range(3)]
    revoke(gateway, tokens[0])

    def listed(*arguments: str) -> str:
        done = run_command("token", "list", *arguments, data=gateway.data)
        assert done.returncode == 0, done.stderr
        return done.stdout

    states = {line.split("\t")[0]: line.split("\t")[1] for line in listed().splitlines()}
    assert states == {jti(tokens[0]): "revoked", jti(tokens[1]): "live", jti(tokens[2]): "live"}
    assert {line.split("\t")[0] for line in listed("--live").splitlines()} == set(map(jti, tokens[1:]))
    assert [line.split("\t")[3] for line in listed("--subject", "user-2").splitlines()] == ["user-2"]
    assert listed("--client", "nobody") == ""
    for token in tokens:
        assert token not in listed("--json")
    assert len(listed().splitlines()) == 3, "listing makes no token"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-token", "--yes"], "has issued no token 'no-such-token'"),
        (["x", "--issuer", "nobody", "--yes"], "no issuer 'nobody' is trusted here"),
        (["x", "--issuer", "nobody", "--family"], "--family is for tokens that were issued here"),
        (["a.b.c"], "a token or secret does not belong here"),
        ([_PERSONAL, "--yes"], "jotgate pat revoke"),
        ([_PERSONAL, "--issuer", "jotgate", "--yes"], "jotgate pat revoke"),
        (["x", "--yes", "--reason", _PERSONAL], "a token or secret does not belong here"),
        (["x" * 300, "--yes"], "longer than 256 characters"),
    ],
)
def test_what_cannot_be_revoked_is_said(start_gateway: StartGateway, arguments: list[str], said: str) -> None:
    done = run_command("token", "revoke", *arguments, data=start_gateway().data)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "a.b.c" not in done.stderr
    assert _PERSONAL not in done.stdout + done.stderr


def revoke_of(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    """What `jotgate token revoke` of all that somebody was issued ends with and says."""
    done = run_command("token", "revoke", *arguments, data=gateway.data)
    return done.returncode, done.stdout, done.stderr


def test_what_somebody_was_issued_is_revoked_by_name_and_what_is_issued_later_counts(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(_TWO + '[issuer]\nleeway = "0s"\n')
    mine, also, other = gateway.token(subject="me"), gateway.token(subject="me"), gateway.token(subject="you")
    child = child_of(gateway, other, jti="child", origins=[f"subject {gateway.url} me"])
    for token in (mine, also, other, child):
        assert codes(gateway, token) == {""}
    status, said, told = revoke_of(gateway, "--subject", "me")
    assert (status, said) == (2, "")
    assert "it invalidates 2 live tokens" in told
    assert "--yes" in told
    assert codes(gateway, mine) == {""}
    status, said, told = revoke_of(gateway, "--subject", "me", "--reason", "left", "--yes")
    assert status == 0, told
    assert said.startswith("revoked what the subject me was issued until 2")
    assert said.endswith("it invalidates 2 live tokens\n")
    for token in (mine, also, child):
        assert codes(gateway, token) == {"token_revoked"}
    assert codes(gateway, other) == {""}
    (event,) = [one for one in records(gateway, "event") if one["event"] == "tokens.revoked"]
    assert (event["details"]["kind"], event["details"]["name"], event["details"]["reason"]) == ("subject", "me", "left")
    until(lambda: time.time() >= event["details"]["before"] + 3, "nothing of before is on its way")
    assert codes(gateway, gateway.token(subject="me")) == {""}
    restarted(gateway, "worker 1")
    assert codes(gateway, mine) == {"token_revoked"}


@pytest.mark.parametrize("option", [("--client", "jotgate-cli"), ("--tenant", "default"), ("--key", "")])
def test_a_client_a_tenant_or_a_key_without_a_running_jotgate_too(
    start_gateway: StartGateway, option: tuple[str, str]
) -> None:
    gateway = start_gateway()
    token = gateway.token()
    name, value = option
    chosen = (name, value or str(peek_unverified(token.encode())[0]["kid"]))
    gateway.stop()
    status, said, told = revoke_of(gateway, *chosen, "--before", "now", "--yes", "--config", str(gateway.config))
    assert (status, "it invalidates 1 live token" in said) == (0, True), told
    row = run_command("token", "list", "--config", str(gateway.config), data=gateway.data).stdout
    assert row.split("\t")[1] == "revoked"
    assert codes(gateway.start(), token) == {"token_revoked"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no token is named"),
        (["x", "--client", "ci"], "stands without identifiers"),
        (["--client", "ci", "--family"], "stands without identifiers"),
        (["--client", "ci", "--tenant", "t"], "not allowed with argument"),
        (["x", "--before", "now"], "--before is for --client"),
        (["--client", "ci", "--before", "yesterday"], "--before is no time"),
        (["--client", "ci", "--before", "2999-01-01T00:00:00Z"], "times to come"),
        (["--client", "ci", "--issuer", "corp"], "is this installation's"),
        (["--subject", "ann", "--issuer", "nobody"], "no issuer 'nobody' is trusted here"),
        (["--subject", _PERSONAL], "a token or secret does not belong here"),
    ],
)
def test_what_cannot_be_meant_by_name_is_said(start_gateway: StartGateway, arguments: list[str], said: str) -> None:
    status, _, told = revoke_of(start_gateway(), *arguments, "--yes")
    assert status in {1, 2}
    assert said in told
    assert _PERSONAL not in told


def test_a_route_takes_only_the_tokens_that_it_expects(start_gateway: StartGateway) -> None:
    gateway = start_gateway(
        '[[routes]]\nalias = "special"\nattempts = [{ upstream = "echo", model = "echo" }]\n'
        'audiences = ["https://special.example"]\ntoken_types = ["at+jwt"]\ntoken_age = "1h"\n'
    )
    plain = gateway.token()
    special = gateway.token("--audience", gateway.url, "--audience", "https://special.example")
    with closing(Caller(gateway, special)) as caller:
        assert [one["id"] for one in caller("GET", "/v1/models").json["data"]] == ["echo", "special"]
        assert [caller.chat("special").status, caller.chat().status] == [200, 200]
    with closing(Caller(gateway, plain)) as caller:
        assert [one["id"] for one in caller("GET", "/v1/models").json["data"]] == ["echo"]
        assert caller.chat().status == 200
        answers = [caller.chat("special") for _ in range(2)]
    assert [(one.status, one.code) for one in answers] == [(401, "claim_refused")] * 2
    request_id = answers[0].all("x-request-id")[0]
    until(
        lambda: "https://special.example" in run_command("explain", request_id, data=gateway.data).stdout,
        "the log says what was wanted",
    )

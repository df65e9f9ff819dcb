"""Personal tokens against running gateways: made, used, rolled and revoked, through crashes and on two machines."""

import json
import os
import signal
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from openai import AuthenticationError, OpenAI

from jotgate.core.accounts import Account, PrincipalRecord, TenantRecord
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.stores.sql import SqlStore
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import Postgres, postgres
from tests.exposition import read_exposition
from tests.integration.exchanges import Caller, record_of, records

_TWO: Final = "[server]\nworkers = 2\n[limits]\nmax_staleness_s = 5\n"
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_BOUND_S: Final = 1.0
_CALLS: Final = 12

StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


def pat(gateway: Gateway, *arguments: str, patient: bool = False) -> str:
    """What `jotgate pat` says on stdout; it must succeed. Whoever is `patient` asks again if told to in a second."""
    done = run_command("pat", *arguments, data=gateway.data)
    while patient and "issuance_held" in done.stderr:
        done = run_command("pat", *arguments, data=gateway.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def create(gateway: Gateway, name: str = "ci", *arguments: str) -> str:
    """The text of a new token of alice."""
    return pat(gateway, "create", "--subject", "alice", "--name", name, *arguments).strip()


def listed(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """All tokens by name."""
    return {one["name"]: one for one in json.loads(pat(gateway, "list", "--json"))["tokens"]}


@contextmanager
def store_of(gateway: Gateway, address: StoreAddress | None = None) -> Iterator[SqlStore]:
    """The store of a gateway, beside it."""
    store = open_store(address or StoreAddress(file=gateway.data / "store.db"))
    try:
        yield store
    finally:
        store.close()


def change(store: SqlStore, kind: type[Account], name: str, **members: Any) -> None:
    """Change an account that is there."""
    found = store.account(kind, name)
    assert found is not None
    assert store.put_account(replace(found, **members)) is not None


def ask(gateway: Gateway, token: str) -> str:
    """What one call on a new connection ends in; empty where it is served."""
    with closing(Caller(gateway, token)) as caller:
        answer = caller.chat()
        return "" if answer.status == 200 else answer.code


def codes(gateway: Gateway, token: str) -> set[str]:
    """What calls end in, on connections enough for every worker."""
    return {ask(gateway, token) for _ in range(_CALLS)}


def taken_again(token: str, *gateways: Gateway) -> None:
    """Wait until every worker takes a token."""
    until(lambda: {code for one in gateways for code in codes(one, token)} == {""}, "every worker takes it again")


def refused_in_time(token: str, wanted: set[str], *gateways: Gateway) -> None:
    """Wait until every worker refuses a token; no call that was begun a second from now, or later, may be served."""
    begun_s = served_s = time.monotonic()
    found: set[str] = set()

    def refuse_all() -> bool:
        nonlocal served_s
        found.clear()
        for gateway in gateways * _CALLS:
            asked_s = time.monotonic()
            code = ask(gateway, token)
            found.add(code)
            served_s = served_s if code else asked_s
        return "" not in found

    until(refuse_all, "every worker refuses it")
    assert served_s - begun_s < _BOUND_S
    assert found <= wanted


def killed(gateway: Gateway, name: str) -> None:
    """Kill a process and wait until another has its place."""
    pid = gateway.pids[name]
    os.kill(pid, signal.SIGKILL)
    until(lambda: gateway.pids.get(name, pid) != pid, f"{name} is started again")
    until(lambda: gateway.settled_on(1), "every worker has a snapshot")


@pytest.fixture
def gateway(start_gateway: StartGateway) -> Gateway:
    """Two workers, and the principal alice."""
    return with_alice(start_gateway(_TWO))


def with_alice(gateway: Gateway) -> Gateway:
    """The gateway, with the principal alice in its store."""
    with store_of(gateway) as store:
        store.put_account(PrincipalRecord(name="alice", scopes=("ai",), created_at_s=1))
    return gateway


def test_the_official_client_calls_with_a_personal_token(gateway: Gateway) -> None:
    token = create(gateway, "sdk", "--scope", "chat.completions", "--model", "echo", "--ttl", "1d")
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=token, max_retries=0) as client:
        said = client.chat.completions.with_raw_response.create(
            model="echo", messages=[{"role": "user", "content": "hello"}]
        )
    assert said.parse().choices[0].message.content == "hello"
    record = record_of(gateway, said.headers["x-request-id"])
    view = listed(gateway)["sdk"]
    assert (record["subject"], record["client_id"], record["token"]) == ("alice", "personal-token", view["id"])
    with (
        OpenAI(base_url=f"{gateway.url}/v1", api_key=token[:-1], max_retries=0) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "token_malformed"


def test_what_it_may_do_is_what_it_was_given(gateway: Gateway) -> None:
    token = create(gateway, "narrow", "--scope", "models")
    assert codes(gateway, token) == {"insufficient_scope"}
    with closing(Caller(gateway, token)) as caller:
        assert caller("GET", "/v1/models").status == 200


def test_last_use_is_listed_with_its_address_and_no_secret(gateway: Gateway) -> None:
    token = create(gateway)
    assert listed(gateway)["ci"]["last_used_at_s"] == 0
    begun_s = int(time.time())
    assert ask(gateway, token) == ""
    until(lambda: listed(gateway)["ci"]["last_used_at_s"] >= begun_s, "the use is kept")
    assert listed(gateway)["ci"]["last_used_from"] == "127.0.0.1"
    versions: list[object] = []
    for _ in range(2):
        with store_of(gateway) as store:
            versions.append(store.versions())
        assert token not in pat(gateway, "list") + pat(gateway, "list", "--json", "--subject", "alice")
    assert versions[0] == versions[1], "listing makes nothing"


def test_a_roll_lets_both_secrets_count_until_the_overlap_ends(gateway: Gateway) -> None:
    old = create(gateway)
    assert codes(gateway, old) == {""}
    new = pat(gateway, "roll", "ci", "--subject", "alice", "--overlap", "2s").strip()
    assert listed(gateway)["ci"]["previous_until_s"] > 0
    assert ask(gateway, new) == ""
    until(lambda: ask(gateway, old) != "", "the old secret ends")
    assert codes(gateway, old) == {"token_unknown"}
    assert codes(gateway, new) == {""}
    newest = pat(gateway, "roll", "ci", "--subject", "alice", "--overlap", "0s").strip()
    assert codes(gateway, new) == {"token_unknown"}
    assert codes(gateway, newest) == {""}
    events = [one["event"] for one in records(gateway, "event") if one["event"].startswith("personal_token.")]
    assert events == ["personal_token.created", "personal_token.rolled", "personal_token.rolled"]


def test_a_revoked_one_is_refused_by_both_workers_when_the_command_has_ended(gateway: Gateway) -> None:
    token, other = create(gateway), create(gateway, "other")
    assert codes(gateway, token) == codes(gateway, other) == {""}
    told = run_command("pat", "revoke", "ci", "--subject", "alice", data=gateway.data)
    assert told.returncode == 2
    assert "the personal token 'ci' of 'alice'" in told.stderr
    assert codes(gateway, token) == {""}, "nothing is done without a yes"
    pat(gateway, "revoke", "ci", "--subject", "alice", "--yes")
    assert codes(gateway, token) <= {"token_revoked", "token_unknown"}
    assert codes(gateway, other) == {""}
    for process in ("worker 0", "worker 1", "control"):
        killed(gateway, process)
        assert codes(gateway, token) == {"token_unknown"}
        assert codes(gateway, other) == {""}
    assert gateway.stop() == 0
    assert ask(gateway.start(), token) == "token_unknown"
    assert ask(gateway, other) == ""
    (event,) = [one for one in records(gateway, "event") if one["event"] == "personal_token.revoked"]
    assert (event["subject"], event["details"]["name"], event["actor"]) == ("alice", "ci", "jotgate-cli")


@pytest.mark.parametrize("who", ["principal", "tenant"])
def test_F04_who_is_disabled_is_refused_by_both_workers_within_a_second(gateway: Gateway, who: str) -> None:
    """By whatever means it was done: here beside the running control, in its store."""

    def switch(store: SqlStore, *, enabled: bool) -> None:
        if who == "principal":
            change(store, PrincipalRecord, "alice", enabled=enabled)
        else:
            change(store, TenantRecord, "acme", enabled=enabled)

    with store_of(gateway) as store:
        store.put_account(TenantRecord(name="acme"))
        change(store, PrincipalRecord, "alice", tenant="acme")
        token = create(gateway)
        assert codes(gateway, token) == {""}
        switch(store, enabled=False)
        refused_in_time(token, {"token_revoked"}, gateway)
        switch(store, enabled=True)
        taken_again(token, gateway)


def test_narrower_rights_of_the_owner_narrow_its_tokens_within_a_second(gateway: Gateway) -> None:
    token = create(gateway)
    assert codes(gateway, token) == {""}
    with store_of(gateway) as store:
        change(store, PrincipalRecord, "alice", scopes=("models",))
    refused_in_time(token, {"insufficient_scope"}, gateway)


def test_F19_what_it_was_traded_for_ends_with_it(gateway: Gateway) -> None:
    made = run_command(
        "client", "create", "trader", "--grant", "token_exchange", "--scope", "ai", "--json", data=gateway.data
    )
    assert made.returncode == 0, made.stderr
    client = json.loads(made.stdout)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": create(gateway),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "chat.completions",
    }
    basic = b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    with closing(Caller(gateway)) as caller:
        answer = caller(
            "POST",
            "/oauth/token",
            urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"},
        )
    assert answer.status == 200, answer.body
    child = answer.json["access_token"]
    assert codes(gateway, child) == {""}
    told = run_command("pat", "revoke", "ci", "--subject", "alice", data=gateway.data)
    assert "so would 1 live token" in told.stderr
    pat(gateway, "revoke", "ci", "--subject", "alice", "--yes")
    assert codes(gateway, child) == {"token_revoked"}


def test_while_control_is_away_what_is_remembered_goes_on_and_what_is_not_is_a_503(start_gateway: StartGateway) -> None:
    gateway = with_alice(start_gateway(_TWO.replace("max_staleness_s = 5", "max_staleness_s = 8")))
    known, new = create(gateway), create(gateway, "new")
    assert codes(gateway, known) == {""}
    control = gateway.pids["control"]
    os.kill(control, signal.SIGSTOP)
    try:
        assert codes(gateway, known) == {""}
        assert ask(gateway, new) == "control_unreachable"
        until(lambda: ask(gateway, known) == "control_stale", "nothing goes on for ever")
    finally:
        os.kill(control, signal.SIGCONT)
    until(lambda: codes(gateway, known) | codes(gateway, new) == {""}, "both are taken again")


def test_what_changed_while_control_was_away_is_told_to_workers_that_remember(gateway: Gateway) -> None:
    """E04: a worker that outlived its control must not go by what it held, and need not forget the rest."""
    token = create(gateway)
    assert codes(gateway, token) == {""}
    control = gateway.pids["control"]
    os.kill(control, signal.SIGSTOP)
    with store_of(gateway) as store:
        change(store, PrincipalRecord, "alice", enabled=False)
    os.kill(control, signal.SIGKILL)
    until(lambda: codes(gateway, token) == {"token_revoked"}, "the next control tells them")


def test_what_workers_had_to_ask_is_counted(gateway: Gateway) -> None:
    token = create(gateway)
    for _ in range(3):
        codes(gateway, token)
    reader = gateway.token("--scope", "metrics")

    def counted() -> dict[str, float]:
        with closing(Caller(gateway, reader)) as caller:
            found = read_exposition(caller("GET", "/metrics").body.decode())
        return {cache: found.value("jotgate_personal_tokens_total", cache=cache) for cache in ("hit", "miss")}

    until(lambda: sum(counted().values()) >= 3 * _CALLS, "the workers tell their figures")
    assert counted()["miss"] in {1, 2}, "each worker that saw it asked once"


def test_a_flood_of_made_up_tokens_costs_good_ones_nothing(gateway: Gateway) -> None:
    token = create(gateway)
    assert codes(gateway, token) == {""}
    seen: set[str] = set()
    with closing(Caller(gateway)) as flood, closing(Caller(gateway, token)) as good:
        for number in range(600):
            made_up = f"jot_p_{number:042d}A"
            answer = flood("GET", "/v1/models", token=made_up.encode())
            seen.add(answer.code)
            if number % 50 == 0:
                assert good.chat().status == 200
    assert "token_unknown" in seen
    assert seen <= {"token_unknown", "control_unreachable"}


def test_who_is_disabled_by_command_is_refused_when_the_command_has_ended_for_a_second(gateway: Gateway) -> None:
    """And whose principal is deleted, for good: who has its name later does not get its tokens."""
    token = create(gateway)
    assert codes(gateway, token) == {""}

    def principal(*arguments: str) -> None:
        done = run_command("principal", *arguments, data=gateway.data)
        assert done.returncode == 0, done.stderr

    principal("disable", "alice", "--yes")
    refused_in_time(token, {"token_revoked"}, gateway)
    principal("enable", "alice")
    taken_again(token, gateway)
    principal("delete", "alice", "--yes")
    refused_in_time(token, {"token_revoked", "token_unknown"}, gateway)
    principal("create", "alice", "--scope", "ai")
    assert codes(gateway, token) == {"token_unknown"}


def test_without_a_running_jotgate_the_command_does_it_itself(gateway: Gateway) -> None:
    assert gateway.stop() == 0
    token = create(gateway, "offline")
    checked = run_command("token", "verify", data=gateway.data, stdin=token)
    assert "subject  alice" in checked.stdout, checked.stderr
    gateway.start()
    assert ask(gateway, token) == ""
    assert gateway.stop() == 0
    rolled = pat(gateway, "roll", "offline", "--subject", "alice", "--overlap", "0s").strip()
    assert list(listed(gateway)) == ["offline"]
    gateway.start()
    assert (ask(gateway, token), ask(gateway, rolled)) == ("token_unknown", "")
    assert gateway.stop() == 0
    pat(gateway, "revoke", "offline", "--subject", "alice", "--yes")
    assert listed(gateway) == {}
    kinds = [one["event"] for one in records(gateway, "event") if one["event"].startswith("personal_token.")]
    assert kinds == ["personal_token.created", "personal_token.rolled", "personal_token.revoked"]


def test_two_machines_on_one_postgresql_know_of_one_another(start_gateway: StartGateway, server: Postgres) -> None:
    address = server.make_database()
    settings = (
        f'[server]\npublic_url = "https://gate.example"\nworkers = 2\n[store]\nurl = "{address.url}"\n'
        '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
    )
    one, two = (start_gateway(settings, environment=_MASTER) for _ in range(2))
    with store_of(one, address) as store:
        store.put_account(PrincipalRecord(name="alice", scopes=("ai",)))
        token = create(one)
        assert codes(one, token) == codes(two, token) == {""}
        change(store, PrincipalRecord, "alice", enabled=False)
        refused_in_time(token, {"token_revoked"}, one, two)
        change(store, PrincipalRecord, "alice", enabled=True)
        taken_again(token, one, two)
    rolled = pat(two, "roll", "ci", "--subject", "alice", "--overlap", "0s", patient=True).strip()
    refused_in_time(token, {"token_unknown"}, one, two)
    assert codes(one, rolled) | codes(two, rolled) == {""}
    pat(two, "revoke", "ci", "--subject", "alice", "--yes")
    refused_in_time(rolled, {"token_revoked", "token_unknown"}, one, two)


def test_a_secret_is_said_once_and_stands_nowhere_else(gateway: Gateway) -> None:
    secrets = [create(gateway), pat(gateway, "roll", "ci", "--subject", "alice").strip()]
    for secret in secrets:
        assert ask(gateway, secret) == ""
        assert ask(gateway, secret + "A") == "token_malformed"
    assert gateway.stop() == 0
    said = gateway.errors.encode() + b"".join(
        file.read_bytes() for file in gateway.data.rglob("*") if file.is_file() and file.name != "lock"
    )
    assert not any(secret.encode()[6:] in said for secret in secrets)

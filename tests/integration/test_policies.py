"""Policies of a running gateway: of the file and of the store, changed while it serves, on one machine and on two."""

import json
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.errors import Code
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import postgres
from tests.integration.exchanges import Answer, Caller, record_of, records
from tests.integration.test_reload import callers, write
from tests.wires import Wire, wire_in_thread

Start = Callable[..., Gateway]
Call = Callable[..., Caller]

_REST: Final = '[[policies]]\nname = "rest"\neffect = "allow"\n'
_NO_BOB: Final = '[[policies]]\nname = "no-bob"\neffect = "deny"\nsubjects = ["bob"]\nreason = "Bob is on holiday"\n'
_TWO: Final = "[server]\nworkers = 2\n"
_SWITCHES: Final = 20
_STALE_AFTER_S: Final = 5.0


def command(gateway: Gateway, *words: str, stdin: str = "") -> Any:
    """Run a command on DATA of a gateway."""
    return run_command(*words, data=gateway.data, stdin=stdin)


def apply(gateway: Gateway, text: str) -> None:
    """Put these policies in place of those of the store."""
    done = command(gateway, "policy", "apply", "-", "--yes", stdin=text)
    assert done.returncode == 0, done.stderr


def chat(call: Call, gateway: Gateway, subject: str) -> Answer:
    """A call of somebody."""
    return call(gateway, gateway.token(subject=subject)).chat()


def codes(call: Call, gateway: Gateway, token: str) -> set[str]:
    """What calls with a token end in, on connections enough for every worker."""
    answers = [call(gateway, token).chat() for _ in range(8)]
    return {"" if one.status == 200 else one.code for one in answers}


def test_a_policy_of_the_file_refuses_with_its_reason_and_names_itself_in_the_audit_log_alone(
    start_gateway: Start, call: Call
) -> None:
    gateway = start_gateway(_NO_BOB + _REST)
    assert chat(call, gateway, "ann").status == 200
    refused = chat(call, gateway, "bob")
    assert (refused.status, refused.code) == (403, Code.POLICY_DENIED)
    assert "Bob is on holiday" in refused.json["error"]["message"]
    assert b"no-bob" not in refused.body
    assert refused.all("www-authenticate") == []
    request_id = refused.all("x-request-id")[0]
    assert record_of(gateway, request_id)["policy"] == "no-bob"
    assert "policy=no-bob" in command(gateway, "explain", request_id).stdout


def test_a_token_is_bound_by_its_scopes_and_models_whatever_policies_allow(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_REST)
    narrow = gateway.token("--scope", "models", "--model", "other")
    assert call(gateway, narrow).chat().code == Code.INSUFFICIENT_SCOPE
    other = gateway.token("--model", "other")
    assert call(gateway, other).chat().code == Code.MODEL_NOT_PERMITTED


def test_a_caller_is_shown_the_models_that_policies_allow(start_gateway: Start, call: Call) -> None:
    models = '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["m", "n"]\n'
    some = '[[policies]]\nname = "some"\neffect = "allow"\nmodels = ["m", "echo"]\nsubjects = ["ann"]\n'
    gateway = start_gateway(models + some)

    def shown(subject: str) -> Answer:
        return call(gateway, gateway.token(subject=subject))("GET", "/v1/models")

    assert [one["id"] for one in shown("ann").json["data"]] == ["echo", "m"]
    assert shown("bob").code == Code.POLICY_DENIED
    named = call(gateway, gateway.token(subject="ann"))("GET", "/v1/models/n")
    assert (named.status, named.code) == (403, Code.POLICY_DENIED)


def test_policies_change_under_load_and_no_call_fails(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_TWO)
    bob = gateway.token(subject="bob")
    with callers(gateway, 2) as statuses:
        for number in range(_SWITCHES):
            if number % 2:
                apply(gateway, _REST)
                assert codes(call, gateway, bob) == {""}
            else:
                apply(gateway, _NO_BOB + _REST)
                assert codes(call, gateway, bob) == {Code.POLICY_DENIED}
    assert set(statuses) == {200}
    assert len(statuses) > _SWITCHES
    listed = [one["event"] for one in records(gateway, "event")]
    assert listed.count("policies.applied") == _SWITCHES


def test_a_changed_file_takes_effect_and_a_broken_one_changes_nothing(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_REST)
    with callers(gateway, 1) as statuses:
        write(gateway, _NO_BOB + _REST)
        until(lambda: chat(call, gateway, "bob").status == 403, "the changed file is in effect")
        write(gateway, _NO_BOB.replace("subjects", "subject") + _REST)
        until(lambda: gateway.status()["faults"], "the fault is noticed")
        assert "did you mean 'subjects'?" in gateway.errors
        assert chat(call, gateway, "bob").status == 403
    assert set(statuses) == {200}


def test_the_policies_of_file_and_store_are_one_set(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_REST)
    apply(gateway, _NO_BOB)
    assert chat(call, gateway, "bob").code == Code.POLICY_DENIED
    assert chat(call, gateway, "ann").status == 200
    listed = json.loads(command(gateway, "policy", "list", "--json").stdout)
    assert [(one["name"], one["origin"]) for one in listed["policies"]] == [("rest", "file"), ("no-bob", "store")]
    refused = command(gateway, "policy", "apply", "-", "--yes", stdin=_REST)
    assert refused.returncode == 1
    assert "is 'rest' as in the configuration" in refused.stderr
    apply(gateway, "")
    assert chat(call, gateway, "bob").status == 200


def test_what_one_machine_applies_counts_on_the_other(start_gateway: Start, call: Call) -> None:
    with postgres() as server:
        settings = f'[server]\npublic_url = "https://gate.example"\n[store]\nurl = "{server.make_database().url}"\n'
        settings += '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
        variables = {"JOTGATE_MASTER_KEY": secrets.token_urlsafe(32)}
        one, other = (start_gateway(settings, environment=variables) for _ in range(2))
        bob = one.token(subject="bob")
        assert [call(gateway, bob).chat().status for gateway in (one, other)] == [200, 200]
        apply(one, _NO_BOB + _REST)
        assert call(one, bob).chat().code == Code.POLICY_DENIED
        until(lambda: call(other, bob).chat().status == 403, "it is refused there")
        apply(other, "")
        assert call(other, bob).chat().status == 200
        until(lambda: call(one, bob).chat().status == 200, "it is taken here")


def test_a_control_that_is_started_again_goes_by_the_policies_of_the_store(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway()
    apply(gateway, _NO_BOB + _REST)
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    assert chat(call, gateway, "bob").code == Code.POLICY_DENIED


def test_a_call_is_tried_with_and_without_a_running_jotgate(start_gateway: Start, directory: Path) -> None:
    gateway = start_gateway(_NO_BOB + _REST)

    def ask(*words: str, data: Path, stdin: str = "") -> tuple[int, dict[str, Any]]:
        done = run_command(*words, "--json", "--config", str(gateway.config), data=data, stdin=stdin)
        return done.returncode, json.loads(done.stdout)

    tried = ("policy", "test", "--operation", "chat.completions", "--model", "echo", "--subject")
    for data in (gateway.data, directory / "data"):
        for subject, status, policy in (("bob", 1, "no-bob"), ("ann", 0, "rest")):
            code, found = ask(*tried, subject, data=data)
            assert (code, found["policy"], found["allowed"]) == (status, policy, status == 0)
            token = run_command("token", "create", "--subject", subject, data=data).stdout
            code, found = ask("token", "can", "chat.completions", "--model", "echo", data=data, stdin=token)
            assert (code, found["policy"], found["subject"]) == (status, policy, subject)
    refused = run_command("token", "can", "models", data=gateway.data, stdin="nonsense")
    assert refused.returncode == 1
    assert Code.TOKEN_MALFORMED in refused.stderr


@pytest.fixture
def wire() -> Iterator[tuple[str, Wire]]:
    """The URL of a database, and a wire to it."""
    with postgres() as server:
        url = server.make_database().url
        with wire_in_thread(url) as made:
            yield url, made


def test_while_revocations_are_not_known_only_what_a_policy_lets_goes_on_and_is_recorded(
    start_gateway: Start, call: Call, wire: tuple[str, Wire]
) -> None:
    _, line = wire
    batch = '[[policies]]\nname = "batch"\neffect = "allow"\nsubjects = ["nightly"]\nstale = "allow"\n'
    settings = '[server]\npublic_url = "https://gate.example"\nworkers = 2\n[limits]\nmax_staleness_s = 5\n'
    settings += f'[store]\nurl = "{line.url}"\n[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
    variables = {"JOTGATE_MASTER_KEY": secrets.token_urlsafe(32)}
    gateway = start_gateway(settings + batch + _REST, environment=variables)
    nightly, ann = gateway.token(subject="nightly"), gateway.token(subject="ann")
    assert codes(call, gateway, nightly) == codes(call, gateway, ann) == {""}
    line.cut()
    until(lambda: codes(call, gateway, ann) == {Code.CONTROL_STALE}, "nobody else is served", 2 * _STALE_AFTER_S + 5)
    with closing(Caller(gateway, nightly)) as caller:
        answer = caller.chat()
    assert answer.status == 200
    assert record_of(gateway, answer.all("x-request-id")[0])["policy"] == "batch"
    with closing(Caller(gateway)) as caller:
        assert caller("GET", "/health/ready").status == 503
    line.mend()
    until(lambda: codes(call, gateway, ann) == {""}, "it recovers by itself")
    with closing(Caller(gateway, nightly)) as caller:
        answer = caller.chat()
    assert "policy" not in record_of(gateway, answer.all("x-request-id")[0])
    assert CLI_CLIENT_ID in {one.get("actor") for one in records(gateway, "event")}

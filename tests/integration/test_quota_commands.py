"""Quotas as operators and callers see them: set, shown, reset and explained while jotgate runs, and without it."""

import json
from collections.abc import Callable
from typing import Any, Final

from jotgate.testing.running import Gateway, run_command, until
from tests.integration.exchanges import Caller

Start = Callable[..., Gateway]
Call = Callable[..., Caller]

_TWO: Final = "[server]\nworkers = 2\n"


def quota(gateway: Gateway, *words: str, stdin: str = "") -> Any:
    """What a command says about quotas, as JSON."""
    done = run_command("quota", *words, "--json", data=gateway.data, stdin=stdin)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def test_limits_are_set_refuse_are_explained_and_reset_while_jotgate_runs(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(_TWO)
    token = gateway.token(subject="alice")
    assert call(gateway, token).chat().status == 200  # Nothing limits it yet.

    quota(gateway, "set", "principal", "alice", "5 requests/day")
    answers = [call(gateway, token).chat() for _ in range(8)]
    assert sorted(one.status for one in answers) == [200] * 5 + [429] * 3
    told = next(one for one in answers if one.status == 429).json["error"]["quota"]

    explained = quota(gateway, "explain", "--model", "echo", stdin=token)
    assert explained["refused_by"] == [told["name"]]
    assert (told["level"], told["limit"], told["spent"]) == ("principal", 5, 5)
    other = gateway.token(subject="bob")
    assert call(gateway, other).chat().status == 200

    def stands() -> tuple[int, int, int]:
        (shown,) = quota(gateway, "show", "principal", "alice")["quotas"]
        assert (shown["left"], shown["spent"] + shown["leased"]) == (0, 5)
        return shown["left"], shown["spent"], shown["leased"]

    until(lambda: stands() == (0, 5, 0), "all that was spent is posted", 10.0)
    quota(gateway, "reset", "principal", "alice", "--yes")
    until(lambda: call(gateway, token).chat().status == 200, "workers ask the ledger again", 3.0)
    quota(gateway, "set", "principal", "alice", "--clear")
    assert {call(gateway, token).chat().status for _ in range(8)} == {200}


def test_callers_see_what_they_have_used_and_nothing_of_others(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway('[[quotas]]\nname = "each"\nlimit = "10 requests/day"\n')
    alice, bob = (call(gateway, gateway.token(subject=name)) for name in ("alice", "bob"))
    for _ in range(3):
        assert alice.chat().status == 200

    def used(caller: Caller) -> int:
        answer = caller("GET", "/v1/usage")
        assert answer.status == 200
        (one,) = answer.json["quotas"]
        return int(one["used"])

    until(lambda: used(alice) == 3, "what was used is posted", 10.0)
    assert used(bob) == 0
    narrow = call(gateway, gateway.token("--scope", "embeddings", subject="alice"))
    assert used(narrow) == 3
    assert call(gateway, "nonsense")("GET", "/v1/usage").status == 401


def test_limits_are_set_and_shown_where_no_jotgate_runs_and_count_when_one_does(
    start_gateway: Start, call: Call
) -> None:
    gateway = start_gateway()
    assert gateway.stop() == 0
    (shown,) = quota(gateway, "set", "tenant", "default", "2 requests/day")["quotas"]
    assert (shown["left"], shown["spent"]) == (2, 0)
    gateway.start()
    caller = call(gateway, gateway.token())
    assert [caller.chat().status for _ in range(3)] == [200, 200, 429]


def test_wrong_orders_say_what_was_meant_and_change_nothing(start_gateway: Start) -> None:
    gateway = start_gateway("")
    for words, told in (
        (("set", "principal", "alice"), "there is no limit"),
        (("set", "principal", "alice", "1 apple/day"), "counts no unit"),
        (("reset", "principal", "alice", "--yes"), "nothing to reset"),
        (("show", "principal"), "has no name"),
        (("explain",), "token"),
    ):
        done = run_command("quota", *words, data=gateway.data)
        assert done.returncode in (1, 2), words
        assert told in done.stderr, words
        assert "Traceback" not in done.stderr
    assert run_command("quota", "show", data=gateway.data).stdout == "nothing is limited, but by what tokens bring\n"

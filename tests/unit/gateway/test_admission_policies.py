"""Policies at the gateway: what they refuse and show, what becomes of running calls, and of calls while it is blind."""

import json
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jotgate.core.audit import CallRecord
from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.routes import EndedTokens
from jotgate.core.snapshot import Limits
from jotgate.errors import Code
from jotgate.gateway.world import World, build_world
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

_BLIND_AFTER_S: Final = 60
REST: Final = Policy(name="rest", effect="allow")
BODY: Final = b'{"model":"a","stream":true}'


def world_of(stage: Stage, *policies: Policy, ended_tokens: EndedTokens = "cut") -> World:
    """The stage's world under these policies."""
    before = stage.world.snapshot
    routes = tuple(replace(one, ended_tokens=ended_tokens) for one in before.routes)
    snapshot = replace(before, policies=PolicySet(policies), routes=routes)
    return build_world(snapshot, stage.world.places, stage.world)


def staged(*policies: Policy, ended_tokens: EndedTokens = "cut") -> Stage:
    """A gateway under these policies."""
    stage = Stage(Limits(max_staleness_s=_BLIND_AFTER_S))
    stage.gateway.swap(world_of(stage, *policies, ended_tokens=ended_tokens))
    return stage


def ask(
    stage: Stage, body: bytes = BODY, *, path: bytes = b"/v1/chat/completions", peer: str = "127.0.0.1", **claims: Any
) -> tuple[RecordingCaller, Running | None]:
    """Put a request through."""
    asked = request(body, authorization=b"Bearer " + stage.issuer.token(**claims), path=path)
    asked.method = b"GET" if path.startswith(b"/v1/models") else b"POST"
    asked.peer = peer
    return stage.ask(asked)


def code_of(caller: RecordingCaller) -> tuple[int, str]:
    """How a request was refused."""
    return caller.status, json.loads(caller.body)["error"]["code"]


def last(stage: Stage) -> CallRecord:
    """The last audit record."""
    return stage.trail.records[-1]


def test_a_denial_tells_its_reason_to_the_caller_and_its_name_to_the_audit_log() -> None:
    stage = staged(Policy(name="no-bob", effect="deny", subjects=("bob",), reason="Bob is away"), REST)
    caller, running = ask(stage, sub="bob")
    assert running is None
    assert code_of(caller) == (403, Code.POLICY_DENIED)
    assert b"Bob is away" in caller.body
    assert b"no-bob" not in caller.body
    assert b"WWW-Authenticate" not in caller.lines
    assert (last(stage).code, last(stage).policy) == (Code.POLICY_DENIED, "no-bob")
    assert ask(stage, sub="ann")[1] is not None


def test_what_no_policy_speaks_of_is_denied_and_names_none() -> None:
    stage = staged(Policy(name="others", effect="allow", subjects=("ann",)))
    caller, _ = ask(stage, sub="bob")
    assert code_of(caller) == (403, Code.POLICY_DENIED)
    assert last(stage).policy == ""


def test_the_token_is_asked_before_any_policy() -> None:
    stage = staged(Policy(name="all", effect="deny"))
    assert code_of(ask(stage, scope="models")[0]) == (403, Code.INSUFFICIENT_SCOPE)
    assert code_of(ask(stage, models=["b"])[0]) == (403, Code.MODEL_NOT_PERMITTED)


def test_the_address_is_the_callers() -> None:
    stage = staged(Policy(name="away", effect="deny", addresses=("192.0.2.0/24",)), REST)
    assert ask(stage, peer="198.51.100.1")[1] is not None
    assert code_of(ask(stage, peer="192.0.2.7")[0]) == (403, Code.POLICY_DENIED)


def test_a_faulty_body_is_told_to_whom_a_policy_could_allow_something_and_to_nobody_else() -> None:
    some = Policy(name="some", effect="allow", models=("a",))
    assert code_of(ask(staged(some), b"nonsense")[0]) == (400, Code.REQUEST_MALFORMED)
    no_bob = Policy(name="no-bob", effect="deny", subjects=("bob",))
    assert code_of(ask(staged(no_bob, some), b"nonsense", sub="bob")[0]) == (403, Code.POLICY_DENIED)


def test_models_are_shown_one_by_one() -> None:
    stage = staged(Policy(name="some", effect="allow", models=("b", "z")))
    caller, _ = ask(stage, b"", path=b"/v1/models")
    assert [one["id"] for one in json.loads(caller.body)["data"]] == ["b"]
    assert ask(stage, b"", path=b"/v1/models/b")[0].status == 200
    assert code_of(ask(stage, b"", path=b"/v1/models/a")[0]) == (403, Code.POLICY_DENIED)


def test_a_list_that_would_be_empty_is_refused_unless_it_is_allowed_itself() -> None:
    assert code_of(ask(staged(Policy(name="z", effect="allow", models=("z",))), b"", path=b"/v1/models")[0]) == (
        403,
        Code.POLICY_DENIED,
    )
    listing = Policy(name="listing", effect="allow", operations=("models",))
    hidden = Policy(name="hidden", effect="deny", models=("a", "b"))
    caller, _ = ask(staged(hidden, listing), b"", path=b"/v1/models")
    assert (caller.status, json.loads(caller.body)["data"]) == (200, [])


@pytest.mark.parametrize(
    ("by_policy", "by_route", "outcome"),
    [(None, "cut", "cut"), (None, "finish", "finish"), ("finish", "cut", "finish"), ("cut", "finish", "cut")],
)
def test_what_becomes_of_a_running_call_is_said_by_its_policy_else_by_its_route(
    by_policy: EndedTokens | None, by_route: EndedTokens, outcome: str
) -> None:
    stage = staged(Policy(name="p", effect="allow", ended_tokens=by_policy), ended_tokens=by_route)
    ask(stage)
    (relay,) = stage.gateway.live
    assert relay.call.ended_tokens == outcome


def test_policies_that_stay_keep_what_is_remembered_of_them() -> None:
    stage = staged(REST)
    world = stage.gateway.world
    assert world is not None
    again = build_world(replace(world.snapshot, version=9), world.places, world)
    assert again.desk is world.desk
    other = build_world(replace(world.snapshot, policies=PolicySet((REST, REST))), world.places, world)
    assert other.desk is not world.desk
    fewer = build_world(replace(world.snapshot, routes=world.snapshot.routes[:1]), world.places, world)
    assert fewer.desk is not world.desk


def blind(stage: Stage) -> Stage:
    """Let control be silent for too long."""
    stage.clock.advance(_BLIND_AFTER_S + 1)
    return stage


def life(stage: Stage) -> dict[str, Any]:
    """The claims of a token that lives now."""
    now_s = int(stage.clock.now_s())
    return {"iat": now_s, "exp": now_s + 600}


BATCH: Final = Policy(name="batch", effect="allow", subjects=("batch",), stale=True)


def test_while_blind_only_what_a_policy_lets_goes_on_and_is_recorded_with_its_name() -> None:
    stage = blind(staged(BATCH, REST))
    lives = life(stage)
    assert code_of(ask(stage, sub="ann", **lives)[0]) == (503, Code.CONTROL_STALE)
    _, running = ask(stage, sub="batch", **lives)
    assert running is not None
    running.caller_gone()
    assert last(stage).policy == "batch"
    caller, _ = ask(stage, b"", path=b"/v1/models", sub="batch", **lives)
    assert (caller.status, last(stage).policy) == (200, "batch")
    assert code_of(ask(stage, b"", path=b"/v1/models", sub="ann", **lives)[0]) == (503, Code.CONTROL_STALE)
    stage.gateway.control_seen()
    _, running = ask(stage, sub="batch", **lives)
    assert running is not None
    running.caller_gone()
    assert last(stage).policy == ""


def test_while_blind_the_first_that_allows_decides() -> None:
    stage = blind(staged(REST, BATCH))
    lives = life(stage)
    assert code_of(ask(stage, sub="batch", **lives)[0]) == (503, Code.CONTROL_STALE)


@pytest.mark.parametrize("policies", [(), (REST,)])
def test_while_blind_nothing_goes_on_where_no_policy_says_so(policies: tuple[Policy, ...]) -> None:
    stage = blind(staged(*policies))
    lives = life(stage)
    assert code_of(ask(stage, sub="batch", **lives)[0]) == (503, Code.CONTROL_STALE)


def test_while_blind_a_denial_stays_one_and_a_full_audit_log_lets_nothing_through() -> None:
    deny = Policy(name="deny", effect="deny", models=("b",))
    stage = blind(staged(deny, BATCH))
    lives = life(stage)
    assert code_of(ask(stage, b'{"model":"b"}', sub="batch", **lives)[0]) == (403, Code.POLICY_DENIED)
    stage.trail.full = True
    assert code_of(ask(stage, sub="batch", **lives)[0]) == (503, Code.AUDIT_UNAVAILABLE)

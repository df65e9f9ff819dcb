"""The life of a call from its head to its record, and every refusal on the way."""

import json

import pytest
from msgspec import structs

from jotgate.core.revocations import Entry, token_handle
from jotgate.core.snapshot import Limits
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, at_once
from tests.callers import request
from tests.stages import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def code_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def good(stage: Stage, **claims: object) -> bytes:
    return b"Bearer " + stage.issuer.token(**claims)


def test_a_call_goes_out_as_it_was_authorised(stage: Stage) -> None:
    asked = request(
        b'{ "model":"a", "stream":true, "store":true }',
        authorization=good(stage),
        x_request_id=b"from.caller-1",
        accept=b"text/event-stream",
        cookie=b"c",
    )
    caller, _ = stage.ask(asked)
    outbound = stage.one.last.outbound
    assert (outbound.operation, outbound.method, outbound.target) == (
        "chat.completions",
        b"POST",
        b"/v1/chat/completions",
    )
    assert outbound.lines == b"X-Request-Id: from.caller-1\r\naccept: text/event-stream\r\n"
    assert outbound.body == b'{"model":"real-a","stream":true,"store":false}'
    assert outbound.stream
    stage.one.last.answer(200)
    assert caller.headers["x-request-id"] == "from.caller-1"
    assert stage.trail.only.request_id == "from.caller-1"


@pytest.mark.parametrize("given", [b"", b"a b", b"a/b", b"a" * 129, b'a"b', b"\xc3\xa9"])
def test_a_request_id_that_is_none_is_replaced(stage: Stage, given: bytes) -> None:
    caller, _ = stage.ask(request(b"{}", x_request_id=given, authorization=good(stage)))
    assert caller.headers["x-request-id"] == "req-w0-1"
    caller, _ = stage.ask(request(b"{}", authorization=good(stage)))
    assert caller.headers["x-request-id"] == "req-w0-2"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no", 400, "request_malformed"),
        (b'{"model":"nowhere"}', 404, "model_not_found"),
    ],
)
def test_a_refusal_of_a_known_caller_is_recorded_with_the_caller(
    stage: Stage, body: bytes, status: int, code: str
) -> None:
    caller, running = stage.ask(request(body, authorization=good(stage, sub="bob")))
    assert (caller.status, code_of(caller), running) == (status, code, None)
    record = stage.trail.only
    assert (record.subject, record.status, record.code, record.outcome) == ("bob", status, code, "refused")
    assert (record.operation, record.bytes_in) == ("chat.completions", len(body))
    assert not stage.one.exchanges


def test_a_refusal_of_nobody_is_recorded_unless_the_trail_is_crowded(stage: Stage) -> None:
    for crowded, records in ((False, 1), (True, 1), (False, 2)):
        stage.trail.crowded = crowded
        caller, _ = stage.ask(request(b"{}"))
        assert (caller.status, code_of(caller)) == (401, "token_missing")
        assert len(stage.trail.lines) == records
    assert {record.subject for record in stage.trail.records} == {""}
    assert [record.row for record in stage.trail.records] == [1, 2]


def test_a_crowded_trail_still_takes_the_refusals_of_known_callers(stage: Stage) -> None:
    stage.trail.crowded = True
    stage.ask(request(b"no", authorization=good(stage)))
    assert stage.trail.only.code == "request_malformed"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        (b"POST", b"/v1/responses", 405, "method_refused"),
        (b"DELETE", b"/v1/models/a", 405, "method_refused"),
        (b"HEAD", b"/v1/completions", 405, "method_refused"),
    ],
)
def test_a_path_or_method_outside_the_table_is_refused_whoever_asks(
    stage: Stage, method: bytes, path: bytes, status: int, code: str
) -> None:
    for headers in ({}, {"authorization": good(stage)}):
        caller, _ = stage.ask(request(method=method, path=path, **headers))
        assert (caller.status, code_of(caller)) == (status, code)


def test_the_models_are_listed_as_the_token_may_use_them(stage: Stage) -> None:
    caller, running = stage.ask(request(method=b"GET", path=b"/v1/models", authorization=good(stage, models=["b"])))
    assert running is None
    assert json.loads(caller.body) == {
        "object": "list",
        "data": [{"id": "b", "object": "model", "created": 0, "owned_by": "two"}],
    }
    record = stage.trail.only
    assert (record.status, record.outcome, record.operation, record.bytes_out) == (
        200,
        "complete",
        "models",
        len(caller.body),
    )


def test_one_model_is_shown_by_its_path(stage: Stage) -> None:
    caller, _ = stage.ask(request(method=b"GET", path=b"/v1/models/a", authorization=good(stage)))
    assert (json.loads(caller.body)["id"], stage.trail.only.model) == ("a", "a")
    caller, _ = stage.ask(request(method=b"GET", path=b"/v1/models/none", authorization=good(stage)))
    assert code_of(caller) == "model_not_found"


def test_before_the_first_snapshot_nothing_is_answered() -> None:
    clock, trail, caller = ManualClock(), MemoryTrail(), RecordingCaller()
    recorder = CallRecorder(clock=clock, trail=trail, instance="w")
    gateway = Gateway(clock=clock, recorder=recorder, instance="w", soon=at_once)
    stage = Stage()
    stage.gateway = gateway
    assert gateway.world is None
    caller, _ = stage.ask(request(b"{}", authorization=good(stage)))
    assert (caller.status, code_of(caller)) == (503, "not_ready")
    assert caller.headers["retry-after"] == "1"


def test_a_picture_that_is_too_old_lets_nothing_through() -> None:
    stage = Stage(Limits(max_staleness_s=60))
    stage.clock.advance(60)
    stage.call()
    stage.clock.advance(0.1)
    asked = request(b"{}", authorization=b"Bearer " + stage.issuer.token(exp=1_900_000_000, iat=1_800_000_000 - 1))
    caller, _ = stage.ask(asked)
    assert (caller.status, code_of(caller)) == (503, "control_stale")
    stage.gateway.control_seen()
    stage.call()


def test_a_picture_is_as_old_as_control_says_whatever_new_world_comes() -> None:
    stage = Stage(Limits(max_staleness_s=60))
    stage.gateway.control_seen(60.1)
    asked = request(b"{}", authorization=b"Bearer " + stage.issuer.token(exp=1_900_000_000, iat=1_800_000_000 - 1))
    world = stage.gateway.world
    assert world is not None
    stage.gateway.swap(world)
    caller, _ = stage.ask(asked)
    assert (caller.status, code_of(caller)) == (503, "control_stale")
    stage.gateway.control_seen(59.9)
    stage.call()


def test_a_full_trail_lets_nothing_through_at_the_head_and_at_the_body(stage: Stage) -> None:
    answer = stage.gateway.open(request(b'{"model":"a"}', authorization=good(stage)))
    stage.trail.full = True
    late, early = RecordingCaller(), RecordingCaller()
    assert answer(late) is None
    early, _ = stage.ask(request(b"{}", authorization=good(stage)))
    for caller in (late, early):
        assert (caller.status, code_of(caller)) == (503, "audit_unavailable")
    assert not stage.one.exchanges


def test_a_call_ends_in_the_world_in_which_it_began(stage: Stage) -> None:
    answer = stage.gateway.open(request(b'{"model":"a"}', authorization=good(stage)))
    stage.gateway.swap(structs.replace(stage.world, routes={}, places={}))
    caller = RecordingCaller()
    assert answer(caller) is not None
    stage.one.last.answer(503)  # the next attempt too is that of the old world
    stage.two.last.answer(200, b"{}")
    assert caller.status == 200
    later, _ = stage.ask(request(b'{"model":"a"}', authorization=good(stage)))
    assert code_of(later) == "model_not_found"


def test_a_request_that_was_never_opened_can_be_refused_and_is_named(stage: Stage) -> None:
    caller, _ = stage.ask(request(b"", method=b"", path=b""))
    assert caller.status == 404
    assert caller.headers["x-request-id"] == "req-w0-1"


def test_every_call_ends_in_exactly_one_record(stage: Stage) -> None:
    calls = [stage.call() for _ in range(4)]
    stage.one.exchanges[0].answer(200)
    stage.one.exchanges[1].answer(500)
    calls[2][1].caller_gone()
    stage.wait(10_000)
    assert sorted(record.outcome for record in stage.trail.records) == [
        "caller_gone",
        "complete",
        "complete",
        "timeout",
    ]
    assert [record.row for record in stage.trail.records] == [1, 2, 3, 4]
    assert not stage.gateway.live


def test_E04_a_token_that_ends_while_the_body_is_awaited_starts_no_call(stage: Stage) -> None:
    """A caller may send its head, and the body minutes later; or wait behind others on the same connection."""
    ends = good(stage, exp=int(stage.clock.now_s()) + 60)
    answer = stage.gateway.open(request(b'{"model":"a"}', authorization=ends))
    stage.clock.advance(300)
    stage.gateway.control_seen()
    caller = RecordingCaller()
    assert answer(caller) is None
    assert (caller.status, code_of(caller)) == (401, "token_expired")
    assert not stage.one.exchanges
    assert stage.trail.only.code == "token_expired"


def test_E04_a_token_that_is_revoked_while_the_body_is_awaited_starts_no_call(stage: Stage) -> None:
    asked = request(b'{"model":"a"}', authorization=good(stage, jti="gone"))
    answer = stage.gateway.open(asked)
    issuer = stage.world.snapshot.issuers[0].issuer
    stage.world.verifier.revoked.take([Entry(f"token {token_handle(issuer, 'gone')}", None)])
    stage.clock.advance(1)
    caller = RecordingCaller()
    assert answer(caller) is None
    assert (caller.status, code_of(caller)) == (401, "token_revoked")
    assert caller.headers["x-request-id"] == asked.request_id
    assert not stage.one.exchanges


def test_a_body_that_comes_late_is_served_when_the_token_is_good_still(stage: Stage) -> None:
    answer = stage.gateway.open(request(b'{"model":"a"}', authorization=good(stage)))
    stage.clock.advance(100)
    stage.gateway.control_seen()
    caller = RecordingCaller()
    assert answer(caller) is not None
    stage.one.last.answer(200, b"{}")
    assert caller.status == 200

"""Which paths are health's, control's and the gateway's."""

import json

import pytest

from jotgate import __version__
from jotgate.core.calls import Request
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.snapshot import Limits
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.errors import (
    BodyTooLarge,
    ControlUnreachable,
    CredentialsAmbiguous,
    InternalError,
    JotgateError,
    RequestLate,
    TooManyConnections,
    UpstreamUnavailable,
)
from jotgate.gateway.forms import FORMS_AT_ONCE, FormDoor
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedPort, at_once
from tests.callers import make_issuer, make_world, request

_ISSUER = make_issuer()


class House:
    """The surface with a gateway and a control that answers by hand."""

    def __init__(self, *, ready: bool = True) -> None:
        self.clock = ManualClock()
        self.trail = MemoryTrail()
        self.control = ScriptedPort()
        self.upstream = ScriptedPort()
        self.gateway = Gateway(
            clock=self.clock,
            recorder=CallRecorder(clock=self.clock, trail=self.trail, instance="w"),
            instance="w",
            soon=at_once,
        )
        if ready:
            limits = Limits(max_staleness_s=60)
            self.gateway.swap(make_world(_ISSUER, {"one": self.upstream}, {"a": ("one",)}, limits=limits))
        self.asked: list[FormAsked] = []
        self.listens = True
        door = ControlDoor(self.control, self.clock)
        self.attempts = door.attempts
        self.forms = FormDoor(self.clock, door, self._take)
        self.surface = NativeSurface(self.gateway, door, self.forms)

    def _take(self, asked: FormAsked) -> bool:
        """Be control's end of the bus."""
        if self.listens:
            self.asked.append(asked)
        return self.listens

    def ask(self, asked: Request) -> RecordingCaller:
        caller = RecordingCaller()
        try:
            answer = self.surface.open(asked)
        except JotgateError as refusal:
            self.surface.refuse(asked, refusal, caller)
        else:
            answer(caller)
        return caller

    def get(self, path: bytes, method: bytes = b"GET") -> RecordingCaller:
        return self.ask(request(method=method, path=path))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_health_of_a_ready_worker(method: bytes) -> None:
    house = House()
    told = {path: house.get(path, method) for path in (b"/health", b"/health/live", b"/health/ready")}
    assert {caller.status for caller in told.values()} == {200}
    assert json.loads(told[b"/health"].body) == {"status": "ok", "version": __version__, "snapshot": 7}
    assert json.loads(told[b"/health/live"].body) == json.loads(told[b"/health/ready"].body) == {"status": "ok"}
    assert house.trail.lines == []


@pytest.mark.parametrize(
    ("state", "reason"), [("new", "not_ready"), ("stale", "control_stale"), ("full", "audit_unavailable")]
)
def test_a_worker_that_lets_nothing_through_lives_and_is_not_ready(state: str, reason: str) -> None:
    house = House(ready=state != "new")
    if state == "stale":
        house.clock.advance(61)
    house.trail.full = state == "full"
    assert house.get(b"/health/live").status == 200
    for path in (b"/health", b"/health/ready"):
        caller = house.get(path)
        content = json.loads(caller.body)
        assert (caller.status, content["status"], content["reason"]) == (503, "unavailable", reason)


@pytest.mark.parametrize("method", [b"POST", b"DELETE", b"OPTIONS"])
def test_health_is_read_only(method: bytes) -> None:
    caller = House().get(b"/health", method)
    assert (caller.status, caller.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "path", [b"/.well-known/jwks.json", b"/.well-known/x", b"/oauth/token", b"/admin/", b"/admin/../v1/models"]
)
def test_controls_paths_go_to_control_without_a_token_and_as_they_are(path: bytes) -> None:
    house = House()
    caller = house.get(path)
    assert house.control.last.outbound.target == path
    house.control.last.answer(200, b"{}")
    assert (caller.status, caller.body) == (200, b"{}")


@pytest.mark.parametrize(
    "path", [b"/", b"/admin", b"/.well-known", b"/Admin/", b"/health/", b"/v1/x", b"*", b"//admin/"]
)
def test_every_other_path_is_the_gateways_whose_table_is_closed(path: bytes) -> None:
    house = House()
    caller = house.get(path)
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (404, "unknown_operation")
    assert house.control.exchanges == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/health", 200),
        (b"GET", b"/health/live", 200),
        (b"HEAD", b"/health/ready", 200),
        (b"POST", b"/health", 405),
        (b"OPTIONS", b"/v1/models", 204),
        (b"OPTIONS", b"/v1/x", 404),
        (b"GET", b"/v1/models", 401),
        (b"GET", b"/.well-known/jwks.json", 200),
        (b"POST", b"/admin/api/clients", 200),
    ],
)
def test_each_answer_has_its_request_id(method: bytes, path: bytes, status: int) -> None:
    """The caller's own if it is one, else the next of this worker's."""
    house = House()
    for given, told in ((b"mine.1", "mine.1"), (b"no id", "req-w-1"), (b"", "req-w-2")):
        caller = house.ask(request(method=method, path=path, x_request_id=given))
        if house.control.exchanges:
            house.control.last.answer(200, b"{}")
        assert (caller.status, caller.headers["x-request-id"]) == (status, told)


def test_a_worker_that_is_not_ready_names_its_answer_too() -> None:
    assert House(ready=False).get(b"/health").headers["x-request-id"] == "req-w-1"


def test_strangers_may_send_little_where_nobody_is_asked_for_a_token() -> None:
    house = House()
    for path, limit in ((b"/health", 0), (b"/oauth/token", 65_536)):
        asked = request(method=b"GET", path=path)
        house.surface.open(asked)
        assert asked.body_bytes_max == limit


def test_a_call_is_the_gateways() -> None:
    house = House()
    caller = house.ask(request(b'{"model":"a"}', authorization=b"Bearer " + _ISSUER.token()))
    house.upstream.last.answer(200, b"{}")
    assert (caller.status, house.trail.only.outcome) == (200, "complete")


def form_of(path: bytes = b"/oauth/token") -> Request:
    """A form for the token service."""
    kind = b"application/x-www-form-urlencoded"
    return request(b"grant_type=x", path=path, host=b"x", content_type=kind, authorization=b"Basic eDp5")


def test_a_form_crosses_the_bus_with_its_proof_and_the_certificate_of_its_connection() -> None:
    house = House()
    form = form_of()
    form.headers |= {b"dpop": b"proof, another", b"client-cert": b":forged:"}
    form.certificate = b"of the connection"
    house.ask(form)
    (asked,) = house.asked
    assert (asked.sender.proofs, asked.sender.certificate) == (("proof, another",), b"of the connection")
    assert "proof" not in repr(asked.sender)


@pytest.mark.parametrize("path", [b"/oauth/token", b"/oauth/revoke", b"/oauth/introspect"])
def test_a_form_crosses_the_bus_and_its_answer_comes_back(path: bytes) -> None:
    house = House()
    caller = house.ask(form_of(path))
    (asked,) = house.asked
    assert (asked.path, asked.body, asked.content_type) == (
        path.decode(),
        b"grant_type=x",
        "application/x-www-form-urlencoded",
    )
    assert (asked.sender.authorization, asked.sender.peer) == (("Basic eDp5",), "127.0.0.1")
    assert (caller.status, house.control.exchanges) == (0, [])
    house.forms.answered(FormAnswered(asked.number, 400, b"Cache-Control: no-store\r\n", b"{}"))
    assert (caller.status, caller.body) == (400, b"{}")
    assert b"X-Request-Id: " in caller.lines
    assert b"Cache-Control: no-store" in caller.lines


def oauth_code_of(caller: RecordingCaller) -> str:
    """The code of a refusal that is the object of RFC 6749 s5.2."""
    told = json.loads(caller.body)
    assert told.keys() == {"error", "error_description", "code"}
    assert caller.headers["cache-control"] == "no-store"
    return str(told["code"])


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (BodyTooLarge("x"), "invalid_request"),
        (CredentialsAmbiguous("x"), "invalid_request"),
        (TooManyConnections("x"), "invalid_request"),
        (RequestLate("x"), "invalid_request"),
        (ControlUnreachable("x"), "temporarily_unavailable"),
        (InternalError("x"), "server_error"),
    ],
)
def test_whoever_refuses_an_oauth_client_does_so_in_its_words(refusal: JotgateError, word: str) -> None:
    house = House()
    for path in (b"/oauth/token", b"/oauth/revoke?token=x", b"/oauth/introspect", b"/oauth/else"):
        caller = RecordingCaller()
        house.surface.refuse(request(method=b"POST", path=path), refusal, caller)
        assert (caller.status, oauth_code_of(caller)) == (refusal.status, refusal.code)
        assert json.loads(caller.body)["error"] == word
    for path in (b"/oauth", b"/v1/models", b"/admin/oauth/"):
        house.surface.refuse(request(method=b"POST", path=path), refusal, caller := RecordingCaller())
        assert json.loads(caller.body)["error"]["code"] == refusal.code


def test_a_form_that_goes_over_http_is_refused_in_its_words_when_control_is_gone() -> None:
    house = House()
    house.listens = False
    caller = house.ask(form_of())
    house.control.last.fail(UpstreamUnavailable("x"), written=True)
    assert (caller.status, oauth_code_of(caller)) == (503, "control_unreachable")


def test_another_method_than_post_goes_where_all_else_goes() -> None:
    house = House()
    house.get(b"/oauth/token")
    assert (house.asked, len(house.control.exchanges)) == ([], 1)


def test_while_nobody_listens_on_the_bus_a_form_goes_over_http() -> None:
    house = House()
    house.listens = False
    house.ask(form_of())
    assert len(house.control.exchanges) == 1


def test_a_form_beyond_the_bound_goes_over_http() -> None:
    house = House()
    for _ in range(FORMS_AT_ONCE + 1):
        house.ask(form_of())
    assert (len(house.asked), len(house.control.exchanges)) == (FORMS_AT_ONCE, 1)


def test_a_form_whose_control_is_gone_is_answered_503() -> None:
    house = House()
    caller = house.ask(form_of())
    house.forms.lost()
    assert (caller.status, oauth_code_of(caller)) == (503, "control_unreachable")
    house.forms.answered(FormAnswered(house.asked[0].number, 200, b"", b"late"))
    assert caller.status == 503, "once"


def test_a_form_is_given_up_at_its_deadline() -> None:
    house = House()
    caller = house.ask(form_of())
    house.clock.advance(9)
    house.forms.check_deadlines()
    assert caller.status == 0
    house.clock.advance(2)
    house.forms.check_deadlines()
    assert caller.status == 503


def test_nobody_is_told_when_the_caller_of_a_form_is_gone() -> None:
    house = House()
    caller = RecordingCaller()
    running = house.surface.open(form_of())(caller)
    assert running is not None
    running.caller_gone()
    house.forms.answered(FormAnswered(house.asked[0].number, 200, b"", b"{}"))
    assert caller.status == 0


def wrong(peer: str, path: bytes = b"/oauth/token", method: bytes = b"POST") -> Request:
    """A request with a credential that control refuses."""
    asked = request(b"grant_type=client_credentials", method=method, path=path, authorization=b"Basic wrong")
    asked.peer = peer
    return asked


def test_a_flood_of_wrong_secrets_from_one_address_does_not_reach_control_and_another_address_does() -> None:
    house = House()
    house.attempts.limit(Limits(failed_attempts=3))
    for number in range(1, 4):
        house.ask(wrong("203.0.113.7"))
        house.forms.answered(FormAnswered(number, 401, b"", b'{"error":"invalid_client"}'))
    refused = house.ask(wrong("203.0.113.7"))
    said = json.loads(refused.body)
    assert (refused.status, said["error"], said["code"]) == (429, "temporarily_unavailable", "attempts_throttled")
    assert house.trail.records[-1].code == "attempts_throttled"
    assert len(house.asked) == 3
    house.ask(wrong("203.0.113.8"))
    assert len(house.asked) == 4


def test_wrong_tokens_of_the_admin_api_count_too_and_what_needs_no_token_is_open_to_all() -> None:
    house = House()
    house.attempts.limit(Limits(failed_attempts=2))
    for _ in range(2):
        house.ask(wrong("203.0.113.7", b"/admin/api/clients", b"GET"))
        house.control.last.answer(401, b"{}")
    assert house.ask(wrong("203.0.113.7", b"/admin/api/clients", b"GET")).status == 429
    keys = request(method=b"GET", path=b"/.well-known/jwks.json")
    keys.peer = "203.0.113.7"
    house.ask(keys)
    assert house.control.last.outbound.target == b"/.well-known/jwks.json"


def test_wrong_secrets_that_went_over_http_count_too() -> None:
    house = House()
    house.listens = False
    house.attempts.limit(Limits(failed_attempts=2))
    for _ in range(2):
        house.ask(wrong("203.0.113.7"))
        house.control.last.answer(401, b"{}")
    assert house.ask(wrong("203.0.113.7")).status == 429

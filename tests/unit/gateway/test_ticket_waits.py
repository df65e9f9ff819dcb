"""Handshakes wait for what their tickets stand for; refused ones count as failed attempts, as other credentials do."""

import json

import pytest

from jotgate.core.snapshot import Limits
from jotgate.core.socket_tickets import Redemption, ShownTicket
from jotgate.core.values import Secret
from jotgate.core.websocket_handshake import Handshake
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

TICKET = "jot_t_" + "A" * 43
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Door(Stage):
    """A stage at which tickets are shown; `says` is what control says of all that are shown, if anything."""

    def __init__(self) -> None:
        super().__init__(Limits(failed_attempts=3, failed_attempts_per_minute=6))
        self.shown: list[tuple[int, ShownTicket]] = []
        self.waits = self.gateway.redeem_tickets_by(lambda number, shown: self.shown.append((number, shown)), _at_once)

    def shake(
        self, query: bytes = b"model=a&ticket=" + TICKET.encode(), path: bytes = b"/v1/realtime", **fields: bytes
    ) -> RecordingCaller:
        """A handshake."""
        asked = request(method=b"GET", path=path, **fields)
        asked.query, asked.handshake = query, Handshake(KEY)
        return self.ask(asked)[0]

    def answer(self, found: Redemption) -> None:
        """Control says something of the last one."""
        self.waits.answered(self.shown[-1][0], found)


def _at_once(thing: object) -> None:
    assert callable(thing)
    thing()


def code_of(caller: RecordingCaller) -> str:
    return str(json.loads(caller.body)["error"]["code"])


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_good_ticket_stands_for_its_token(door: Door) -> None:
    caller = door.shake(origin=b"https://app.example")
    ((_, shown),) = door.shown
    assert (shown.ticket, shown.path, shown.origin) == (Secret(TICKET), "/v1/realtime", "https://app.example")
    assert caller.status == 0
    door.answer(Redemption("good", Secret(door.issuer.token().decode())))
    assert len(door.one.exchanges) == 1
    assert TICKET.encode() not in door.one.last.outbound.target + door.one.last.outbound.lines


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (Redemption("refused"), 401, "ticket_refused"),
        (Redemption("unknown"), 503, "control_unreachable"),
        (Redemption("good", Secret("eyJ.no.token")), 401, "token_malformed"),
    ],
)
def test_what_becomes_of_others(door: Door, found: Redemption, status: int, code: str) -> None:
    caller = door.shake()
    door.answer(found)
    assert (caller.status, code_of(caller)) == (status, code)
    assert not door.one.exchanges


def test_who_gets_no_answer_is_refused_in_time(door: Door) -> None:
    caller = door.shake()
    door.wait(4.9)
    assert caller.status == 0
    door.wait(0.2)
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")
    door.answer(Redemption("good", Secret(door.issuer.token().decode())))
    assert not door.one.exchanges


def test_a_ticket_beside_another_credential_is_refused(door: Door) -> None:
    caller = door.shake(authorization=b"Bearer " + door.issuer.token())
    assert (caller.status, code_of(caller)) == (400, "credentials_ambiguous")
    caller = door.shake(query=b"model=a&ticket=x&ticket=y")
    assert (caller.status, code_of(caller)) == (400, "credentials_ambiguous")
    assert not door.shown


def test_elsewhere_the_query_has_no_tickets(door: Door) -> None:
    assert door.shake(path=b"/v1/models", authorization=b"Bearer " + door.issuer.token()).status == 200
    assert code_of(door.shake(path=b"/v1/models")) == "token_missing"
    assert not door.shown


def test_refused_handshakes_count_as_failed_attempts(door: Door) -> None:
    statuses = []
    for _ in range(3):
        caller = door.shake()
        door.answer(Redemption("refused"))
        statuses.append(caller.status)
    statuses.append(door.shake().status)
    assert statuses == [401, 401, 401, 429]
    assert len(door.shown) == 3, "control is not asked for a blocked address"
    assert door.shake(query=b"model=a", authorization=b"Bearer x").status == 429
    wrong = Door()
    assert [wrong.shake(query=b"model=a", authorization=b"Bearer x").status for _ in range(4)] == [401, 401, 401, 429]
    bypass = door.shake(path=b"/v1/models", authorization=b"Bearer x")
    assert bypass.status == 429, "a ticket in the query lets nobody guess elsewhere"

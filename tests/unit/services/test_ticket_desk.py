"""A ticket opens one WebSocket: once, in its time, on its path and from its Origin; the store could open none by it."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from jotgate.core.opaque import opaque_digest
from jotgate.core.socket_tickets import ShownTicket, TicketAsk, read_ticket_ask
from jotgate.core.values import Secret
from jotgate.errors import RequestMalformed, StoreUnavailable
from jotgate.services.ticket_desk import TICKET_MARK, TicketDesk
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.token_stage import Chance

ASKED = TicketAsk("/v1/realtime", "https://app.example")
TOKEN = b"eyJ.the-token.of-somebody"


class SilentAccess:
    """The way to a store that does not answer (ports.StoreAccess)."""

    async def run(self, work: Callable[[Store], Any]) -> Any:
        raise StoreUnavailable("the store does not answer")


class Counter:
    """A desk, and what it knows."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.desk = self.other()
        self.ticket, self.expires_at_s = asyncio.run(self.desk.issue(TOKEN, ASKED))

    def other(self) -> TicketDesk:
        """Another machine's, of the same store."""
        return TicketDesk(DirectAccess(self.store), clock=self.clock, entropy=Chance())

    def show(self, *, asker: bytes = b"w1:1", desk: TicketDesk | None = None, **changes: str) -> str:
        """What is got for the ticket: a token, or the word."""
        shown = {"path": ASKED.path, "origin": ASKED.origin, **changes}
        text = shown.pop("ticket", self.ticket.reveal())
        found = asyncio.run((desk or self.desk).redeem(ShownTicket(Secret(text), asker=asker, **shown)))
        return found.word if found.token is None else found.token.reveal()


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_it_is_good_once_on_all_machines_and_for_who_asked_first(counter: Counter) -> None:
    assert counter.expires_at_s == int(counter.clock.now_s()) + 30
    assert counter.show() == TOKEN.decode()
    assert counter.show(asker=b"w2:1") == "refused"
    assert counter.show(asker=b"w2:1", desk=counter.other()) == "refused"
    assert counter.show() == TOKEN.decode()  # Its worker asks another control process again.


@pytest.mark.parametrize("changes", [{"path": "/v1/responses"}, {"origin": "https://evil.example"}, {"origin": ""}])
def test_elsewhere_it_is_refused_and_used(counter: Counter, changes: Any) -> None:
    assert counter.show(**changes) == "refused"
    assert counter.show(asker=b"w1:2") == "refused"


def test_after_thirty_seconds_it_is_over(counter: Counter) -> None:
    counter.clock.advance(30)
    assert counter.show() == "refused"


@pytest.mark.parametrize("text", ["", "jot_t_", "jot_t_" + "A" * 43, "jot_p_" + "A" * 43])
def test_what_is_no_ticket_is_refused_and_leaves_nothing_behind(counter: Counter, text: str) -> None:
    assert counter.show(ticket=text) == "refused"
    assert not counter.store.marks_of("ws_ticket_used", "", 10)


def test_the_store_has_its_digest_and_not_the_token(counter: Counter) -> None:
    (kept,) = counter.store.marks_of(TICKET_MARK, "", 10)
    assert kept.handle == opaque_digest(counter.ticket.reveal()).hex()
    assert TOKEN not in kept.content
    assert b64encode(TOKEN) not in kept.content
    assert counter.ticket.reveal().encode() not in kept.content


def test_a_store_that_does_not_answer_says_nothing_of_it(counter: Counter) -> None:
    silent = TicketDesk(SilentAccess(), clock=counter.clock, entropy=Chance())
    assert counter.show(desk=silent) == "unknown"
    assert counter.show() == TOKEN.decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"path": "/v1/models"}',
        b'{"path": "/v1/realtime", "origin": "null"}',
        b'{"path": "/v1/realtime", "origin": "https://app.example/page"}',
        b'{"path": "/v1/realtime", "more": 1}',
    ],
)
def test_what_no_ticket_is_issued_for(body: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_ticket_ask(body)


def test_a_program_without_an_origin_may_have_one() -> None:
    assert read_ticket_ask(b'{"path": "/v1/realtime"}').origin == ""

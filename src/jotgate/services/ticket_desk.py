"""Issues tickets for WebSockets, and redeems each once, on whichever worker and machine it is shown."""

from typing import Final

from jotgate.core.durable import Mark as Kept
from jotgate.core.opaque import OPAQUE_BYTES, Mark, is_opaque, make_opaque, opaque_digest
from jotgate.core.socket_tickets import (
    NONCE_BYTES,
    TICKET_LIFE_S,
    Redemption,
    ShownTicket,
    TicketAsk,
    open_token,
    seal_token,
)
from jotgate.core.values import Secret
from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.store_ports import Store

TICKET_MARK: Final = "ws_ticket"
USED_MARK: Final = "ws_ticket_used"
"""The kinds of what the store keeps: tickets by their digest, with what they stand for, and those that were shown."""

_KEPT_S: Final = 2 * TICKET_LIFE_S
"""That a ticket was shown is remembered for longer than any clock lets it count."""


class TicketDesk:
    """The one of this installation: what it knows is in the store. Immutable."""

    def __init__(self, access: StoreAccess, *, clock: Clock, entropy: Entropy) -> None:
        self._access = access
        self._clock = clock
        self._entropy = entropy

    async def issue(self, token: bytes, asked: TicketAsk) -> tuple[Secret, int]:
        """A ticket for this verified token, and when it ends (NumericDate). Raises StoreUnavailable."""
        ticket = make_opaque(Mark.TICKET, self._entropy.random_bytes(OPAQUE_BYTES))
        sealed = seal_token(ticket, token, asked, self._entropy.random_bytes(NONCE_BYTES))
        now_s = int(self._clock.now_s())
        kept = Kept(TICKET_MARK, opaque_digest(ticket.reveal()).hex(), now_s + TICKET_LIFE_S, sealed)
        await self._access.run(lambda store: store.mark(kept, now_s))
        return ticket, kept.expires_at_s

    async def redeem(self, shown: ShownTicket) -> Redemption:
        """What a handshake gets for a ticket; whatever that is, nobody else gets anything for it from now on.

        The same `asker` may ask again, as its worker does when control was started anew meanwhile.
        """
        if not is_opaque(Mark.TICKET, shown.ticket.reveal()):
            return Redemption("refused")
        now_s = int(self._clock.now_s())
        try:
            sealed = await self._access.run(lambda store: _use(store, shown, now_s))
        except StoreUnavailable:
            return Redemption("unknown")
        token = None if sealed is None else open_token(shown, sealed)
        return Redemption("refused") if token is None else Redemption("good", token)


def _use(store: Store, shown: ShownTicket, now_s: int) -> bytes | None:
    """What is kept with a ticket, which is used by that; None: there is none, or it was used, or is over."""
    handle = opaque_digest(shown.ticket.reveal()).hex()
    found = store.marks_of(TICKET_MARK, handle[:-1], 1)  # The first behind what it begins with.
    if not found or found[0].handle != handle or found[0].expires_at_s <= now_s:
        return None
    used = store.mark(Kept(USED_MARK, handle, now_s + _KEPT_S, shown.asker), now_s)
    return found[0].content if used is None or used.content == shown.asker else None

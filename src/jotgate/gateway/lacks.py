"""All that requests wait for before they are decided: keys, what control says of a token or a proof, a status, a token.

Each kind has waits of its own, once somebody says how control is asked.
"""

from collections.abc import Callable
from typing import Final, Protocol

from jotgate.core.calls import Request
from jotgate.core.principals import Principal
from jotgate.errors import (
    IdentityUnwritten,
    JotgateError,
    KeyUnpublished,
    ProofUnmarked,
    StatusUnresolved,
    TicketUnredeemed,
    TokenUnresolved,
)
from jotgate.gateway.identities import Identities
from jotgate.gateway.key_waits import KeyWaits
from jotgate.gateway.proof_waits import ProofWaits
from jotgate.gateway.statuses import Statuses
from jotgate.gateway.ticket_waits import TicketWaits
from jotgate.gateway.token_waits import TokenWaits
from jotgate.gateway.world import World
from jotgate.ports import Answer

LACKS: Final = (KeyUnpublished, TicketUnredeemed, TokenUnresolved, ProofUnmarked, StatusUnresolved, IdentityUnwritten)
"""What is raised where something is not held yet."""


class _Waits(Protocol):
    def check_deadlines(self, now_s: float) -> None: ...

    cancel_all: Callable[[], None]


class Lacks:
    """Those of one worker. Mutable: the waits of each kind; None: nobody is asked for what is lacking."""

    def __init__(self) -> None:
        self.keys: KeyWaits | None = None
        self.tickets: TicketWaits | None = None
        self.tokens: TokenWaits | None = None
        self.proofs: ProofWaits | None = None
        self.statuses: Statuses | None = None
        self.identities: Identities | None = None

    def require(self, request: Request, principal: Principal, world: World, now_s: float) -> None:
        """See to it that all is known of a verified token that is asked of control.

        Raises:
            TokenRevoked: its issuer says in a status list that it does not count.
            StatusUnresolved, IdentityUnwritten: control has to be asked.
        """
        if principal.status is not None:
            if self.statuses is None:
                raise StatusUnresolved(("", "", 0), "nobody looks up the status list that the token names")
            self.statuses.require(principal)
        if request.asked is not None and self.identities is not None:
            self.identities.require(request, principal, world, now_s)

    def join(self, request: Request, refusal: JotgateError) -> Answer:
        """Let a request wait for what it lacks; what is returned answers it, once its body is read.

        Raises:
            JotgateError: this refusal, or what its waits say instead.
        """
        request.stale = False
        try:
            match refusal:
                case KeyUnpublished() if self.keys is not None:
                    return self.keys.join(request, refusal)
                case TicketUnredeemed() if self.tickets is not None:
                    return self.tickets.join(request, refusal)
                case TokenUnresolved() if self.tokens is not None:
                    return self.tokens.join(request, refusal)
                case ProofUnmarked() if self.proofs is not None:
                    return self.proofs.join(request, refusal)
                case StatusUnresolved() if self.statuses is not None:
                    return self.statuses.join(request, refusal)
                case IdentityUnwritten() if self.identities is not None:
                    return self.identities.join(request, refusal)
            raise refusal
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    @property
    def _all(self) -> tuple[_Waits | None, ...]:
        return (self.keys, self.tickets, self.tokens, self.proofs, self.statuses, self.identities)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        for waits in self._all:
            if waits is not None:
                waits.check_deadlines(now_s)

    def cancel_all(self) -> None:
        """Refuse all that wait: jotgate stops."""
        for waits in self._all:
            if waits is not None:
                waits.cancel_all()

"""What a worker asks control of callers: tokens that tell upstreams of them, status lists of theirs, and tickets."""

from jotgate.core.socket_tickets import ShownTicket
from jotgate.core.status_references import StatusQuestion
from jotgate.core.values import Secret
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.waits import Soon
from jotgate.processes.link import Link
from jotgate.processes.messages import (
    IdentityAnswered,
    IdentityWanted,
    StatusAnswered,
    StatusWanted,
    TicketRedeemed,
    TicketShown,
)


class CallerLink:
    """Asks for all of that, and takes what control says; where nobody is there to ask, when there is. Immutable."""

    def __init__(self, gateway: Gateway, link: Link, soon: Soon) -> None:
        self._link = link
        self._identities = gateway.tell_identities_by(self._show, soon)
        self._tickets = gateway.redeem_tickets_by(self._redeem, soon)
        self._statuses = gateway.look_up_statuses_by(self._ask, soon)

    def ask_again(self) -> None:
        """Put all open questions to another control process."""
        self._identities.ask_again()
        self._statuses.ask_again()
        self._tickets.ask_again()

    def hear(self, message: IdentityAnswered | StatusAnswered | TicketRedeemed) -> None:
        """Take what control says."""
        if isinstance(message, IdentityAnswered):
            self._identities.answered(message.digest, message.identity)
        elif isinstance(message, TicketRedeemed):
            self._tickets.answered(message.number, message.found)
        else:
            self._statuses.answered(message.question, message.found)

    def _show(self, digest: bytes, shown: Secret) -> None:
        self._link.send(IdentityWanted(digest, shown))

    def _ask(self, question: StatusQuestion) -> None:
        self._link.send(StatusWanted(question))

    def _redeem(self, number: int, shown: ShownTicket) -> None:
        self._link.send(TicketShown(number, shown))

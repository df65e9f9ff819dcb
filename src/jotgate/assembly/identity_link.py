"""What a worker asks control of the tokens that tell upstreams who calls, on the worker's side."""

from jotgate.core.values import Secret
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.waits import Soon
from jotgate.processes.link import Link
from jotgate.processes.messages import IdentityAnswered, IdentityWanted


class IdentityLink:
    """Asks for them, and takes what control says. Immutable."""

    def __init__(self, gateway: Gateway, link: Link, soon: Soon) -> None:
        self._link = link
        self._identities = gateway.tell_identities_by(self._show, soon)
        self.ask_again = self._identities.ask_again

    def hear(self, message: IdentityAnswered) -> None:
        """Take what control says."""
        self._identities.answered(message.digest, message.identity)

    def _show(self, digest: bytes, shown: Secret) -> None:
        self._link.send(IdentityWanted(digest, shown))  # If there is nobody to ask now, it is asked when there is.

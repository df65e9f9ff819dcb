"""What a worker and control say to one another of upstreams' tokens, on the worker's side."""

from jotgate.processes.link import Link
from jotgate.processes.messages import (
    UpstreamTokenAnswered,
    UpstreamTokenCleared,
    UpstreamTokenRefused,
    UpstreamTokenWanted,
)
from jotgate.upstreams.credentials import UpstreamTokens


class UpstreamTokenLink:
    """Asks control for tokens, and takes what it says of them. Immutable."""

    def __init__(self, tokens: UpstreamTokens, link: Link) -> None:
        self._tokens = tokens
        self._link = link
        self.ask_again = tokens.ask_again
        tokens.ask_by(self._ask, self._tell)

    def hear(self, message: UpstreamTokenAnswered | UpstreamTokenCleared) -> None:
        """Take what control says."""
        if isinstance(message, UpstreamTokenCleared):
            self._tokens.cleared(message.upstream, message.session)
        else:
            self._tokens.answered(message.upstream, message.session, message.found, message.lacking)

    def _ask(self, upstream: str, session: str, refused: bytes) -> None:
        # If there is nobody to ask now, it is asked when there is.
        self._link.send(UpstreamTokenWanted(upstream, session, refused))

    def _tell(self, upstream: str, session: str, refused: bytes) -> None:
        # Where it is lost, control hears of it with the next question.
        self._link.send(UpstreamTokenRefused(upstream, session, refused))

"""What a worker and control say to one another of personal tokens, on the worker's side."""

from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.waits import Soon
from jotgate.ports import Clock
from jotgate.processes.link import Link
from jotgate.processes.messages import AccountsChanged, TokenAnswered, TokensUsed, TokenWanted
from jotgate.services.personal_cache import PersonalTokens


class PersonalLink:
    """Asks control about tokens, takes what it says, and tells which were used. Immutable."""

    def __init__(self, tokens: PersonalTokens, gateway: Gateway, link: Link, clock: Clock, soon: Soon) -> None:
        self._tokens = tokens
        self._link = link
        self._clock = clock
        self._cuts = gateway.cuts
        self._waits = gateway.find_tokens_by(self._ask, soon)
        self.ask_again = self._waits.ask_again

    def hear(self, message: AccountsChanged | TokenAnswered) -> None:
        """Take what control says."""
        if isinstance(message, AccountsChanged):
            self._tokens.forget(message.news)
            self._cuts.accounts_changed(message.news)
            return
        finding = message.finding
        if finding is not None:
            self._tokens.learn(message.digest, finding, self._clock.now_s())
        self._cuts.answered(message.digest)
        good = finding is not None and finding.principal is not None
        self._waits.answered(message.digest, reached=finding is not None, good=good)

    def tell_uses(self) -> None:
        """Tell control which tokens were used."""
        uses = self._tokens.take_uses()
        if uses:
            self._link.send(TokensUsed(uses))

    def _ask(self, digest: bytes) -> None:
        self._link.send(TokenWanted(digest))  # If there is nobody to ask now, it is asked when there is.

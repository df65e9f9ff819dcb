"""Where the credentials of one upstream come from: from control, one for each session, or from the settings."""

from collections import OrderedDict
from typing import Final, Protocol

from jotgate.core.routes import Upstream
from jotgate.core.upstream_tokens import TokenFound, TokenLacking, digest_of
from jotgate.ports import Clock
from jotgate.upstreams.credentials import Cancel, Then, UpstreamTokens

DOUBT_S: Final = 60.0
"""For so long after a doubtful refusal (Coze's 4101) that of the same session's next token is taken at its word."""
_DOUBTS_MAX: Final = 1_024
_FOR_EVER: Final = float("inf")


class Credentials(Protocol):
    """Where the tokens of one upstream come from."""

    def need(self, session: str, then: Then, refused: bytes) -> Cancel | None:
        """As `UpstreamTokens.need`."""

    def replaces(self, session: str, token: TokenFound, *, certain: bool) -> bool:
        """Whether there may be another token in place of one that the upstream refused.

        Not `certain`: it may have meant the token's rights, which another one would have no more of.
        """

    def refuse(self, session: str, token: TokenFound) -> None:
        """Give nobody this token any more: it was refused, and whoever sent it asks for no other."""

    def took(self, token: TokenFound) -> None:
        """The upstream has taken this token."""


class ExchangedTokens:
    """Tokens that control gets. Mutable: the sessions whose token was refused doubtfully a moment ago."""

    def __init__(self, tokens: UpstreamTokens, upstream: str, clock: Clock) -> None:
        self._tokens = tokens
        self._upstream = upstream
        self._clock = clock
        self._doubted: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def need(self, session: str, then: Then, refused: bytes) -> Cancel | None:
        """As `UpstreamTokens.need`."""
        return self._tokens.need(self._upstream, session, then, refused)

    def replaces(self, session: str, token: TokenFound, *, certain: bool) -> bool:
        """Whether another token is to be got. A token without a right must not be got anew for every call.

        All calls that were under way with the one that was refused first share the one that takes its place.
        """
        if certain:
            return True
        now_s = self._clock.monotonic_s()
        doubted, since_s = self._doubted.get(session, (b"", -_FOR_EVER))
        if now_s - since_s < DOUBT_S:
            return doubted == token.digest
        self._doubted[session] = token.digest, now_s
        self._doubted.move_to_end(session)
        if len(self._doubted) > _DOUBTS_MAX:
            self._doubted.popitem(last=False)
        return True

    def refuse(self, session: str, token: TokenFound) -> None:
        """Give nobody this token any more."""
        self._tokens.refuse(self._upstream, session, token.digest)

    def took(self, token: TokenFound) -> None:
        """Nothing is learned from that."""


class StaticKeys:
    """One or two keys of the settings. Mutable: which of them goes first, since it was taken last."""

    def __init__(self, upstream: Upstream) -> None:
        keys = [one for one in (upstream.credential, upstream.other_credential) if one is not None]
        self._keys = [TokenFound(one, digest_of(one), _FOR_EVER) for one in keys]

    def need(self, session: str, then: Then, refused: bytes) -> Cancel | None:  # noqa: ARG002 - as Credentials
        """The key that goes first, or the other one in its place."""
        found = next((one for one in self._keys if one.digest != refused), None)
        then(found or TokenLacking("unconfigured", "the upstream has no credential"))
        return None

    def replaces(self, session: str, token: TokenFound, *, certain: bool) -> bool:  # noqa: ARG002 - as Credentials
        """Whether there is another key."""
        return any(one.digest != token.digest for one in self._keys)

    def refuse(self, session: str, token: TokenFound) -> None:
        """Both keys were refused: whichever is mended is taken."""

    def took(self, token: TokenFound) -> None:
        """This one goes first from now on."""
        if self._keys[0] is not token:
            self._keys.sort(key=lambda one: one is not token)


def credentials_of(upstream: Upstream, tokens: UpstreamTokens, clock: Clock) -> Credentials:
    """Where the tokens of this upstream come from."""
    return ExchangedTokens(tokens, upstream.name, clock) if upstream.exchanged else StaticKeys(upstream)

"""Control's tokens for upstreams: got by the grants of the settings in effect, told to workers that ask, in the log."""

import asyncio

from jotgate.assembly.system import SystemEntropy
from jotgate.control.token_web import TokenWeb
from jotgate.ports import Clock, KeptRefreshTokens
from jotgate.processes.bus import BusServer
from jotgate.processes.console import say
from jotgate.services.recorder import Recorder
from jotgate.services.token_exchanges import TokenExchanges
from jotgate.services.upstream_tokens import UpstreamTokenKeeper


class _News:
    """Workers and the log as what the keeper tells (services.upstream_tokens.TokenNews)."""

    def __init__(self, bus: BusServer) -> None:
        self.cleared = bus.tell_token_cleared

    def failing(self, upstream: str, fault: str) -> None:
        """The tokens of an upstream cannot be got any more, or can again."""
        if fault:
            text = f"no token can be got for the upstream '{upstream}': {fault}"
            say(text, event="upstream_token_lacking", level="error", upstream=upstream)
        else:
            text = f"tokens are got for the upstream '{upstream}' again"
            say(text, event="upstream_token_got", level="info", upstream=upstream)


def open_upstream_tokens(
    bus: BusServer, clock: Clock, recorder: Recorder, kept: KeptRefreshTokens
) -> UpstreamTokenKeeper:
    """The keeper, which workers may ask over the bus. `kept` is where refresh tokens are kept."""
    entropy = SystemEntropy()
    exchanges = TokenExchanges(clock, entropy, TokenWeb(), kept, asyncio.sleep)
    keeper = UpstreamTokenKeeper(clock, entropy, exchanges, recorder, _News(bus))
    bus.answers.serve_upstream_tokens(keeper)
    return keeper

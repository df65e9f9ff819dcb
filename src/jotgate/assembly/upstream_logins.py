"""The credentials of upstreams in control: the keeper of their tokens with what it keeps in the store; orders."""

from collections.abc import Callable

from msgspec import Struct
from starlette.routing import Route

from jotgate.assembly.kept_tokens import open_kept_tokens
from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemEntropy
from jotgate.assembly.upstream_token_room import open_upstream_tokens
from jotgate.control.operator import order_route
from jotgate.core.token_grants import TokenGrant
from jotgate.core.upstream_orders import UpstreamOrder
from jotgate.ports import Clock
from jotgate.processes.bus import BusServer
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.signing import StoredSigners
from jotgate.services.subject_tokens import SubjectTokens
from jotgate.services.upstream_desk import UpstreamDesk, UpstreamSettings
from jotgate.services.upstream_tokens import UpstreamTokenKeeper


class UpstreamRoom(Struct, frozen=True):
    """Who gets tokens, where their refresh tokens are kept, and the routes of the operator's orders."""

    tokens: UpstreamTokenKeeper
    kept: StoredRefreshTokens
    routes: tuple[Route, ...]

    def speak_by(self, issuer: str, signers: StoredSigners, clock: Clock) -> None:
        """Say to token endpoints whom a token is wanted for, by who signs access tokens too."""
        self.tokens.speak_by(SubjectTokens(issuer, signers.sign_until, clock, SystemEntropy()).make)

    async def keep(self) -> None:
        """Keep what the store did not take at once, until cancelled."""
        await self.kept.keep_late()

    async def settle(self) -> None:
        """Give up what is under way, and keep what came of the refresh tokens that were sent."""
        await self.tokens.stop()
        await self.kept.settle()


def open_upstream_room(keys: OpenKeys, reloader: Reloader, bus: BusServer, clock: Clock) -> UpstreamRoom:
    """The room by the settings in effect."""
    recorder = keys.authority.recorder
    kept = open_kept_tokens(keys.authority, keys.access, clock, _grant_finder(reloader))
    tokens = open_upstream_tokens(bus, clock, recorder, kept)
    tokens.follow(reloader.effect.grants)

    def settings() -> UpstreamSettings:
        effect = reloader.effect
        return UpstreamSettings(effect.config.upstreams, {one.upstream: one for one in effect.grants})

    desk = UpstreamDesk(settings, kept, keys.access, recorder, clock, keeper=tokens)
    return UpstreamRoom(tokens, kept, (order_route("/upstreams", UpstreamOrder, desk.carry_out),))


def _grant_finder(reloader: Reloader) -> Callable[[str], TokenGrant | None]:
    return lambda upstream: next((one for one in reloader.effect.grants if one.upstream == upstream), None)

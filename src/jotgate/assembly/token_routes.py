"""Orders about issued tokens while control runs."""

from collections.abc import Sequence

from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock
from jotgate.control.operator import order_route
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.endless_tokens import EndlessListing
from jotgate.core.holder_orders import HolderAnswer, HolderOrder
from jotgate.core.token_orders import TokenListing, TokenOrder
from jotgate.services.holder_desk import HolderDesk
from jotgate.services.revocation import Revoker
from jotgate.services.token_desk import Installation, OwnName, TokenDesk


def open_token_desk(keys: OpenKeys, reloader: Reloader, revoker: Revoker) -> TokenDesk:
    """Who carries such orders out."""
    return TokenDesk(keys.access, revoker, SystemClock(), installation_of(keys, reloader))


def open_holder_desk(keys: OpenKeys, reloader: Reloader, revoker: Revoker) -> HolderDesk:
    """Who carries out those about all tokens of a client, a subject, a tenant or a key."""
    return HolderDesk(keys.access, revoker, SystemClock(), installation_of(keys, reloader))


def installation_of(keys: OpenKeys, reloader: Reloader) -> Installation:
    """What is known of this installation while control runs."""
    own = OwnName(keys.authority.issuer_url, keys.authority.shared)
    return Installation(own, keys.revocations.revoked, lambda: reloader.effect.issuers)


def token_routes(desk: TokenDesk, holders: HolderDesk) -> Sequence[Route]:
    """Where the operator gives them."""

    async def revoke_of(order: HolderOrder) -> HolderAnswer:
        return await holders.revoke(order, CLI_CLIENT_ID)

    return [
        order_route("/tokens/list", TokenListing, desk.list),
        order_route("/tokens/endless", EndlessListing, desk.list_endless),
        order_route("/tokens/revoke", TokenOrder, desk.revoke),
        order_route("/tokens/revoke-of", HolderOrder, revoke_of),
    ]

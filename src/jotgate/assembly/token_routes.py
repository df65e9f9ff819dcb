"""Orders about issued tokens while control runs."""

from collections.abc import Sequence

from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock
from jotgate.control.operator import order_route
from jotgate.core.token_orders import TokenListing, TokenOrder
from jotgate.services.revocation import Revoker
from jotgate.services.token_desk import OwnName, TokenDesk


def open_token_desk(keys: OpenKeys, reloader: Reloader, revoker: Revoker) -> TokenDesk:
    """Who carries such orders out."""
    return TokenDesk(
        keys.access,
        revoker,
        SystemClock(),
        revoked=keys.revocations.revoked,
        own=OwnName(keys.authority.issuer_url, keys.authority.shared),
        others=lambda: reloader.effect.issuers,
    )


def token_routes(desk: TokenDesk) -> Sequence[Route]:
    """Where the operator gives them."""
    return [
        order_route("/tokens/list", TokenListing, desk.list),
        order_route("/tokens/revoke", TokenOrder, desk.revoke),
    ]

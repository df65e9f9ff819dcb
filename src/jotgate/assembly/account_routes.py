"""The operator's orders about accounts while control runs."""

from collections.abc import Callable, Sequence

from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.control.operator import order_route
from jotgate.core.account_orders import AccountOrder
from jotgate.core.admin_tokens import AdminTokenOrder
from jotgate.core.status import IssuerState
from jotgate.services.account_desk import AccountDesk
from jotgate.services.issuer import TokenIssuer


def account_routes(
    keys: OpenKeys, tokens: TokenIssuer, others: Callable[[], Sequence[IssuerState]]
) -> tuple[Route, ...]:
    """The routes for `control.operator`. What an order ends counts nowhere on this machine when it is answered.

    `others` are the issuers beside this installation.
    """
    desk = AccountDesk(
        tokens=tokens,
        access=keys.access,
        recorder=keys.authority.recorder,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        look=keys.look,
        running=True,
        others=others,
    )
    return (
        order_route("/accounts", AccountOrder, desk.carry_out),
        order_route("/admin-tokens", AdminTokenOrder, desk.issue),
    )

"""Narrowing tokens while control runs: orders to do so, about what came of them and what ended them; secrets."""

from collections.abc import Sequence

from starlette.routing import Route

from jotgate.assembly.system import SystemClock
from jotgate.assembly.token_service import TokenParts, open_presented
from jotgate.control.operator import order_route
from jotgate.core.narrow_orders import NarrowOrder
from jotgate.core.revocation_orders import RevocationFound, RevocationSought
from jotgate.core.tree_orders import TokenTree, TreeOrder
from jotgate.services.narrowing import Narrower
from jotgate.services.realtime_secrets import SecretMinter
from jotgate.services.token_ledger import TokenLedger
from jotgate.services.token_tree import TreeReader
from jotgate.store_ports import Store


def narrowing_routes(parts: TokenParts) -> Sequence[Route]:
    """Where the operator gives these orders."""
    keys, clock = parts.keys, SystemClock()
    authority, revoked = keys.authority, keys.revocations.revoked
    narrower = Narrower(
        tokens=open_presented(parts),
        access=keys.access,
        issuer=parts.issuer,
        recorder=authority.recorder,
        clock=clock,
    )

    def read(store: Store, order: TreeOrder) -> TokenTree:
        now_s = clock.now_s()
        ledger = TokenLedger(store, revoked.counts, authority.issuer_url, now_s)
        return TreeReader(store, ledger, authority.issuer_url, now_s).carry_out(order)

    async def tree(order: TreeOrder) -> TokenTree:
        return await keys.access.run(lambda store: read(store, order))

    async def find(sought: RevocationSought) -> RevocationFound:
        handle = sought.handle(authority.issuer_url)
        rows = await keys.access.run(lambda store: store.revocations_of(sought.kind, handle))
        return RevocationFound(rows[-1] if rows else None)

    return [
        order_route("/revocations/find", RevocationSought, find),
        order_route("/tokens/narrow", NarrowOrder, narrower.carry_out),
        order_route("/tokens/tree", TreeOrder, tree),
    ]


def open_minter(parts: TokenParts) -> SecretMinter:
    """Who mints secrets for the Realtime API."""
    tokens, access = open_presented(parts), parts.keys.access
    return SecretMinter(tokens=tokens, access=access, issuer=parts.issuer, clock=SystemClock())

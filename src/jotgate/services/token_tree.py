"""Shows which tokens one comes of and which came of it, each as it stands: the delegation tree."""

from hashlib import sha256
from typing import Final

from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.opaque import Mark
from jotgate.core.revocations import token_handle
from jotgate.core.tree_orders import TREE_MAX, NodeState, TokenTree, TreeNode, TreeOrder
from jotgate.errors import CommandError, TokenError
from jotgate.jose.jwt import peek_unverified
from jotgate.services.personal_lookup import find_form
from jotgate.services.token_ledger import TokenLedger
from jotgate.store_ports import Store

_ABOVE_MAX: Final = 16
_PAGE: Final = 100
_UNKNOWN: Final = "Its row is kept until it has ended; 'jotgate token list' shows those there are"


class TreeReader:
    """Reads a tree; to be used inside `StoreAccess.run`, once. `ledger` is of the same store."""

    def __init__(self, store: Store, ledger: TokenLedger, own_issuer: str, now_s: float) -> None:
        self._store = store
        self._ledger = ledger
        self._own_issuer = own_issuer
        self._now_s = now_s

    def carry_out(self, order: TreeOrder) -> TokenTree:
        """The tree that is asked for. Raises as `identify` and `read`."""
        return self.read(order.token_id or self.identify(order.token))

    def identify(self, token: str) -> str:
        """How a token is called by those that were narrowed from it; whether it is good does not matter.

        Raises:
            CommandError: it is no token.
            StoreUnavailable: it cannot be known.
        """
        octets = token.encode("utf-8", "replace")
        if token.startswith(Mark.PERSONAL):
            found = self._store.find_personal_token(sha256(octets).digest()) if find_form(octets) else None
            if found is None:
                raise CommandError("no personal token has this text, or it was revoked or replaced")
            return found.token_id
        try:
            claims = peek_unverified(octets)[1]
        except TokenError as error:
            raise CommandError(f"that is no token: {error.message}") from None
        issuer, token_id = claims.get("iss"), claims.get("jti")
        if not isinstance(issuer, str) or not isinstance(token_id, str):
            raise CommandError("the token does not say by whom and as which it was issued")
        return token_id if issuer == self._own_issuer else token_handle(issuer, token_id)

    def read(self, named: str) -> TokenTree:
        """The tree of the token that is so called: those above it, itself, and those below it.

        Raises:
            CommandError: nothing is known of it.
            StoreUnavailable: it cannot be known.
        """
        row = self._ledger.find(named)
        above = self._above(row)
        nodes = [self._node(one, depth) for depth, one in enumerate(above)]
        nodes.append(self._node(named if row is None else row, len(above), named=True))
        more = self._read_below(named, len(nodes), nodes)
        if len(nodes) == 1 and row is None and nodes[0].state == "unknown":
            raise CommandError(f"nothing is known here of a token '{named}', or it has ended long ago", hint=_UNKNOWN)
        return TokenTree(nodes, more)

    def _above(self, row: Issuance | None) -> list[Issuance | str]:
        """The tokens that it comes of, the oldest first; of those that are not in the ledger how they are called."""
        found: list[Issuance | str] = []
        parent = None if row is None else row.parent
        while parent is not None and len(found) < _ABOVE_MAX:
            one = self._ledger.find(parent)
            found.append(parent if one is None else one)
            parent = None if one is None else one.parent
        return found[::-1]

    def _read_below(self, root: str, depth: int, nodes: list[TreeNode]) -> bool:
        """Add what came of a token, each before its own; whether there is more than may be shown."""
        waiting = [(one, depth) for one in reversed(self._children(root))]
        while waiting:
            if len(nodes) >= TREE_MAX:
                return True
            row, depth = waiting.pop()
            nodes.append(self._node(row, depth))
            waiting += [(one, depth + 1) for one in reversed(self._children(row.token_id))]
        return False

    def _children(self, parent: str) -> list[Issuance]:
        """At most one more than may be shown, the oldest first."""
        found: list[Issuance] = []
        query, after = IssuanceQuery(live_at_s=0, parent=parent), ""
        while len(found) <= TREE_MAX and (rows := self._store.find_issuances(query, after, _PAGE)):
            found += rows
            after = rows[-1].token_id
        return sorted(found[: TREE_MAX + 1], key=lambda one: (one.issued_at_s, one.token_id))

    def _node(self, one: Issuance | str, depth: int, *, named: bool = False) -> TreeNode:
        if isinstance(one, str):
            return TreeNode(token_id=one, depth=depth, state=self._state(one), named=named)
        view = self._ledger.view(one)
        return TreeNode(token_id=one.token_id, depth=depth, state=view.state, named=named, view=view)

    def _state(self, token_id: str) -> NodeState:
        """Of what is not in the ledger: a personal token is not there any more when it was revoked."""
        found = self._store.personal_token(token_id)
        if found is None:
            return "unknown" if self._ledger.counts(token_id) else "revoked"
        return "live" if found.expires_at_s > self._now_s else "ended"

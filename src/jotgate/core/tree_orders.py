"""What `jotgate token tree` asks for, and what it is told: a token, what it comes of, and what came of it."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.misplaced import check_identifiers
from jotgate.core.token_orders import TokenView
from jotgate.errors import CommandError

TREE_MAX: Final = 500
"""So many tokens are shown at most."""

_TEXT_MAX: Final = 512

NodeState = Literal["live", "revoked", "ended", "unknown"]


class TreeOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The token whose tree is wanted: by its `jti`, or itself, which need not be good any more.

    Raises:
        CommandError: not exactly one of both is given, or the identifier is none.
    """

    token_id: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        if bool(self.token_id) == bool(self.token):
            raise CommandError("name one token", hint="Give its identifier, or the token on stdin")
        check_identifiers((self.token_id,))
        if len(self.token_id) > _TEXT_MAX or not self.token_id.isprintable():
            raise CommandError("the identifier is too long, or no plain text")

    def __repr__(self) -> str:
        return f"TreeOrder({self.token_id!r})"


class TreeNode(Struct, frozen=True, kw_only=True):
    """One token of a tree. `depth` counts from the oldest that is shown. `named`: it is the one that was asked for.

    `view` None: it is not in the ledger, as it is a personal token or of another issuer, or has long ended.
    """

    token_id: str
    depth: int
    state: NodeState
    named: bool = False
    view: TokenView | None = None


class TokenTree(Struct, frozen=True):
    """A tree, each token before those that were narrowed from it. `more`: there are more than are shown."""

    nodes: list[TreeNode]
    more: bool

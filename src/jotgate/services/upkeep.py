"""Forgets what the store keeps and nobody needs any more, in small batches, so that nothing waits for it for long."""

from collections.abc import Callable
from typing import Final

from jotgate.jose.jwt import LEEWAY_S_MAX
from jotgate.store_ports import Store

BATCH: Final = 500
"""So many rows of a kind are forgotten at one go."""

CLOCKS_S: Final = 60
"""What the clocks of machines that share a store may differ by, and more."""
_SEALED_S: Final = 5  # What is sealed is kept for a clock that is so far behind; a repeat by a worse one finds nothing.
_ENDED_S: Final = LEEWAY_S_MAX + CLOCKS_S  # no machine takes what ended so long ago
_SHOWN_S: Final = 30 * 86_400  # for its owner to see that it has ended
_UNSEEN_S: Final = 400 * 86_400  # A token that is used once a year is known again.
ENDLESS_MAX: Final = 100_000
"""So many tokens that never expire are remembered: those that were seen last."""

_Chore = Callable[[Store, int], int]
_CHORES: Final[tuple[_Chore, ...]] = (
    lambda store, now_s: store.drop_issuances(now_s - CLOCKS_S, BATCH),
    lambda store, now_s: store.drop_revocations(now_s - _ENDED_S, BATCH),
    lambda store, now_s: store.drop_marks(now_s - _ENDED_S, BATCH),
    lambda store, now_s: store.drop_families(now_s - _ENDED_S, BATCH),
    lambda store, now_s: store.drop_personal_tokens(now_s - _SHOWN_S, BATCH),
    lambda store, now_s: store.drop_endless_tokens(now_s - _UNSEEN_S, ENDLESS_MAX, BATCH),
    lambda store, now_s: store.drop_owned_objects(now_s - CLOCKS_S, BATCH),
    lambda store, now_s: store.expire_credentials(now_s - CLOCKS_S, BATCH),
    lambda store, now_s: store.drop_credentials(now_s - _SHOWN_S, BATCH),
    # Of these the store's own clock says what has ended.
    lambda store, _: store.drop_leases(BATCH),
    lambda store, _: store.drop_windows(BATCH),
)


def tidy(store: Store, now_s: float) -> bool:
    """Forget a batch of each kind, each in a transaction of its own; whether there may be more.

    A revocation stays until no leeway keeps its token any more, on no machine. Raises StoreUnavailable.
    """
    counts = [chore(store, int(now_s)) for chore in _CHORES]
    return max(counts) >= BATCH


def post_lost(store: Store) -> bool:
    """Post a batch of leases that ran out, as `tidy` does, also where nobody asks any more. Raises StoreUnavailable."""
    return store.expire_leases(BATCH) >= BATCH


def erase_sealed(store: Store, now_s: float, grace_s: int) -> bool:
    """Erase a batch of successors whose grace is over, as `tidy` does. Raises StoreUnavailable."""
    return store.erase_successors(int(now_s) - grace_s - _SEALED_S, BATCH) >= BATCH

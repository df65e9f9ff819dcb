"""Which attempt of a route a call makes next: pure, from what stands of each upstream at this moment.

The attempts with a weight are the first tier and come first; they share the calls by their weights. The others are
there for when those cannot. An upstream that is at its bound is passed over while another one has room; one that has
asked to be left alone is asked only when nobody else is left; one whose breaker is open is not asked at all.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from jotgate.core.routes import Attempt

Condition = Literal["free", "full", "resting", "crowded", "suspended"]
"""free: may be asked now; full: at its bound, its queue has room; resting: has asked to be left alone; crowded: at its
bound and its queue too; suspended: its breaker is open."""

REST_MAX_S: Final = 60.0
_PREFERENCE: Final[tuple[Condition, ...]] = ("free", "full", "resting")
# The golden ratio as a fraction of 2**64 (Weyl's sequence): any run of points is spread evenly, whatever its length.
_STEP: Final = 0x9E3779B97F4A7C15
_MASK: Final = 0xFFFFFFFFFFFFFFFF
_RETRY_AFTER_DIGITS_MAX: Final = 9
_HTTP_DATE: Final = "%a, %d %b %Y %H:%M:%S GMT"


def choose(attempts: Sequence[Attempt], conditions: Sequence[Condition], tried: int, turn: int) -> int | None:
    """The index of the attempt to make; None when none can be made.

    `tried` has the bit of each attempt that was made, `turn` counts the calls of this route.
    """
    for condition in _PREFERENCE:
        able = [index for index, found in enumerate(conditions) if found == condition and not tried >> index & 1]
        if able:
            tier = [index for index in able if attempts[index].weight]
            return share_out([attempts[index].weight for index in tier], tier, turn) if tier else able[0]
    return None


def share_out(weights: Sequence[int], indices: Sequence[int], turn: int) -> int:
    """The index whose turn it is. Over any run of turns each gets its weight's share, to within a few calls."""
    if len(indices) == 1:
        return indices[0]
    point = (turn * _STEP & _MASK) * sum(weights) >> 64
    for weight, index in zip(weights, indices, strict=True):
        point -= weight
        if point < 0:
            return index
    raise AssertionError("a point lies beyond the sum of the weights")


def share_of(total: int, slot: int, count: int) -> int:
    """What the worker in this slot, of `count`, gets of a bound that holds for all of them; at least 1."""
    return max(1, total // count + (slot < total % count))


def rest_s(retry_after: bytes, now_s: float) -> float:
    """The seconds for which a Retry-After field asks to be left alone (RFC 9110 s10.2.3): 0 to 60.

    `now_s` is the civil clock. A field that is neither a number nor a date asks for nothing.
    """
    text = retry_after.strip()
    if text.isdigit():
        return min(float(text[:_RETRY_AFTER_DIGITS_MAX]), REST_MAX_S)
    try:
        until = datetime.strptime(text.decode("ascii"), _HTTP_DATE).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return min(max(until.timestamp() - now_s, 0.0), REST_MAX_S)

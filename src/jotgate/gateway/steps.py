"""How large the next step of a stream is: the less is left of its quotas, the less it reserves ahead of itself."""

from typing import Final

from jotgate.services.meter_reservations import Reservation

SHARED_BY: Final = 64
"""Of what is left of a quota no stream reserves more than such a part ahead of itself: others have to begin, too."""


def next_step(reservation: Reservation, step: int, left: int, ahead: int, margin: int) -> int:
    """How many tokens to reserve now; 0: none.

    `step` is that of the route, of what is reserved `left` has not come, by `ahead` the stream may grow while a step is
    waited for, and `margin` may be under way. What one stream reserves and does not use no other can have.
    """
    if 2 * left >= step and left >= ahead:
        return 0
    share = reservation.room // SHARED_BY
    ahead = min(ahead, max(step, share))
    step = max(1, 2 * margin, min(step, share))
    if 2 * left >= step and left >= ahead:
        return 0
    return step + max(0, -left)

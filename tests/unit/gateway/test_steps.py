"""The size of a stream's next step, by what is left of its quotas."""

from typing import Any

import pytest

from jotgate.gateway.steps import next_step

STEP = 1_024
MARGIN = 128


class Held:
    """A reservation, as far as steps look at it."""

    def __init__(self, room: int) -> None:
        self.room = room


def size(room: int, left: int, ahead: int = 0) -> int:
    held: Any = Held(room)
    return next_step(held, STEP, left, ahead, MARGIN)


@pytest.mark.parametrize(
    ("room", "left", "ahead", "expected"),
    [
        (1_000_000, 600, 0, 0),
        (1_000_000, 500, 0, STEP),
        (1_000_000, 600, 842, STEP),
        (1_000_000, -10, 0, STEP + 10),
        (1_000_000, 15_000, 50_000, STEP),
        (1_000_000, 16_000, 50_000, 0),
        (32_768, 500, 0, 0),
        (32_768, 200, 0, 512),
        (32_768, 1_100, 50_000, 0),
        (0, 100, 0, 2 * MARGIN),
        (0, 600, 842, 2 * MARGIN),
        (0, 900, 842, 0),
    ],
)
def test_the_less_is_left_the_less_is_reserved_ahead(room: int, left: int, ahead: int, expected: int) -> None:
    assert size(room, left, ahead) == expected

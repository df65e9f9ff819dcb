"""The large configuration that is reloaded."""

import tomllib

from bench.reload import MODELS_EACH, UPSTREAMS, Blocks, render_others
from bench.summary import Summary


def test_every_edition_changes_every_upstream() -> None:
    first, second = (tomllib.loads(render_others(edition))["upstreams"] for edition in (0, 1))

    assert (len(first), len(second)) == (UPSTREAMS, UPSTREAMS)
    assert all(len(one["models"]) == MODELS_EACH for one in first)
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_the_gate_stands_on_cpu_time() -> None:
    blocks = Blocks([2.0, 4.0, 3.0], [9.0], [1.0], [1.0])

    assert blocks.summaries() == {"reload_block_ms": Summary(3.0, 2.0, 4.0)}

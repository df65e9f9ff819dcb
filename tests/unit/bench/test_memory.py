"""Memory as the kernel shows it, and what a stream takes."""

import pytest

from bench.errors import BenchError
from bench.memory import Idle, Memory, parse_rollup

ROLLUP = """\
55d0-7ffe ---p 00000000 00:00 0                          [rollup]
Rss:               20480 kB
Pss:               10240 kB
Pss_Dirty:          4096 kB
SwapPss:               0 kB
"""


def test_rss_and_pss_are_read_in_mib() -> None:
    assert parse_rollup(ROLLUP) == Memory(rss_mib=20.0, pss_mib=10.0)


def test_a_kernel_that_shows_none_is_named() -> None:
    with pytest.raises(BenchError, match="smaps_rollup"):
        parse_rollup("Rss: 12 kB\n")


def test_a_stream_takes_what_came_on_top() -> None:
    assert Idle(512, Memory(9.0, 8.0), Memory(30.0, 18.0)).per_stream_kib == 20.0

"""What somebody has taken out by hand of a configuration that was printed: each line protects, but for a few."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

# Lines that an operator writes anew, and by which nobody passes who would not have passed.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "nginx": ("listen ", "client_max_body_size ", "proxy_read_timeout ", "proxy_connect_timeout "),
    "caddy": ("http://", "bind ", "flush_interval "),
    "haproxy": ("timeout ",),
}
_BRACKETS: Final = frozenset("{}[]() ;")


def lines_gone(plane: str, printed: str, found: str) -> list[str]:
    """The lines of what was printed that protect and are not in the file any more, or fewer times; in their order."""
    left = Counter(_lines(found))
    gone: list[str] = []
    for line in _lines(printed):
        left[line] -= 1
        if left[line] < 0 and not line.startswith(_OWN.get(plane, ())) and not set(line) <= _BRACKETS:
            gone.append(line)
    return gone


def in_order(plane: str, printed: str, found: str) -> bool:
    """Whether the lines that protect stand in the file one after another as they were printed."""
    rest = iter(list(_lines(found)))
    own = _OWN.get(plane, ())
    return all(line in rest for line in _lines(printed) if not line.startswith(own))


def _lines(text: str) -> Iterator[str]:
    """All but comments, without what they are indented by."""
    for line in text.splitlines():
        bare = line.strip()
        if bare and not bare.startswith("#"):
            yield bare

"""URLs that stand in settings: their parts, and what is told of those that are none, wherever they stand."""

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

HTTP: Final = ("https", "http")
_CHARS_MAX: Final = 2_048
_PORT_MAX: Final = 65_535


def url_parts(url: str, schemes: Collection[str], otherwise: str, *, host: bool = True) -> SplitResult:
    """The parts of a URL that has one of these schemes, a port that one can listen at if it has one, and a host.

    `otherwise` is what is told of other URLs, such as "is no https URL"; without `host` it may have no host.

    Raises:
        ValueError: what is wrong with it, as the end of a sentence that names it.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("holds characters that no URL has")
    if len(url) > _CHARS_MAX:
        raise ValueError(f"is longer than {_CHARS_MAX} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in schemes or (host and not parts.hostname) or (port is not None and not 0 < port <= _PORT_MAX):
        raise ValueError(otherwise)
    return parts

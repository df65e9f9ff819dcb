"""Kong's acl and rate-limiting plugins: groups of consumers, and fixed windows of the calendar."""

from datetime import UTC, datetime, timedelta
from typing import Final

from jotgate.testing.kong_entities import ENTITIES
from jotgate.testing.kong_jwt import LetIn, ProxyAsk, Stopped
from jotgate.testing.kong_plugins import PERIODS
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_values import Row

_REQUEST_ID: Final = "5f6c1b7d9d0e4a3c8b2a1f0e9d8c7b6a"
_LONGEST_FIRST: Final = PERIODS[::-1]
_FIRST: Final = (1, 1, 1, 0, 0, 0)
"""The first moment of a year, as the parts of a date."""
_SPANS_S: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000, "year": 31_536_000}


def stopped(status: int, message: str, *lines: bytes) -> Stopped:
    """A refusal with the ID of the request, as these plugins word it."""
    return Stopped(status, {"message": message, "request_id": _REQUEST_ID}, *lines)


def let_through(config: Row, caller: LetIn, store: KongStore) -> str | None:
    """The groups that the upstream is told; None: nothing is said. Raises Stopped."""
    if caller.consumer is None:
        raise stopped(401, "Unauthorized")
    held = [row["group"] for row in store.owned(ENTITIES["acls"], "consumer", caller.consumer["id"])]
    allowed, denied = config["allow"], config["deny"]
    shut = bool(set(denied) & set(held)) if denied else not set(allowed or ()) & set(held)
    if not held and not denied and caller.credential is None:
        raise stopped(401, "Unauthorized")
    if shut:
        raise stopped(403, "You cannot consume this service")
    return ", ".join(held) if held and not config["hide_groups_header"] else None


class Rates:
    """The counters of all windows. A request that is refused is not counted."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str, str, datetime], int] = {}

    def take(self, plugin: Row, ask: ProxyAsk, caller: LetIn, service: Row | None, now_s: float) -> tuple[bytes, ...]:
        """Count a request; the header lines of its answer. Raises Stopped when a window is full."""
        config = plugin["config"]
        now = datetime.fromtimestamp(now_s, UTC)
        who = _identifier(config, ask, caller, service)
        limits = {period: int(config[period]) for period in PERIODS if config[period] is not None}
        keys = {period: (plugin["id"], who, period, _begin(period, now)) for period in limits}
        left = {period: limits[period] - self._used.get(keys[period], 0) for period in limits}
        full = [period for period in limits if left[period] <= 0]
        shown = {period: max(0, left[period] - (not full or period in full)) for period in limits}
        lines = () if config["hide_client_headers"] else _lines(limits, shown, now)
        if full:
            wait = () if config["hide_client_headers"] else (b"Retry-After: %d" % _reset_s(limits, shown, now),)
            raise stopped(int(config["error_code"]), config["error_message"], *lines, *wait)
        for key in keys.values():
            self._used[key] = self._used.get(key, 0) + 1
        return lines


def _identifier(config: Row, ask: ProxyAsk, caller: LetIn, service: Row | None) -> str:
    way = config["limit_by"]
    found: str | None = None
    if way == "consumer":
        found = (caller.consumer or caller.credential or {}).get("id")
    elif way == "credential":
        found = (caller.credential or {}).get("id")
    elif way == "service":
        found = (service or {}).get("id")
    elif way == "header":
        found = ask.header(config["header_name"])
    elif way == "path" and ask.path == config["path"]:
        found = ask.path
    return found or ask.address


def _tightest(limits: dict[str, int], shown: dict[str, int]) -> str:
    """The window with the least left; the longer one of two."""
    order = {period: place for place, period in enumerate(PERIODS)}
    return min(limits, key=lambda period: (shown[period], -order[period]))


def _reset_s(limits: dict[str, int], shown: dict[str, int], now: datetime) -> int:
    period = _tightest(limits, shown)
    passed = (now - _begin(period, now)) // timedelta(seconds=1)
    return max(1, _SPANS_S[period] - passed)


def _begin(period: str, now: datetime) -> datetime:
    """When the window began that a moment is in."""
    kept = _LONGEST_FIRST.index(period) + 1
    parts = (now.year, now.month, now.day, now.hour, now.minute, now.second)
    year, month, day, hour, minute, second = (*parts[:kept], *_FIRST[kept:])
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _lines(limits: dict[str, int], shown: dict[str, int], now: datetime) -> tuple[bytes, ...]:
    tight = _tightest(limits, shown)
    each = [
        line
        for period in limits
        for line in (
            f"X-RateLimit-Limit-{period.title()}: {limits[period]}",
            f"X-RateLimit-Remaining-{period.title()}: {shown[period]}",
        )
    ]
    whole = [
        f"RateLimit-Limit: {limits[tight]}",
        f"RateLimit-Remaining: {shown[tight]}",
        f"RateLimit-Reset: {_reset_s(limits, shown, now)}",
    ]
    return tuple(line.encode() for line in (*each, *whole))

"""The fields by which an answer tells how quotas stand.

`RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-11, structured fields (RFC 9651);
`x-ratelimit-*` are those that OpenAI's API has, and its clients read.
"""

from collections.abc import Iterable
from math import ceil, inf
from typing import Final

from jotgate.errors import QuotaExceeded, QuotaStanding

_INTEGER_MAX: Final = 999_999_999_999_999
"""The largest integer of a structured field (RFC 9651 s3.3.1)."""
_REGISTERED_UNITS: Final = {"requests": "", "concurrent": ';qu="concurrent-requests"'}
"""Units of the draft's registry (s10.3) as an item names them; `requests` is what an item without one means."""
_TOKENS: Final = frozenset({"total_tokens", "input_tokens", "output_tokens"})
_RETRIED_WITHIN_S: Final = 60
"""A client that waits by itself is told to when it need not wait for longer."""


def refusal_lines(refusal: QuotaExceeded) -> bytes:
    """The header lines of a refusal: all policies that meet the call, how the one stands that refuses, when to retry.

    Retry-After is never earlier than the end of the window that `RateLimit` tells (s6). Where waiting does not help
    there is none, and clients that would try again by themselves are told not to.
    """
    standing, others = refusal.standing, tuple(one for one in refusal.others if one != refusal.standing)
    retry_after_s = max(refusal.retry_after_s, _window_s(standing) or 0)
    lines = b"Retry-After: %d\r\n" % retry_after_s if retry_after_s else b""
    if not 0 < retry_after_s <= _RETRIED_WITHIN_S:
        lines += b"X-Should-Retry: false\r\n"
    lines += _line("RateLimit-Policy", map(_policy, (standing, *others)))
    lines += _line("RateLimit", (_service_limit(standing),))
    return lines + openai_lines((standing, *others))


def openai_lines(standings: Iterable[QuotaStanding]) -> bytes:
    """`x-ratelimit-limit-requests`, `-remaining-` and `-reset-`, and those of tokens: where least is left."""
    found = tuple(standings)
    requests = _tightest(one for one in found if one.unit == "requests")
    tokens = _tightest(one for one in found if one.unit in _TOKENS)
    return _openai("requests", requests) + _openai("tokens", tokens)


def span_text(seconds: int) -> str:
    """A span as OpenAI's API writes it, such as `1s`, `6m0s` or `24h0m0s`."""
    hours, rest = divmod(seconds, 3_600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def _tightest(standings: Iterable[QuotaStanding]) -> QuotaStanding | None:
    return min(standings, key=_remaining, default=None)


def _openai(what: str, standing: QuotaStanding | None) -> bytes:
    if standing is None:
        return b""
    lines = f"X-RateLimit-Limit-{what}: {standing.limit}\r\nX-RateLimit-Remaining-{what}: {_remaining(standing)}\r\n"
    window_s = _window_s(standing)
    if window_s is not None:
        lines += f"X-RateLimit-Reset-{what}: {span_text(window_s)}\r\n"
    return lines.encode("ascii")


def _policy(standing: QuotaStanding) -> str:
    """A Quota Policy Item (s3.1)."""
    window = f";w={min(standing.window_s, _INTEGER_MAX)}" if standing.window_s else ""
    return f"{_string(standing.name)};q={_integer(standing.limit)}{_unit(standing)}{window}"


def _service_limit(standing: QuotaStanding) -> str:
    """A Service Limit Item (s4.1)."""
    window_s = _window_s(standing)
    effective = "" if window_s is None else f";t={_integer(window_s)}"
    return f"{_string(standing.name)};r={_integer(_remaining(standing))}{effective}"


def _unit(standing: QuotaStanding) -> str:
    """The unit of an item; one that is not registered is told in a parameter of ours, which others pass over.

    They then take it for requests, of which there are never more: a call takes at least one of each.
    """
    registered = _REGISTERED_UNITS.get(standing.unit)
    return f";jotgate-unit={_string(standing.unit)}" if registered is None else registered


def _remaining(standing: QuotaStanding) -> int:
    return max(0, standing.limit - standing.spent)


def _window_s(standing: QuotaStanding) -> int | None:
    """Whole seconds until there is more; None: there never is."""
    return None if standing.resets_s == inf else max(0, ceil(standing.resets_s))


def _line(name: str, items: Iterable[str]) -> bytes:
    return f"{name}: {', '.join(items)}\r\n".encode("ascii")


def _string(text: str) -> str:
    """A String (RFC 9651 s4.1.6): printable ASCII, with quotes and backslashes escaped; else a question mark."""
    plain = "".join(sign if " " <= sign <= "~" else "?" for sign in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _integer(number: int) -> int:
    return min(max(0, number), _INTEGER_MAX)

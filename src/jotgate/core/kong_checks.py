"""What `[kong]` and `[[kong_consumers]]` may not say: an Admin API in the clear, limits that Kong refuses."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from jotgate.core.config import seconds
from jotgate.core.faults import Fault, beside, shown
from jotgate.core.kong_entries import RATE_WINDOWS, KongConsumerEntry, KongEntry, RateWindow
from jotgate.core.listen_texts import is_loopback
from jotgate.core.tables import read_table
from jotgate.core.url_parts import HTTP, url_parts

CONSUMERS_MAX: Final = 10_000
_EXPIRATION_MAX_S: Final = 31_536_000
_TIMEOUT_MAX_S: Final = 60
_REMEDY: Final = 'write one such as "http://127.0.0.1:8001"'
_EXPOSED: Final = (
    "crosses the network in the clear, with the secrets of tokens; write https, or set kong.plain_http = true (in the "
    "environment: JOTGATE_KONG__PLAIN_HTTP=true) if nobody else is on that network"
)


def check_kong(kong: KongEntry) -> list[Fault]:
    """The faults of `[kong]` that can be seen without a Kong."""
    faults = [("kong.admin_url", fault)] if (fault := _url_fault(kong)) else []
    written = [name for name in ("token", "token_env", "token_file") if getattr(kong, name)]
    faults += beside("kong", written)
    if written and not kong.admin_url:
        faults.append((f"kong.{written[0]}", "stands without kong.admin_url, and nobody would be shown it"))
    if seconds(kong.timeout) > _TIMEOUT_MAX_S:
        faults.append(("kong.timeout", 'is longer than a minute; write at most "60s"'))
    if seconds(kong.maximum_expiration) > _EXPIRATION_MAX_S:
        faults.append(("kong.maximum_expiration", 'is longer than Kong takes; write at most "365d"'))
    faults += beside("kong", [name for name in ("service", "route") if getattr(kong, name)])
    if not (kong.header_names or kong.uri_param_names or kong.cookie_names):
        faults.append(("kong.header_names", "is empty, and so are the others: Kong would find no token"))
    return faults + _rate_faults("kong.rate_limits", kong.rate_limits)


def read_kong_consumers(value: object, faults: list[Fault]) -> dict[str, KongConsumerEntry]:
    """The sound entries by their path, such as `kong_consumers[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("kong_consumers", f"is {shown(value)}, and must be tables, each headed [[kong_consumers]]"))
        return {}
    entries: dict[str, KongConsumerEntry] = {}
    first: dict[str, str] = {}
    for index, item in enumerate(value):
        path = f"kong_consumers[{index}]"
        entry = read_table(KongConsumerEntry, item, path, faults)
        if entry is None:
            continue
        found = _rate_faults(f"{path}.rate_limits", entry.rate_limits)
        if first.setdefault(entry.name, path) != path:
            found.append((f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once"))
        faults += found
        entries[path] = entry
    if len(entries) > CONSUMERS_MAX:
        faults.append(("kong_consumers", f"are more than {CONSUMERS_MAX}; give most the same by kong.groups"))
    return entries


def _url_fault(kong: KongEntry) -> str:
    if not kong.admin_url:
        return ""
    try:
        parts = url_parts(kong.admin_url, HTTP, "is not an http or https URL with a host")
    except ValueError as fault:
        return f"{fault}; {_REMEDY}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out and use kong.token_env or kong.token_file"
    if "?" in kong.admin_url or "#" in kong.admin_url:
        return "holds a query or fragment; leave it out"
    if parts.scheme == "http" and not kong.plain_http and not is_loopback(parts.hostname or ""):
        return _EXPOSED
    return ""


def _rate_faults(path: str, limits: Mapping[RateWindow, int] | None) -> list[Fault]:
    """Kong refuses a longer window with a lower limit than a shorter one has."""
    given = [(window, limits[window]) for window in RATE_WINDOWS if limits is not None and window in limits]
    return [
        (path, f"has {most} for a {longer} and {least} for a {shorter}; a longer window has no lower limit")
        for (shorter, least), (longer, most) in pairwise(given)
        if most < least
    ]

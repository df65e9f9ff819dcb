"""What an entry of `[[policies]]` may not say although each setting is of its type, and what it means."""

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Final

import msgspec

from jotgate.core.faults import Fault, advice, shown
from jotgate.core.mcp_operations import OPERATIONS as MCP_OPERATIONS
from jotgate.core.operations import CREDENTIALS, DECIDE, KONG_OPERATIONS, OPERATIONS
from jotgate.core.policy_entries import DAYS, PolicyEntry, WindowEntry
from jotgate.core.policy_values import ANYTHING, DAY_MINUTES, Origin, Policy, Window
from jotgate.core.values import parse_duration_s

POLICIES_MAX: Final = 2_000
MEMBERS_MAX: Final = 20_000
"""So many members may the lists of all of them have together: a worker takes all at one go."""
_CHARS_MAX: Final = 256
_MAPPED_BITS: Final = 96  # stand before an IPv4 address in IPv6 (RFC 4291 s2.5.5.2)
_NAMES: Final = sorted({row.name for row in (*OPERATIONS, *KONG_OPERATIONS)} | {CREDENTIALS, DECIDE} | MCP_OPERATIONS)
PATTERNS: Final = (
    "subjects",
    "clients",
    "tenants",
    "roles",
    "issuers",
    "actors",
    "scopes",
    "operations",
    "routes",
    "models",
    "tools",
)
"""The settings whose texts are patterns."""
_LISTS: Final = (*PATTERNS, "addresses", "times")
_SHED: Final = (
    "stands in a policy that denies, and a token that gives up a scope would be allowed more; say "
    "otherwise whom or what it denies"
)
_OF_ALLOW: Final = ("ended_tokens", "stale", "payloads")


def check_policy(path: str, entry: PolicyEntry) -> list[Fault]:
    """The faults of one entry, whose path is given."""
    faults: list[Fault] = []
    for name in PATTERNS:
        faults += [(f"{path}.{name}", fault) for one in getattr(entry, name) if (fault := pattern_fault(one))]
    faults += [(f"{path}.operations", fault) for one in entry.operations if (fault := operation_fault(one))]
    faults += [(f"{path}.addresses", fault) for one in entry.addresses if (fault := _network_fault(one))]
    for index, window in enumerate(entry.times):
        faults += _check_window(f"{path}.times[{index}]", window)
    faults += _check_effect(path, entry)
    return faults + _check_age(path, entry)


def check_policies(entries: Mapping[str, PolicyEntry]) -> list[Fault]:
    """The faults of the entries among themselves, by their paths."""
    first: dict[str, str] = {}
    faults: list[Fault] = []
    for path, entry in entries.items():
        if first.setdefault(entry.name, path) != path:
            faults.append((f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once"))
    if len(entries) > POLICIES_MAX:
        faults.append(("policies", f"are more than {POLICIES_MAX}; let some of them name several things each"))
    if sum(len(getattr(entry, name)) for entry in entries.values() for name in _LISTS) > MEMBERS_MAX:
        faults.append(("policies", f"name more than {MEMBERS_MAX} things in all; say some with a * or a network"))
    return faults


def compile_policy(entry: PolicyEntry, origin: Origin) -> Policy:
    """What a sound entry means."""
    older_s, younger_s = _age(entry)
    return Policy(
        name=entry.name,
        effect=entry.effect,
        origin=origin,
        reason=entry.reason,
        subjects=entry.subjects,
        clients=entry.clients,
        tenants=entry.tenants,
        roles=entry.roles,
        issuers=entry.issuers,
        actors=entry.actors,
        scopes=entry.scopes,
        operations=entry.operations,
        routes=entry.routes,
        models=entry.models,
        tools=entry.tools,
        binding=entry.binding or "",
        addresses=entry.addresses,
        times=tuple(map(_window, entry.times)),
        older_s=older_s,
        younger_s=younger_s,
        ended_tokens=entry.ended_tokens,
        stale=entry.stale == "allow",
        payloads=entry.payloads == "record",
    )


def write_policy(entry: PolicyEntry) -> bytes:
    """The entry as the store keeps it: JSON of what is said in it."""
    return msgspec.json.encode(entry)


def _check_effect(path: str, entry: PolicyEntry) -> list[Fault]:
    faults: list[Fault] = []
    if entry.effect == "allow" and entry.reason:
        faults.append((f"{path}.reason", "stands in a policy that allows, and nobody would be told; take it out"))
    if not entry.reason.isprintable():
        faults.append((f"{path}.reason", "has signs that do not print; write one line of plain text"))
    if entry.effect == "allow":
        return faults
    if entry.scopes:
        faults.append((f"{path}.scopes", _SHED))
    for name in _OF_ALLOW:
        if getattr(entry, name) is not None:
            faults.append((f"{path}.{name}", "stands in a policy that denies, and says how one allows; take it out"))
    return faults


def pattern_fault(text: str) -> str:
    """What is wrong with a text that is to be a pattern; empty when nothing."""
    if not 1 <= len(text) <= _CHARS_MAX or not text.isprintable() or text != text.strip():
        return f"holds {shown(text)}; write 1 to {_CHARS_MAX} characters that print, without spaces around them"
    if ANYTHING in text[:-1]:
        return f"holds {shown(text)}, and a * stands for the rest of a name at its end alone"
    return ""


def operation_fault(text: str) -> str:
    """What is wrong with a pattern that is to be of operations; empty when nothing."""
    if text in _NAMES or (text.endswith(ANYTHING) and any(name.startswith(text[:-1]) for name in _NAMES)):
        return ""
    return f"holds {shown(text)}, which is no operation; {advice(text, _NAMES)}"


def _network_fault(text: str) -> str:
    """What is wrong with a network; callers' addresses have no zone, and those of IPv4 are themselves, not mapped."""
    try:
        network = ip_network(text)
    except ValueError:
        return f'holds {shown(text)}; write addresses or networks such as "10.0.0.0/8", with no bits behind the prefix'
    if isinstance(network, IPv4Network):
        return ""
    if "%" in text:
        return f"holds {shown(text)}, and no address has a zone here; write it without what stands from the % on"
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return ""
    return f'holds {shown(text)}, which no caller has; write "{mapped}/{network.prefixlen - _MAPPED_BITS}"'


def _check_window(path: str, window: WindowEntry) -> list[Fault]:
    faults: list[Fault] = []
    begin, end = _minutes(window.begin), _minutes(window.end)
    if begin >= DAY_MINUTES:
        faults.append((f"{path}.begin", f"is '{window.begin}', and a day begins at 00:00"))
    if end > DAY_MINUTES:
        faults.append((f"{path}.end", f"is '{window.end}', and a day ends at 24:00"))
    if begin == end and not faults:
        faults.append((f"{path}.end", "is when it begins; leave out both for whole days"))
    return faults


def _check_age(path: str, entry: PolicyEntry) -> list[Fault]:
    over_s, under_s = _age(entry)
    if entry.token_age is not None and over_s is None and under_s is None:
        return [(f"{path}.token_age", 'says nothing; write { over = "1h" }, or { under = "15m" }')]
    if over_s is not None and under_s is not None and over_s >= under_s:
        return [(f"{path}.token_age", "is what no token can be; let 'over' be shorter than 'under'")]
    return []


def _age(entry: PolicyEntry) -> tuple[int | None, int | None]:
    """The age in seconds that a token must have reached, and that it must not have reached."""
    age = entry.token_age
    if age is None:
        return None, None
    over_s = None if age.over is None else parse_duration_s(age.over)
    return over_s, None if age.under is None else parse_duration_s(age.under)


def _window(entry: WindowEntry) -> Window:
    days = tuple(sorted({DAYS.index(day) for day in entry.days}))
    return Window(days, _minutes(entry.begin), _minutes(entry.end), entry.zone)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])

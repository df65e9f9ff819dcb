"""Reads the variables of the MCP daemon (docs/systems/mcp-daemon.md): what its preset makes of them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from jotgate.core.face_listeners import find_listen
from jotgate.core.faults import Fault, shown
from jotgate.core.guessing import guessable
from jotgate.core.listen_texts import is_loopback
from jotgate.core.mcp_daemon import FRAME_BYTES_MAX, MCP_DAEMON, ROLES, McpDaemonRules
from jotgate.core.preset_entries import McpDaemonEntry
from jotgate.core.preset_variables import find_variable, read_choice, read_whole
from jotgate.core.presets import Preset, Tables
from jotgate.core.values import Secret

_LISTEN: Final = ("127.0.0.1", 3000)
_NO_TABLES: Final[Tables] = {}
OTHER_SECRET: Final = "JWT_SECRET_KEY"
"""Where the original's code reads the secret; its document names `SUPABASE_JWT_SECRET`, which goes before it."""
LEGACY_TOKEN: Final = "EXAI_WS_TOKEN"
_GRACE: Final = "JWT_GRACE_UNTIL"
_GRACE_DAYS: Final = "JWT_GRACE_PERIOD_DAYS"
_LEGACY_CHARS_MIN: Final = 16
_LOG_LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}


def read_mcp_daemon(
    variables: Mapping[str, str], shipped: Tables, entry: McpDaemonEntry, own: Tables = _NO_TABLES
) -> Preset:
    """What the preset comes to. `shipped` is its file, `own` the operator's document, `entry` what that says of it."""
    listening = find_listen(variables, ("EXAI_WS_HOST", "EXAI_WS_PORT"), _LISTEN, "mcp_daemon.listen", entry.listen)
    faults: list[Fault] = list(listening.faults)
    read_choice(variables, ("JWT_ALGORITHM",), faults, ("HS256",))
    has_own = _has_own_issuer(own)
    variable = _secret_variable(variables, entry)
    if variable and not is_loopback(listening.address[0]) and (reason := guessable(Secret(variables[variable]))):
        fault = f"{reason}, and others than this machine reach this preset; make one with: openssl rand -hex 32"
        faults.append((variable, fault))
    tables: dict[str, object] = {**shipped, "logs": _logs(variables, faults)}
    if has_own:
        tables["issuers"] = [{"name": MCP_DAEMON}]  # The operator's table of that name stands in its place.
    elif variable:
        tables["issuers"] = [_issuer(variables, variable)]
    return Preset(
        name=MCP_DAEMON,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=_rules(variables, entry, faults),
        tables=tables,
        missing=() if has_own or variable else tuple(_missing(entry)),
        faults=tuple(dict.fromkeys(faults)),
        warnings=tuple(_warn(variables)),
        secret_variables={variable: "mcp_daemon.secret_env"} if variable and not has_own else {},
    )


def _text(variables: Mapping[str, str], name: str) -> str:
    found = find_variable(variables, (name,))
    return found[1] if found else ""


def _secret_variable(variables: Mapping[str, str], entry: McpDaemonEntry) -> str:
    """The name of the variable with the secret; empty: neither is set."""
    return next((name for name in (entry.secret_env, OTHER_SECRET) if variables.get(name)), "")


def _issuer(variables: Mapping[str, str], variable: str) -> Mapping[str, object]:
    issuer: dict[str, object] = {"name": MCP_DAEMON, "profile": MCP_DAEMON, "secret_env": variable}
    if known_as := _text(variables, "JWT_ISSUER"):
        issuer["issuer"] = known_as
    if audience := _text(variables, "JWT_AUDIENCE"):
        issuer["audiences"] = [audience]
    return issuer


def _has_own_issuer(own: Tables) -> bool:
    entries = own.get("issuers")
    listed = [one for one in (entries if isinstance(entries, list) else []) if isinstance(one, Mapping)]
    return any(one.get("name") == MCP_DAEMON for one in listed)


def _missing(entry: McpDaemonEntry) -> Iterator[str]:
    yield f"{entry.secret_env} is not set, nor is {OTHER_SECRET}, so that no token can be verified"


def _warn(variables: Mapping[str, str]) -> Iterator[str]:
    secret, other = variables.get("SUPABASE_JWT_SECRET"), variables.get(OTHER_SECRET)
    if secret and other and secret != other:
        yield f"{OTHER_SECRET} is not used: SUPABASE_JWT_SECRET is set, and says something else"


def _rules(variables: Mapping[str, str], entry: McpDaemonEntry, faults: list[Fault]) -> McpDaemonRules:
    legacy = _text(variables, LEGACY_TOKEN)
    if legacy and len(legacy) < _LEGACY_CHARS_MIN:
        fault = f"has {len(legacy)} characters, and can be guessed; make one with: openssl rand -hex 32"
        faults.append((LEGACY_TOKEN, fault))
    usual = McpDaemonRules()
    hello_s = read_whole(variables, ("EXAI_WS_HELLO_TIMEOUT",), faults, 1, 60)
    frame_bytes = read_whole(variables, ("EXAI_WS_MAX_BYTES",), faults, 1_024, FRAME_BYTES_MAX)
    return McpDaemonRules(
        model=entry.model,
        roles={**ROLES, **(entry.roles or {})},
        legacy=Secret(legacy) if legacy else None,
        grace_until_s=_grace_until_s(variables, faults, has_legacy=bool(legacy)),
        hello_s=usual.hello_s if hello_s is None else float(hello_s),
        frame_bytes=usual.frame_bytes if frame_bytes is None else frame_bytes,
        connections=entry.connections,
        connections_per_address=entry.connections_per_address,
        connections_per_subject=entry.connections_per_subject,
        calls_per_connection=entry.calls_per_connection,
    )


def _grace_until_s(variables: Mapping[str, str], faults: list[Fault], *, has_legacy: bool) -> int:
    """Until when a client without a JWT is let in beside the older token; a span from each start has no end."""
    if _text(variables, _GRACE_DAYS):
        fault = (
            "counts from each start, so that every restart would let callers in without a token anew; take it out, or "
            f"write a date, such as {_GRACE}=2026-12-31"
        )
        faults.append((_GRACE_DAYS, fault))
    text = _text(variables, _GRACE)
    if not text:
        return 0
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        faults.append((_GRACE, f"is {shown(text)}, and must be a date such as 2026-12-31, in UTC"))
        return 0
    if not has_legacy:
        faults.append((_GRACE, f"lets whoever has the older token in, and {LEGACY_TOKEN} is not set; set both or none"))
    return int((until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp())


def _logs(variables: Mapping[str, str], faults: list[Fault]) -> Mapping[str, str]:
    level = read_choice(variables, ("LOG_LEVEL",), faults, _LOG_LEVELS)
    return {"level": _LOG_LEVELS[level]} if level else {}

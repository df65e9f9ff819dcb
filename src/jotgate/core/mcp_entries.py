"""`[mcp]` and `[[mcp.servers]]` as values: the MCP servers whose tools callers may reach, and their faults."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.faults import Fault, beside, shown
from jotgate.core.mcp_pins import PinRule
from jotgate.core.oauth_checks import check_oauth
from jotgate.core.oauth_entries import OAuthEntry
from jotgate.core.tables import read_table
from jotgate.core.tool_entries import ToolEntry, check_python, check_tools, read_tools_table
from jotgate.core.url_parts import HTTP, url_parts
from jotgate.core.values import Secret, parse_duration_s

SERVER_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""The name of a server: it stands in paths, in scopes and before the names of tools."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TIMEOUT_MAX_S: Final = 86_400
_TIMEOUTS: Final = ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "tools_ttl")
_OF_HTTP: Final = ("ca_file", "proxy", "proxy_credential_env", "proxy_credential_file")
_OF_CHILDREN: Final = ("args", "env", "directory")

McpEra = Literal["auto", "2026-07-28", "initialize"]
"""Which revisions a server speaks: what it says itself, the stateless one, or those that begin with `initialize`."""

_Text = Annotated[str, Meta(description="a text in quotes", max_length=4096)]
_Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "5m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
_Count = Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)]


def upstream_name(server: str) -> str:
    """What a server is called among the upstreams."""
    return f"mcp:{server}"


class McpServerEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[mcp.servers]]`: one MCP server, at a `url` or as a child process with a `command`.

    With `tools` it is made of endpoints of HTTP below the `url`; with `python`, of functions that a child calls.
    """

    name: Annotated[
        str,
        Meta(
            description="1 to 32 small letters, digits or '-', which begin and end with a letter or digit",
            pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z",
        ),
    ]
    url: _Text = ""
    era: Annotated[McpEra, Meta(description='"auto", "2026-07-28" or "initialize"')] = "auto"
    credential_env: _Text = ""
    credential_file: _Text = ""
    credential: Annotated[Secret | None, Meta(description="a credential in quotes")] = None
    oauth: Annotated[OAuthEntry | None, Meta(description="a table headed [mcp.servers.oauth]")] = None
    kept_credential: Annotated[Literal["", "shared", "user"], Meta(description='"shared" or "user"')] = ""
    command: _Text = ""
    args: Annotated[tuple[str, ...], Meta(description="a list of texts in quotes")] = ()
    tools: Annotated[tuple[ToolEntry, ...], Meta(description="tables headed [[mcp.servers.tools]]")] = ()
    python: Annotated[tuple[str, ...], Meta(description='a list of names of entry points, such as ["dice"]')] = ()
    env: Annotated[tuple[str, ...], Meta(description='a list of names of variables, such as ["PATH"]')] = ("PATH",)
    directory: _Text = ""
    memory_mib: Annotated[int, Meta(description="a whole number of MiB from 0 to 1048576", ge=0, le=1_048_576)] = 2_048
    open_files: Annotated[int, Meta(description="a whole number from 16 to 1048576", ge=16, le=1_048_576)] = 1_024
    message_bytes: Annotated[
        int, Meta(description="a whole number of bytes from 1024 to 1073741824", ge=1_024, le=1_073_741_824)
    ] = 33_554_432
    connect_timeout: _Span = "5s"
    first_byte_timeout: _Span = "2m"
    idle_timeout: _Span = "5m"
    total_timeout: _Span = "1h"
    max_concurrent: _Count = 0
    queue_length: _Count = 100
    queue_timeout: _Span = "10s"
    tools_ttl: _Span = "1m"
    pins: Annotated[PinRule, Meta(description='"first-use", "approve" or "off"')] = "first-use"
    ca_file: _Text = ""
    proxy: _Text = ""
    proxy_credential_env: _Text = ""
    proxy_credential_file: _Text = ""

    @property
    def upstream(self) -> str:
        """The name under which it stands among the upstreams; no entry of `[[upstreams]]` can have it."""
        return upstream_name(self.name)

    @property
    def is_child(self) -> bool:
        """Whether it is a process of control's."""
        return bool(self.command or self.python)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.url or self.command or f"python: {', '.join(self.python)}"

    @property
    def credential_kind(self) -> str:
        """What it is sent by these settings, in a word."""
        if self.oauth is not None:
            return self.oauth.grant
        if self.kept_credential:
            return "kept" if self.kept_credential == "shared" else "kept for each caller"
        return "key" if self.credential or self.credential_env or self.credential_file else "none"


class McpEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[mcp]`: what holds for all servers. `keep_alive` is how often an open stream is shown to live."""

    keep_alive: _Span = "15s"
    servers: tuple[McpServerEntry, ...] = ()


def read_mcp(value: object, faults: list[Fault]) -> McpEntry | None:
    """The table with its servers read one by one, so that a fault names its own; None when it has faults."""
    if not isinstance(value, Mapping):
        faults.append(("mcp", f"is {shown(value)}, and must be a table: [mcp]"))
        return None
    sound = len(faults)
    found = read_table(McpEntry, {name: one for name, one in value.items() if name != "servers"}, "mcp", faults)
    servers = _read_servers(value.get("servers", []), faults)
    faults += _check_among(servers)
    if found is None or len(faults) > sound:
        return None
    return McpEntry(found.keep_alive, tuple(servers.values()))


def _read_servers(value: object, faults: list[Fault]) -> dict[str, McpServerEntry]:
    """The sound servers by their path, such as `mcp.servers[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("mcp.servers", f"is {shown(value)}, and must be tables, each headed [[mcp.servers]]"))
        return {}
    entries: dict[str, McpServerEntry] = {}
    for index, item in enumerate(value):
        path = f"mcp.servers[{index}]"
        sound = len(faults)
        entry = read_table(McpServerEntry, _with_tools(path, _with_oauth(path, item, faults), faults), path, faults)
        if entry is not None and len(faults) == sound:
            faults += check_server(path, entry)
            entries[path] = entry
    return entries


def mcp_servers(document: Mapping[str, object]) -> object:
    """What a document has as the tables of its servers, with faults or without."""
    table = document.get("mcp")
    return table.get("servers") if isinstance(table, Mapping) else None


def _with_oauth(path: str, server: object, faults: list[Fault]) -> object:
    table = server.get("oauth") if isinstance(server, Mapping) else None
    if not isinstance(server, Mapping) or not isinstance(table, Mapping):
        return server
    found = read_table(OAuthEntry, table, f"{path}.oauth", faults)
    rest = {name: value for name, value in server.items() if name != "oauth"}
    return rest if found is None else {**rest, "oauth": found}


def _with_tools(path: str, server: object, faults: list[Fault]) -> object:
    if not isinstance(server, Mapping) or "tools" not in server:
        return server
    return {**server, "tools": read_tools_table(path, server["tools"], faults)}


def check_server(path: str, entry: McpServerEntry) -> list[Fault]:
    """The faults of one server, whose path is given."""
    faults: list[Fault] = []
    ways = [name for name in ("url", "command", "python") if getattr(entry, name)]
    if len(ways) != 1:
        what = f"stands beside {ways[1]}; take one of them out" if ways else "is missing, and so are command and python"
        example = 'url = "https://host/mcp", or command = "program", or python = ["entry-point"]'
        faults.append((f"{path}.{ways[0] if ways else 'url'}", f"{what}: {example}"))
    if entry.url and (fault := _url_fault(entry.url)):
        faults.append((f"{path}.url", fault))
    faults += _check_child(path, entry) if entry.is_child else _check_remote(path, entry)
    faults += _check_own(path, entry)
    sources = ("credential", "credential_env", "credential_file", "kept_credential")
    written = [name for name in sources if getattr(entry, name)]
    faults += beside(path, written)
    if entry.oauth is not None:
        faults += check_oauth(f"{path}.oauth", entry.oauth, "mcp", entry.url)
        if written:
            fault = "stands beside oauth, and one never stands in for the other; take one of them out"
            faults.append((f"{path}.{written[0]}", fault))
    for name in _TIMEOUTS:
        if parse_duration_s(getattr(entry, name)) > _TIMEOUT_MAX_S:
            faults.append((f"{path}.{name}", 'is longer than a day; write at most "24h"'))
    return faults


def _check_child(path: str, entry: McpServerEntry) -> list[Fault]:
    """A child is told nothing but what stands in its environment, and nothing leads to it but its own pipes."""
    further = ("oauth", "credential", "credential_env", "credential_file", "kept_credential", *_OF_HTTP)
    faults: list[Fault] = [
        (f"{path}.{name}", "is for a server at a url, and this one is a child process; take one of them out")
        for name in further
        if getattr(entry, name)
    ]
    faults += [
        (f"{path}.env", f"holds {shown(name)}; write names of variables alone, whose values are passed on")
        for name in entry.env
        if _VARIABLE.fullmatch(name) is None
    ]
    if any("\0" in one for one in (entry.command, entry.directory, *entry.args)):
        faults.append((f"{path}.command", "or what stands with it holds a NUL character; take it out"))
    return faults


def _check_remote(path: str, entry: McpServerEntry) -> list[Fault]:
    defaults = McpServerEntry(name="x")
    return [
        (f"{path}.{name}", "is for a server with a command, and this one has a url; take it out")
        for name in _OF_CHILDREN
        if getattr(entry, name) != getattr(defaults, name)
    ]


def _check_own(path: str, entry: McpServerEntry) -> list[Fault]:
    """The faults of tools that stand in the settings themselves."""
    faults = check_python(path, entry.python)
    if entry.python and entry.args:
        faults.append((f"{path}.args", "is for a server with a command, and this one has python; take it out"))
    if entry.tools:
        faults += check_tools(path, entry.url, entry.tools)
        if not entry.url:
            faults.append((f"{path}.tools", "are endpoints below a url, and this server has none"))
        if entry.pins == "approve":
            faults.append((f"{path}.pins", "is for what a server says of its tools; these are defined here"))
    if (entry.tools or entry.python) and entry.era != "auto":
        faults.append((f"{path}.era", "is for a server that speaks MCP itself; take it out"))
    return faults


def _check_among(servers: Mapping[str, McpServerEntry]) -> list[Fault]:
    first: dict[str, str] = {}
    return [
        (f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once")
        for path, entry in servers.items()
        if first.setdefault(entry.name, path) != path
    ]


def _url_fault(url: str) -> str:
    """What is wrong with the URL of a server; empty when nothing."""
    remedy = 'write one such as "https://host/mcp"'
    try:
        parts = url_parts(url, HTTP, "is not an http or https URL with a host")
    except ValueError as fault:
        return f"{fault}; {remedy}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out and use credential_env or credential_file"
    if "#" in url:
        return "holds a fragment; leave it out"
    return ""

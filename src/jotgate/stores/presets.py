"""Reads the presets that jotgate is started with: the file of each, and the variables of its system."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, TypeVar

from msgspec import Struct

from jotgate.core.api_gateway import API_GATEWAY
from jotgate.core.api_gateway_variables import read_api_gateway
from jotgate.core.coze_proxy import COZE_PROXY
from jotgate.core.coze_proxy_variables import read_coze_proxy
from jotgate.core.faults import Fault
from jotgate.core.kong_auth import KONG_AUTH
from jotgate.core.kong_auth_variables import read_kong_auth
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.mcp_daemon_variables import read_mcp_daemon
from jotgate.core.overlay import overlay
from jotgate.core.preset_entries import ApiGatewayEntry, CozeProxyEntry, KongAuthEntry, McpDaemonEntry, PromptChainEntry
from jotgate.core.preset_tables import Underlaid, lay_under
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import PROMPT_CHAIN
from jotgate.core.prompt_chain_variables import read_prompt_chain
from jotgate.core.tables import read_table

_Entry = TypeVar("_Entry", bound=Struct)


class FoundPresets(Struct, frozen=True):
    """The presets, in the order in which they were asked for, and the operator's document over what they say."""

    presets: tuple[Preset, ...]
    laid: Underlaid


def find_presets(
    names: Iterable[str], document: Tables, variables: Mapping[str, str], options: Mapping[str, object]
) -> FoundPresets:
    """Read these presets. `document` is the operator's, before the variables of settings are laid over it."""
    listed = tuple(dict.fromkeys(names))
    if not listed:
        return FoundPresets((), Underlaid(document))
    own = overlay(document, variables, options).document
    presets = tuple(READERS[name](variables, _read_shipped(name), own) for name in listed)
    return FoundPresets(presets, lay_under(document, presets))


def _read_shipped(name: str) -> Tables:
    return tomllib.loads(files("jotgate.presets").joinpath(f"{name}.toml").read_text("utf-8"))


def _prompt_chain(variables: Mapping[str, str], shipped: Tables, own: Tables) -> Preset:
    return read_prompt_chain(variables, shipped, _entry(PromptChainEntry, own, "prompt_chain"), own)


def _api_gateway(variables: Mapping[str, str], shipped: Tables, own: Tables) -> Preset:
    return read_api_gateway(variables, shipped, _entry(ApiGatewayEntry, own, "api_gateway"))


def _coze_proxy(variables: Mapping[str, str], shipped: Tables, own: Tables) -> Preset:
    return read_coze_proxy(variables, shipped, _entry(CozeProxyEntry, own, "coze_proxy"), own)


def _kong_auth(variables: Mapping[str, str], shipped: Tables, own: Tables) -> Preset:
    return read_kong_auth(variables, shipped, _entry(KongAuthEntry, own, "kong_auth"), own)


def _mcp_daemon(variables: Mapping[str, str], shipped: Tables, own: Tables) -> Preset:
    return read_mcp_daemon(variables, shipped, _entry(McpDaemonEntry, own, "mcp_daemon"), own)


def _entry(kind: type[_Entry], own: Tables, name: str) -> _Entry:
    """The operator's table; one with faults, which are found again with all others, counts as if it were empty."""
    passed: list[Fault] = []
    return read_table(kind, own.get(name, {}), name, passed) or kind()


READERS: Final[Mapping[str, Callable[[Mapping[str, str], Tables, Tables], Preset]]] = MappingProxyType(
    {
        PROMPT_CHAIN: _prompt_chain,
        API_GATEWAY: _api_gateway,
        COZE_PROXY: _coze_proxy,
        KONG_AUTH: _kong_auth,
        MCP_DAEMON: _mcp_daemon,
    }
)
"""What reads each preset, by its name: the variables, its file, the operator's document."""

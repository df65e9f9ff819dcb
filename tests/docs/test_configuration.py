"""docs/configuration.md has each setting with its default, and no other."""

import json
import tomllib
from collections.abc import Mapping

import msgspec
import pytest

from jotgate.core.chain_entries import ChainEntry, GateEntry, StepEntry
from jotgate.core.config import (
    AttemptEntry,
    ClaimsEntry,
    Config,
    Cors,
    DpopEntry,
    HintsEntry,
    IssuerEntry,
    IssuerRules,
    KeysEntry,
    Logs,
    Metrics,
    RouteEntry,
    Server,
    StoreEntry,
    Tls,
    TokensEntry,
    UpstreamEntry,
)
from jotgate.core.config_reader import parse
from jotgate.core.decision_entries import DecisionsEntry
from jotgate.core.kong_entries import KongConsumerEntry, KongEntry
from jotgate.core.mcp_entries import McpEntry, McpServerEntry
from jotgate.core.oauth_entries import OAuthEntry
from jotgate.core.plane_entries import PlanesEntry
from jotgate.core.policy_entries import AgeEntry, PolicyEntry, WindowEntry
from jotgate.core.preset_entries import ApiGatewayEntry, CozeProxyEntry, KongAuthEntry, McpDaemonEntry, PromptChainEntry
from jotgate.core.price_entries import PriceEntry
from jotgate.core.quota_entries import QuotaEntry
from jotgate.core.snapshot import Limits
from jotgate.core.tool_entries import ToolEntry
from tests.docs.pages import pages
from tests.docs.test_cli import sections

_SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    "server": Server,
    "tls": Tls,
    "cors": Cors,
    "issuer": IssuerRules,
    "limits": Limits,
    "store": StoreEntry,
    "hints": HintsEntry,
    "keys": KeysEntry,
    "tokens": TokensEntry,
    "dpop": DpopEntry,
    "metrics": Metrics,
    "decisions": DecisionsEntry,
    "planes": PlanesEntry,
    "logs": Logs,
    "mcp": McpEntry,
    "prompt_chain": PromptChainEntry,
    "api_gateway": ApiGatewayEntry,
    "coze_proxy": CozeProxyEntry,
    "kong_auth": KongAuthEntry,
    "mcp_daemon": McpDaemonEntry,
    "kong": KongEntry,
    "kong_consumers": KongConsumerEntry,
    "upstreams": UpstreamEntry,
    "routes": RouteEntry,
    "chains": ChainEntry,
    "issuers": IssuerEntry,
    "policies": PolicyEntry,
    "prices": PriceEntry,
    "quotas": QuotaEntry,
}


def defaults(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    """Each setting's default as TOML writes it."""
    return {
        field.name: "required"
        if field.required
        else "none"
        if field.default is None
        else f"`{json.dumps(field.default)}`"
        for field in msgspec.structs.fields(kind)
    }


def documented(section: str) -> Mapping[str, str]:
    """Settings and defaults in a section's table."""
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`"): row[2].strip() for row in rows}


def test_the_page_has_a_section_for_each_table() -> None:
    page = sections(pages()["docs/configuration.md"].text)
    assert set(page) == set(_SECTIONS) == {field.name for field in msgspec.structs.fields(Config)}


@pytest.mark.parametrize("name", _SECTIONS)
def test_the_page_and_the_code_have_the_same_settings_and_defaults(name: str) -> None:
    found = documented(sections(pages()["docs/configuration.md"].text)[name])
    assert found == defaults(_SECTIONS[name])


def test_the_settings_of_an_attempt_are_named() -> None:
    text = sections(pages()["docs/configuration.md"].text)["routes"]
    assert [field.name for field in msgspec.structs.fields(AttemptEntry) if f"`{field.name}`" not in text] == []


def test_the_settings_of_a_claims_table_are_named() -> None:
    text = sections(pages()["docs/configuration.md"].text)["issuers"]
    assert [field.name for field in msgspec.structs.fields(ClaimsEntry) if f"`{field.name}`" not in text] == []


def test_the_settings_of_an_mcp_server_are_described_with_their_defaults_on_a_page_of_their_own() -> None:
    section = sections(pages()["docs/mcp.md"].text)["The servers"].partition("### ")[0]
    assert documented(section) == defaults(McpServerEntry)


def test_the_settings_of_a_tool_over_http_are_described_with_their_defaults_and_the_examples_are_sound() -> None:
    page = pages()["docs/mcp.md"]
    section = page.text.partition("\n### Tools over HTTP\n")[2].partition("\n### ")[0]
    assert documented(section) == defaults(ToolEntry)
    examples = [one for path in ("docs/mcp.md", "docs/systems/mcp-daemon.md") for one in pages()[path].blocks("toml")]
    found = [parse(tomllib.loads(one)) for one in examples if "[[mcp.servers]]" in one]
    servers = [server for one in found for server in one.mcp.servers]
    assert sum(bool(one.tools) for one in servers) == sum(bool(one.python) for one in servers) == 2


def test_the_settings_of_a_grant_are_described_with_their_defaults_on_a_page_of_their_own() -> None:
    text = pages()["docs/upstream-credentials.md"].text
    section = text.partition("\n## Tokens that jotgate gets\n")[2].partition("\n## ")[0]
    assert documented(section) == defaults(OAuthEntry)


def test_the_examples_of_upstreams_credentials_are_sound() -> None:
    examples = pages()["docs/upstream-credentials.md"].blocks("toml")
    assert len(examples) >= 3
    for example in examples:
        found = parse(tomllib.loads(example))
        assert found.upstreams or found.mcp.servers


@pytest.mark.parametrize("kind", [WindowEntry, AgeEntry])
def test_the_settings_of_the_tables_in_a_policy_are_named(kind: type[msgspec.Struct]) -> None:
    text = sections(pages()["docs/configuration.md"].text)["policies"]
    assert [field.name for field in msgspec.structs.fields(kind) if f"`{field.name}`" not in text] == []


@pytest.mark.parametrize("kind", [StepEntry, GateEntry])
def test_the_settings_of_the_tables_in_a_chain_are_named(kind: type[msgspec.Struct]) -> None:
    text = sections(pages()["docs/configuration.md"].text)["chains"]
    assert [field.name for field in msgspec.structs.fields(kind) if f"`{field.name}`" not in text] == []


def test_the_examples_are_sound() -> None:
    examples = pages()["docs/configuration.md"].blocks("toml") + pages()["README.md"].blocks("toml")
    assert len(examples) >= 1
    for example in examples:
        found = parse(tomllib.loads(example))
        assert found.upstreams or found.mcp.servers

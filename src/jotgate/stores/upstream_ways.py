"""Reads what upstreams lead to: their credentials, the secrets of their grants, and the ways to them."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.mcp_entries import mcp_servers, upstream_name
from jotgate.core.oauth_checks import GrantSecrets
from jotgate.core.routes import Reach
from jotgate.core.values import Secret
from jotgate.stores.credentials import read_secret
from jotgate.stores.grants import read_grant_secrets
from jotgate.stores.reaches import read_reach


class UpstreamWays(Struct, frozen=True):
    """What the upstreams lead to, by their names, the faults of that, and the files that were looked at.

    `bad_keys` are the faults of private keys that are none, with the names of their upstreams.
    """

    credentials: Mapping[str, Secret] = {}
    other_credentials: Mapping[str, Secret] = {}
    grant_secrets: Mapping[str, GrantSecrets] = {}
    reaches: Mapping[str, Reach] = {}
    faults: tuple[Fault, ...] = ()
    bad_keys: tuple[tuple[str, Fault], ...] = ()
    files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()

    def unusable(self, but: Set[str] = frozenset(), *, among: Set[str] | None = None) -> list[Fault]:
        """The private keys that are none of all upstreams but these, or of those among these."""
        return [fault for name, fault in self.bad_keys if (name not in but if among is None else name in among)]


def read_upstream_ways(document: Mapping[str, object], variables: Mapping[str, str], base: Path) -> UpstreamWays:
    """Read what the upstreams of a document name, those with faults too; file names start at `base`."""
    found: dict[str, dict[str, Secret]] = {"credential": {}, "other_credential": {}}
    grants: dict[str, GrantSecrets] = {}
    reaches: dict[str, Reach] = {}
    faults: list[Fault] = []
    bad_keys: list[tuple[str, Fault]] = []
    files: list[Path] = []
    secret_files: list[Path] = []
    for path, name, entry, grant in _upstreams_of(document):
        for kind, by_name in found.items():
            if f"{kind}_file" in entry:
                secret_files.append(base / entry[f"{kind}_file"])
            secret = read_secret(path, kind, entry, variables, base)
            if isinstance(secret, Secret):
                by_name[name] = secret
            elif secret is not None:
                faults.append(secret)
        secrets = read_grant_secrets(f"{path}.oauth", grant, variables, base)
        grants[name] = secrets.secrets
        faults += secrets.faults
        bad_keys += [(name, fault) for fault in secrets.unusable]
        way = read_reach(path, entry, variables, base)
        reaches[name] = way.reach
        files += way.files
        secret_files += [*secrets.files, *way.secret_files]
        faults += way.faults
    return UpstreamWays(
        credentials=found["credential"],
        other_credentials=found["other_credential"],
        grant_secrets=grants,
        reaches=reaches,
        faults=tuple(faults),
        bad_keys=tuple(bad_keys),
        files=tuple(files),
        secret_files=tuple(secret_files),
    )


def _upstreams_of(document: Mapping[str, object]) -> Iterator[tuple[str, str, Mapping[str, str], Mapping[str, str]]]:
    """The named upstreams, those with faults too: path, name, what is text in each, and in the table of its grant.

    MCP servers are among them, under the names that they have among upstreams.
    """
    for where, entries in (("upstreams", document.get("upstreams")), ("mcp.servers", mcp_servers(document))):
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            table = entry if isinstance(entry, Mapping) else {}
            texts = _texts(table)
            if "name" in texts:
                name = texts["name"] if where == "upstreams" else upstream_name(texts["name"])
                yield f"{where}[{index}]", name, texts, _texts(table.get("oauth"))


def _texts(table: object) -> Mapping[str, str]:
    found = table if isinstance(table, Mapping) else {}
    return {name: text for name, text in found.items() if isinstance(text, str) and text}

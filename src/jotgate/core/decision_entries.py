"""`[decisions]` as values: what may stand in it and in its `[[decisions.paths]]`, its faults, and what it means."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.decisions import DecisionRules, PathRule
from jotgate.core.expectations import RouteExpectation
from jotgate.core.faults import Fault, shown
from jotgate.core.identity_tokens import IdentityRules
from jotgate.core.listen_texts import is_loopback, read_listen
from jotgate.core.operations import DECIDE
from jotgate.core.tables import read_table
from jotgate.core.values import parse_duration_s
from jotgate.jose.jwt import media_type

PATHS_MAX: Final = 1_000

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")  # RFC 6749 s3.3
_PATH: Final = re.compile(r"/|(/(?!\.{1,2}(?:/|\Z))[^\s/?#;%\\]+)+")
_LIFE_S: Final = (10, 300)
_NO_TOKEN: Final = "stands in a path that is public, and no token is looked at there; take it out"


class PathEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[decisions.paths]]`: what may pass to a path and all below it."""

    name: Annotated[
        str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}\Z")
    ]
    path: Annotated[str, Meta(description='a path in quotes, such as "/" or "/reports"', max_length=1024)] = "/"
    hosts: Annotated[tuple[str, ...], Meta(description='a list of hosts, such as ["api.example"]')] = ()
    methods: Annotated[tuple[str, ...], Meta(description='a list of methods in capitals, such as ["GET"]')] = ()
    scopes: Annotated[tuple[str, ...], Meta(description="a list of scopes in quotes, or [] for any good token")] = (
        DECIDE,
    )
    audiences: Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["https://api.example"]')] = ()
    token_types: Annotated[tuple[str, ...], Meta(description='a list of types, such as ["at+jwt"]')] = ()
    token_age: Annotated[
        Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")] | None,
        Meta(description='a duration in quotes, such as "15m"'),
    ] = None
    public: Annotated[bool, Meta(description="true or false")] = False
    preflights: Annotated[bool, Meta(description="true or false")] = False


class DecisionsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[decisions]`: the proxies that may ask whether a request may pass, and what they are answered."""

    proxies: Annotated[
        tuple[str, ...], Meta(description='a list of addresses or networks in quotes, such as ["10.0.0.0/8"]')
    ] = ()
    public_url: Annotated[str, Meta(description="a text in quotes", max_length=4096)] = ""
    identity_audience: Annotated[str, Meta(description="a text in quotes", max_length=256)] = ""
    identity_life: Annotated[
        str, Meta(description='a duration in quotes, such as "60s"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
    ] = "60s"
    grpc: Annotated[str, Meta(description='an address and port in quotes, such as "127.0.0.1:9465"')] = ""
    paths: Annotated[
        tuple[PathEntry, ...], Meta(description="tables, each headed [[decisions.paths]]", max_length=PATHS_MAX)
    ] = ()


def with_paths(document: Mapping[str, object], faults: list[Fault]) -> Mapping[str, object]:
    """The document with `decisions.paths` read one by one, so that a fault names its own."""
    table = document.get("decisions")
    paths = table.get("paths") if isinstance(table, Mapping) else None
    if not isinstance(table, Mapping) or not isinstance(paths, list):
        return document
    found = [read_table(PathEntry, one, f"decisions.paths[{index}]", faults) for index, one in enumerate(paths)]
    return {**document, "decisions": {**table, "paths": [one for one in found if one is not None]}}


def check_paths(entry: DecisionsEntry) -> list[Fault]:
    """The faults of the paths, each alone and among themselves."""
    faults: list[Fault] = []
    if not _LIFE_S[0] <= parse_duration_s(entry.identity_life) <= _LIFE_S[1]:
        faults.append(("decisions.identity_life", "is not 10s to 5m; an upstream takes it for so long, revoked or not"))
    faults += _check_grpc(entry)
    if entry.paths and not entry.proxies:
        faults.append(("decisions.proxies", "is empty beside decisions.paths; write the addresses of who may ask"))
    for index, one in enumerate(entry.paths):
        faults += _check_path(f"decisions.paths[{index}]", one)
    names = [one.name for one in entry.paths]
    faults += [
        (f"decisions.paths[{index}].name", f"is '{name}' as in decisions.paths[{names.index(name)}]; write another")
        for index, name in enumerate(names)
        if names.index(name) < index
    ]
    for (first, one), (second, other) in combinations(enumerate(entry.paths), 2):
        if _meet(one, other):
            fault = f"is about requests that decisions.paths[{first}] is about too; tell them apart by host or method"
            faults.append((f"decisions.paths[{second}]", fault))
    return faults


def compile_decisions(entry: DecisionsEntry) -> DecisionRules | None:
    """What sound settings mean; None: nobody may ask. Without a path there is one for all."""
    if not entry.proxies:
        return None
    paths = entry.paths or (PathEntry(name="all"),)
    identity = IdentityRules(entry.identity_audience, parse_duration_s(entry.identity_life))
    return DecisionRules(
        proxies=entry.proxies,
        paths=tuple(map(_rule, paths)),
        public_url=entry.public_url,
        identity=identity if entry.identity_audience else None,
        grpc=entry.grpc,
    )


def _rule(entry: PathEntry) -> PathRule:
    expects = RouteExpectation(
        audiences=frozenset(entry.audiences),
        token_types=frozenset(map(media_type, entry.token_types)),
        age_s=None if entry.token_age is None else parse_duration_s(entry.token_age),
    )
    return PathRule(
        name=entry.name,
        path=entry.path,
        hosts=frozenset(entry.hosts),
        methods=frozenset(entry.methods),
        scopes=entry.scopes,
        expects=None if expects == RouteExpectation() else expects,
        public=entry.public,
        preflights=entry.preflights,
    )


def _check_grpc(entry: DecisionsEntry) -> list[Fault]:
    if not entry.grpc:
        return []
    try:
        host, port = read_listen(entry.grpc)
    except ValueError:
        host, port = "", 0
    if not port:
        return [("decisions.grpc", f'is {shown(entry.grpc)}, and must be such as "127.0.0.1:9465"')]
    if not is_loopback(host):
        fault = (
            f"is {shown(entry.grpc)}, which other machines can reach, and tokens would cross the network in the clear; "
            "write an address of this machine alone, or let Envoy ask over HTTP"
        )
        return [("decisions.grpc", fault)]
    if not entry.proxies:
        return [("decisions.proxies", "is empty beside decisions.grpc; write the addresses of who may ask")]
    return []


def _check_path(path: str, entry: PathEntry) -> list[Fault]:
    faults: list[Fault] = []
    if not _PATH.fullmatch(entry.path):
        fault = f"is {shown(entry.path)}; write it decoded, from its slash on and without one at its end"
        faults.append((f"{path}.path", fault))
    faults += _unfit(f"{path}.hosts", entry.hosts, _HOST, "write hosts in small letters, without a port")
    faults += _unfit(f"{path}.methods", entry.methods, _METHOD, "write methods in capitals")
    faults += _unfit(f"{path}.scopes", entry.scopes, _SCOPE, "write each scope by itself")
    if entry.public:
        faults += [(f"{path}.{name}", _NO_TOKEN) for name in ("audiences", "token_types") if getattr(entry, name)]
        faults += [] if entry.token_age is None else [(f"{path}.token_age", _NO_TOKEN)]
    return faults


def _unfit(path: str, texts: Sequence[str], form: re.Pattern[str], remedy: str) -> list[Fault]:
    faults = [(path, f"holds {shown(text)}; {remedy}") for text in texts if not form.fullmatch(text)]
    if len(set(texts)) < len(texts):
        faults.append((path, "says the same twice; write each once"))
    return faults


def _meet(one: PathEntry, other: PathEntry) -> bool:
    """Whether there is a request of which nobody could say whose it is."""
    if one.path != other.path or bool(one.hosts) != bool(other.hosts):
        return False
    if one.hosts and not set(one.hosts) & set(other.hosts):
        return False
    return not one.methods or not other.methods or bool(set(one.methods) & set(other.methods))

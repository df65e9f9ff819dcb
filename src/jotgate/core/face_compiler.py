"""Turns presets, with what they and the settings name, into the faces of a snapshot."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.api_gateway import ApiGatewayRules, made_here
from jotgate.core.compiler import compile_routes, price_routes
from jotgate.core.config import ECHO, Config
from jotgate.core.coze_proxy import CozeProxyRules
from jotgate.core.edge import Edge
from jotgate.core.faces import Face
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.key_life import OwnKeys
from jotgate.core.kong_auth import KongAuthRules, let_in
from jotgate.core.listen_texts import is_loopback
from jotgate.core.mcp_daemon import McpDaemonRules
from jotgate.core.mcp_daemon_tokens import renewed_here
from jotgate.core.mcp_tools import EVERY, tool_scope
from jotgate.core.preset_tables import face_part, names_in
from jotgate.core.presets import Preset
from jotgate.core.price_table import PriceTable
from jotgate.core.routes import Route
from jotgate.core.snapshot import Snapshot
from jotgate.jose.keys import KeySet

_NO_KEYS: Final = b'{"keys":[]}'


class FaceParts(Struct, frozen=True):
    """What faces are made of beside the settings: compiled issuers by name, our own keys, what is known of prices.

    `signs_with` is the algorithm of the key of ours that signs now; empty: none does.
    """

    issuers: Mapping[str, Issuer]
    own: OwnKeys
    prices: PriceTable
    prompts: Mapping[str, str] = {}
    signs_with: str = ""


def add_faces(snapshot: Snapshot, presets: Iterable[Preset], config: Config, parts: FaceParts) -> Snapshot:
    """The snapshot with a face for each preset, in their order; the issuers of faces leave the native listener."""
    faces = tuple(_face(one, snapshot, config, parts) for one in presets)
    theirs = {issuer.name for face in faces for issuer in face.issuers} - {one.name for one in snapshot.issuers[:1]}
    return replace(snapshot, issuers=tuple(one for one in snapshot.issuers if one.name not in theirs), faces=faces)


def _face(preset: Preset, snapshot: Snapshot, config: Config, parts: FaceParts) -> Face:
    edge = snapshot.edge
    return Face(
        name=preset.name,
        listen=preset.listen,
        issuers=_issuers(preset, parts, config),
        rules=preset.rules,
        # These two are for whatever models there are: they bring none of their own.
        routes=snapshot.routes
        if isinstance(preset.rules, ApiGatewayRules | McpDaemonRules)
        else _routes(preset, config, parts),
        edge=Edge(
            trusted_proxies=edge.trusted_proxies,
            forwarded_fields=edge.forwarded_fields,
            # This one has no variable of its own for them.
            origins=edge.origins if isinstance(preset.rules, McpDaemonRules) else preset.origins,
            hsts=edge.tls is not None and not is_loopback(preset.listen[0]),
            tls=edge.tls,
            certificate_field=edge.certificate_field,
        ),
        missing=(*preset.missing, *_lack_of_keys(preset, parts)),
    )


def _lack_of_keys(preset: Preset, parts: FaceParts) -> list[str]:
    """That our key which signs is none that the face's callers would take."""
    wanted = [one.algorithms[0] for one in preset.own_issuers if one.jwks is None]
    return [
        f"the key of this installation that signs is not for {one}, so that the preset '{preset.name}' gives out no "
        f"token; make one with: jotgate key rotate --algorithm {one}"
        for one in wanted
        if one != parts.signs_with
    ]


def _issuers(preset: Preset, parts: FaceParts, config: Config) -> tuple[Issuer, ...]:
    named = names_in(preset.tables)["issuers"]
    found = (
        *(_signed_by_us(one, parts.own) for one in preset.own_issuers),
        *(one for name, one in parts.issuers.items() if name in named),
    )
    if isinstance(preset.rules, CozeProxyRules):
        return (parts.issuers[OURS],)  # Its callers have tokens of this installation.
    if isinstance(preset.rules, ApiGatewayRules):
        return tuple(made_here(one, parts.issuers[OURS].issuer) for one in found)
    if isinstance(preset.rules, KongAuthRules):
        return tuple(let_in(one, preset.rules.organization) for one in found)
    if isinstance(preset.rules, McpDaemonRules):
        # Within these the roles of the face decide, which know no scopes.
        tools = tuple(tool_scope(one.name, EVERY) for one in config.mcp.servers)
        made = tuple(renewed_here(one, parts.issuers[OURS].issuer) for one in found)
        return tuple(replace(one, default_scopes=(*one.default_scopes, *tools)) for one in made)
    return found


def _signed_by_us(issuer: Issuer, own: OwnKeys) -> Issuer:
    """An issuer with those of our keys that are for its algorithms; one that has keys of its own keeps these."""
    if issuer.jwks is not None:
        return issuer
    kept = KeySet([key for key in KeySet.from_jwks(own.jwks).keys if key.algorithm.name in issuer.algorithms])
    kids = {key.kid for key in kept.keys}
    ends = {kid: end_s for kid, end_s in own.ends.items() if kid in kids}
    return replace(issuer, jwks=kept.to_jwks() if kids else _NO_KEYS, key_ends=ends)


def _routes(preset: Preset, config: Config, parts: FaceParts) -> tuple[Route, ...]:
    part = face_part(config, preset)
    own = ECHO in names_in(preset.tables)["routes"]
    routes = [one for one in compile_routes(part) if own or one.alias != ECHO]
    if isinstance(preset.rules, CozeProxyRules):
        routes = [replace(one, credentials=one.credentials or preset.rules.credentials) for one in routes]
    return price_routes(routes, config, parts.prices, parts.prompts)

"""Reads the variables of the API gateway: what its preset makes of them."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.api_gateway import API_GATEWAY, ApiGatewayRules
from jotgate.core.face_listeners import find_listen
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer
from jotgate.core.preset_entries import ApiGatewayEntry
from jotgate.core.presets import Preset, Tables

_LISTEN: Final = ("127.0.0.1", 3000)
_ISSUER: Final = "api-gateway"
_AUDIENCE: Final = "openai-api"


def read_api_gateway(variables: Mapping[str, str], shipped: Tables, entry: ApiGatewayEntry) -> Preset:
    """What the preset comes to. `shipped` is its file, `entry` what the operator says of it in `jotgate.toml`."""
    listening = find_listen(variables, ("HOST", "PORT"), _LISTEN, "api_gateway.listen", entry.listen)
    rules = ApiGatewayRules()
    profile = PROFILES[API_GATEWAY]
    own = Issuer(
        name=API_GATEWAY,
        issuer=_ISSUER,
        audiences=(_AUDIENCE,),
        algorithms=(rules.algorithm,),
        types=profile.types,
        jwks=None,
        required=profile.required,
        leeway_s=profile.leeway_s,
        lifetime_max_s=profile.lifetime_max_s,
        default_scopes=profile.default_scopes,
        mapping=profile.mapping,
    )
    return Preset(
        name=API_GATEWAY,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=rules,
        tables=shipped,
        own_issuers=(own,),
        faults=listening.faults,
        secret_variables={entry.private_key_env: "api_gateway.private_key_env"},
    )

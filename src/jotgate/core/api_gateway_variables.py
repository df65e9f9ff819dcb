"""Reads the variables of the API gateway (docs/systems/api-gateway.md): what its preset makes of them."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.api_gateway import API_GATEWAY, ApiGatewayRules
from jotgate.core.api_gateway_tokens import AUDIENCE, ISSUER
from jotgate.core.face_listeners import find_listen
from jotgate.core.faults import Fault
from jotgate.core.guessing import guessable
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer
from jotgate.core.listen_texts import is_loopback
from jotgate.core.preset_entries import ApiGatewayEntry
from jotgate.core.presets import Preset, Tables
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose.keys import KeySet, signing_key_from_pem

_LISTEN: Final = ("127.0.0.1", 3000)
_HS256: Final = "HS256"
_MAKE_SECRET: Final = "openssl rand -hex 32"


class _Signing(Struct, frozen=True, kw_only=True):
    """What signs: tables that say so, a private key, or nothing of both; then it is the installation's keys."""

    tables: Tables = {}
    private_key: Secret | None = None
    jwks: bytes | None = None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()


def read_api_gateway(variables: Mapping[str, str], shipped: Tables, entry: ApiGatewayEntry) -> Preset:
    """What the preset comes to. `shipped` is its file, `entry` what the operator says of it in `jotgate.toml`."""
    listening = find_listen(variables, ("HOST", "PORT"), _LISTEN, "api_gateway.listen", entry.listen)
    signing = _find_signing(variables, entry, others_reach=not is_loopback(listening.address[0]))
    return Preset(
        name=API_GATEWAY,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=ApiGatewayRules(entry.algorithm),
        tables={**shipped, **signing.tables},
        own_issuers=() if entry.algorithm == _HS256 else (_own_issuer(entry.algorithm, signing.jwks),),
        faults=(*listening.faults, *signing.faults),
        warnings=signing.warnings,
        secret_variables=(
            {entry.secret_env: "api_gateway.secret_env"}
            if entry.algorithm == _HS256
            else {entry.private_key_env: "api_gateway.private_key_env"}
        ),
        private_key=signing.private_key,
    )


def _own_issuer(algorithm: str, jwks: bytes | None) -> Issuer:
    """What is demanded of tokens of this face; `jwks` None: they are signed with the installation's keys."""
    profile = PROFILES[API_GATEWAY]
    return Issuer(
        name=API_GATEWAY,
        issuer=ISSUER,
        audiences=(AUDIENCE,),
        algorithms=(algorithm,),
        types=profile.types,
        jwks=jwks,
        required=profile.required,
        leeway_s=profile.leeway_s,
        lifetime_max_s=profile.lifetime_max_s,
        default_scopes=profile.default_scopes,
        mapping=profile.mapping,
    )


def _find_signing(variables: Mapping[str, str], entry: ApiGatewayEntry, *, others_reach: bool) -> _Signing:
    if entry.algorithm == _HS256:
        return _find_secret(variables, entry, others_reach=others_reach)
    pem = variables.get(entry.private_key_env, "").strip()
    if not pem:
        return _Signing(tables={"keys": {"algorithm": entry.algorithm}})
    try:
        key = signing_key_from_pem(pem.replace("\\n", "\n").encode(), entry.algorithm)
    except KeyRefused as refusal:
        fault = f"cannot sign with {entry.algorithm}: {refusal.message}; {_remedy(refusal)}"
        return _Signing(faults=((entry.private_key_env, fault),))
    warning = (
        f"the preset '{API_GATEWAY}' signs with the key in {entry.private_key_env}, which nothing replaces by itself: "
        "once it is another, what the older one has signed is refused at once. Without that variable it signs with the "
        "keys of this installation, which rotate; 'jotgate key import' takes over an older one"
    )
    jwks = KeySet([key.verification_key]).to_jwks()
    return _Signing(private_key=Secret(pem.replace("\\n", "\n")), jwks=jwks, warnings=(warning,))


def _find_secret(variables: Mapping[str, str], entry: ApiGatewayEntry, *, others_reach: bool) -> _Signing:
    """The tables for a secret, whose strength is looked at as that of any issuer's."""
    secret = variables.get(entry.secret_env, "")
    fault = ""
    if not secret:
        fault = f"is missing, and api_gateway.algorithm is {_HS256}, which needs it"
    elif others_reach and (reason := guessable(Secret(secret))):
        fault = f"{reason}, and others than this machine reach this preset"
    if fault:
        return _Signing(faults=((entry.secret_env, f"{fault}; make one with: {_MAKE_SECRET}"),))
    issuer = {"name": API_GATEWAY, "profile": API_GATEWAY, "secret_env": entry.secret_env}
    warning = (
        f"the preset '{API_GATEWAY}' signs with {_HS256}: its key set is empty, and whoever verifies its tokens can "
        "make them too; RS256 and ES256 keep the two apart"
    )
    return _Signing(tables={"issuers": [issuer]}, warnings=(warning,))


def _remedy(refusal: KeyRefused) -> str:
    if refusal.hint:
        return refusal.hint[0].lower() + refusal.hint[1:]
    return "put one unencrypted private key in PEM there, or set api_gateway.algorithm to the one that it is for"

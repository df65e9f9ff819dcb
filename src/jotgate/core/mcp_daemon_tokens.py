"""The tokens that the face of the MCP daemon renews: what is asked, what a new one says, and whose account it spends.

A new token says of its bearer what the one before it said. It spends what that had left: its limits are those of the
token that its chain began with, and count on the account of that.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.api_gateway import secret_kid
from jotgate.core.api_gateway_tokens import name_token
from jotgate.core.claim_values import is_name
from jotgate.core.claims import AccessGrant, TokenForm
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer, SharedSecret
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.principals import Principal
from jotgate.core.quotas import TokenLimit
from jotgate.core.revocations import token_handle
from jotgate.core.token_limits import limits_claim
from jotgate.errors import ClaimRefused, RequestMalformed, UnknownOperation

NONCE_BYTES: Final = 12
_TYPE: Final = "JWT"
_ALGORITHM: Final = "HS256"
_NAME_CHARS_MAX: Final = 256
_PURPOSE: Final = b"jotgate renewed token 1"
_KEY_BYTES: Final = 32
_WRITTEN: Final = frozenset({"aud", "exp", "iat", "iss", "jti", "sub", "quota"})
"""The claims that a new token always has."""


class Renewed(Struct, frozen=True, omit_defaults=True):
    """What is answered: the token, when it ends (NumericDate), and a refresh token where there is a new one."""

    access_token: str
    expires_at: int
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Renewed({self.expires_at})"


class _Told(Struct, frozen=True, omit_defaults=True):
    """The same as its owner reads it."""

    access_token: str
    token_type: str
    expires_in: int
    expires_at: int
    refresh_token: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Renewed).decode


def renewed_here(issuer: Issuer, installation: str) -> Issuer:
    """The face's issuer as one whose tokens this installation renews: its secrets get names, for tokens to say them."""
    named = tuple(replace(one, kid=one.kid or secret_kid(one.secret)) for one in issuer.secrets)
    return replace(issuer, renewed_by=installation, secrets=named)


def secret_of(issuer: Issuer, kid: str, now_s: float) -> SharedSecret:
    """The secret that signs what is renewed of a token that it has signed: a chain never outlives its secret.

    Raises:
        UnknownOperation: tokens of this issuer are not renewed here.
    """
    profile = PROFILES[MCP_DAEMON]
    usual = (issuer.mapping, issuer.quota, issuer.equal) == (profile.mapping, profile.quota, profile.equal)
    named = [one for one in issuer.secrets if one.kid == kid and one.algorithm == _ALGORITHM]
    found = next((one for one in named if one.ends_at_s is None or now_s < one.ends_at_s), None)
    written = usual and _WRITTEN.issuperset(issuer.required) and bool(issuer.audiences)
    if found is None or not written or _TYPE not in issuer.types:
        raise UnknownOperation(
            "tokens are not renewed here: their issuer's entry is not that of the preset, or has other secrets",
            hint="Get a new token as the first was got",
        )
    return found


def renewed_form(known_as: str) -> TokenForm:
    """How new tokens of an issuer look; `known_as` is its `iss`."""
    return TokenForm(_TYPE, name_token, partial(_write_claims, known_as))


def carried_limits(principal: Principal) -> tuple[TokenLimit, ...]:
    """The limits of a token that goes on for this one, on the account of the first of their chain.

    Raises:
        ClaimRefused: that has no account that a token could name.
    """
    inherited = tuple(one for one in principal.limits if one.of)
    if inherited:
        return inherited
    handle = token_handle(principal.issuer, principal.token_id)
    if not is_name(handle):
        raise ClaimRefused("jti", "invalid", "the token's 'jti' is none that another token could name")
    return tuple(TokenLimit(one.limit, handle) for one in principal.limits)


def carried_name(claims: Mapping[str, object]) -> str | None:
    """The `name` of a verified token, which the next one has too. Raises ClaimRefused."""
    found = claims.get("name")
    if found is None:
        return None
    if not isinstance(found, str) or not found.isprintable() or not 1 <= len(found) <= _NAME_CHARS_MAX:
        raise ClaimRefused("name", "invalid", f"the token's 'name' is no text of 1 to {_NAME_CHARS_MAX} characters")
    return found


def read_refresh(members: Mapping[str, object]) -> str:
    """The refresh token in the body of a request; empty: there is none. Raises RequestMalformed."""
    unknown = sorted(members.keys() - {"refresh_token"})
    if unknown:
        raise RequestMalformed("the body has other members than 'refresh_token'", hint="Send that, or no body")
    found = members.get("refresh_token", "")
    if not isinstance(found, str) or ("refresh_token" in members and not found):
        raise RequestMalformed("'refresh_token' is not a text", param="refresh_token")
    return found


def write_renewed(renewed: Renewed, now_s: float) -> bytes:
    """The body of the answer."""
    lives_s = max(0, renewed.expires_at - int(now_s))
    return _encode(_Told(renewed.access_token, "Bearer", lives_s, renewed.expires_at, renewed.refresh_token))


def seal_renewed(token: bytes, handle: str, renewed: Renewed, nonce: bytes) -> bytes:
    """An answer, to be kept for whoever has the token that it was given for; `nonce` is random, for this once."""
    return nonce + _aead(token).encrypt(nonce, _encode(renewed), handle.encode())


def open_renewed(token: bytes, handle: str, sealed: bytes) -> Renewed | None:
    """The answer; None: it was given to another token of this handle."""
    nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return _decode(_aead(token).decrypt(nonce, content, handle.encode()))
    except (InvalidTag, ValueError):
        return None


def _aead(token: bytes) -> AESGCM:
    """No salt: a token ends in a signature that only its issuer could make, and seals one answer."""
    return AESGCM(HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(token))


def _write_claims(
    known_as: str, grant: AccessGrant, _installation: str, token_id: str, now_s: float
) -> dict[str, object]:
    """The document's claims in its order, then what the token is called and whose account it spends of."""
    name = None if grant.login is None else grant.login.name
    claims: dict[str, object] = {
        "sub": grant.subject,
        "name": name,
        "iat": int(now_s),
        "exp": grant.expires_at_s(now_s),
        "iss": known_as,
        "aud": grant.audiences[0],
        "quota": min(one.limit.amount for one in grant.limits),
        "role": grant.roles[0] if len(grant.roles) == 1 else list(grant.roles) or None,
        "jti": token_id,
        "limits": limits_claim(grant.limits, ""),  # Whole names: a text with a space in it is read as one.
    }
    return {claim: value for claim, value in claims.items() if value is not None}

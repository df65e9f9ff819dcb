"""The claims of an access token that jotgate issues (RFC 9068 s2.2), built from what was asked."""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.limit_texts import read_limits
from jotgate.core.lineage import Actor, Confirmation, actor_claim
from jotgate.core.logins import Login
from jotgate.core.mcp_tools import read_scope
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, SCOPES
from jotgate.core.quotas import TokenLimit
from jotgate.core.token_limits import limits_claim
from jotgate.errors import CommandError

ACCESS_TOKEN_TYPE: Final = "at+jwt"
CLI_CLIENT_ID: Final = "jotgate-cli"
EPHEMERAL_CLIENT_ID: Final = "jotgate-realtime"
"""In secrets for the Realtime API that come of a token which was issued to no client of ours."""
RENEWED_CLIENT_ID: Final = "jotgate-refresh"
"""In tokens that a face has renewed, of an issuer that is none of ours: they came of no client."""
RENEWED_LIFE_S: Final = 86_400
"""So long such a token lives, or less: the document of the MCP daemon has it so."""
LIFETIME_DEFAULT_S: Final = 3_600
LIFETIME_MAX_S: Final = 31_536_000
_NAME_MAX: Final = 256
_NAMES_MAX: Final = 64

_Names = Annotated[tuple[str, ...], Meta(max_length=_NAMES_MAX)]


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks a token for.

    Without `scopes` it gets `ai`, without `audiences` the issuer; `models` None means every model. `limits` are texts;
    see `core.limit_texts`.

    Raises:
        CommandError: something in it cannot be granted to anybody.
    """

    subject: str
    ttl_s: int = LIFETIME_DEFAULT_S
    scopes: _Names = ()
    models: _Names | None = None
    audiences: _Names = ()
    limits: _Names = ()

    def __post_init__(self) -> None:
        _check_name("subject", self.subject)
        for audience in self.audiences:
            _check_name("audience", audience)
        for model in self.models or ():
            _check_name("model", model)
        if not 1 <= self.ttl_s <= LIFETIME_MAX_S:
            raise CommandError("a token lives at most 365d", hint="Ask for a shorter --ttl")
        for scope in self.scopes:
            if scope not in SCOPES and read_scope(scope) is None:
                known = ", ".join(sorted(SCOPES))
                known += ", and mcp:SERVER:TOOL (docs/mcp.md)"
                raise CommandError("one of the scopes asked for is unknown", hint=f"The scopes are: {known}")
        read_limits(self.limits)

    def grant(self, issuer: str) -> "AccessGrant":
        """What the operator's command grants for this."""
        return AccessGrant(
            subject=self.subject,
            client_id=CLI_CLIENT_ID,
            scopes=tuple(dict.fromkeys(self.scopes or (ALL_OPERATIONS_SCOPE,))),
            audiences=self.audiences or (issuer,),
            models=None if self.models is None else tuple(dict.fromkeys(self.models)),
            ttl_s=self.ttl_s,
            limits=tuple(map(TokenLimit, read_limits(self.limits))),
        )


class AccessGrant(Struct, frozen=True, kw_only=True):
    """What an access token is to say; whoever makes one has seen to it that it may be granted.

    `models` None: every model. `ttl_s` is its life in seconds, cut at `not_after_s` (NumericDate) if that is given.
    `family` is the refresh-token family that it comes of. `ancestors` are the `jti` of the tokens that it was narrowed
    from, the oldest first, and `origins` what else those can be revoked by: it counts while all of them do. `actors`
    are who acts by it, the current one first; `may_act` is who may (RFC 8693 s4). `confirmation` is what its bearer
    must prove. `limits` are the quotas that it brings, its own and those of what it came of. `login` is there if it
    speaks for somebody who was logged in at a face.
    """

    subject: str
    client_id: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    ttl_s: int
    models: tuple[str, ...] | None = None
    tenant: str = DEFAULT_TENANT
    roles: tuple[str, ...] = ()
    family: str = ""
    ancestors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actors: tuple[Actor, ...] = ()
    may_act: Actor | None = None
    confirmation: Confirmation | None = None
    not_after_s: int | None = None
    limits: tuple[TokenLimit, ...] = ()
    login: Login | None = None

    def expires_at_s(self, now_s: float) -> int:
        """The `exp` of a token that is issued now."""
        end_s = int(now_s) + self.ttl_s
        return end_s if self.not_after_s is None else min(end_s, self.not_after_s)


class TokenText(Struct, frozen=True, forbid_unknown_fields=True):
    """A token that somebody wants checked."""

    token: str


class Issued(Struct, frozen=True):
    """A new token. Its text is secret: hand it to its owner and keep it nowhere. `expires_at_s` is a NumericDate."""

    token: str
    token_id: str
    expires_at_s: int


def access_claims(grant: AccessGrant, issuer: str, token_id: str, now_s: float) -> dict[str, object]:
    """The claims, with whole seconds in `iat` and `exp`. A single audience is a string (RFC 7519 s4.1.3)."""
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": grant.subject,
        "aud": grant.audiences[0] if len(grant.audiences) == 1 else list(grant.audiences),
        "exp": grant.expires_at_s(now_s),
        "iat": int(now_s),
        "jti": token_id,
        "client_id": grant.client_id,
        "scope": " ".join(grant.scopes),
    }
    if grant.models is not None:
        claims["models"] = list(grant.models)
    if grant.tenant != DEFAULT_TENANT:
        claims["tenant"] = grant.tenant
    if grant.roles:
        claims["roles"] = list(grant.roles)
    if grant.family:
        claims["family"] = grant.family
    if grant.ancestors:
        claims["ancestors"] = list(grant.ancestors)
    if grant.origins:
        claims["origins"] = list(grant.origins)
    if grant.actors:
        claims["act"] = actor_claim(grant.actors)
    if grant.may_act is not None:
        claims["may_act"] = actor_claim((grant.may_act,))
    if grant.confirmation is not None:
        claims["cnf"] = {grant.confirmation.method: grant.confirmation.value}
    if grant.limits:
        claims["limits"] = limits_claim(grant.limits, issuer)
    return claims


class TokenForm(Struct, frozen=True):
    """How the tokens of a surface look: their `typ`; their `jti`, of random octets; their claims, with that `jti`."""

    typ: str
    name: Callable[[bytes, AccessGrant], str]
    claims: Callable[[AccessGrant, str, str, float], dict[str, object]]


def _name_plainly(octets: bytes, _grant: AccessGrant) -> str:
    return octets.hex()  # No id looks like an option of a command.


ACCESS_TOKEN: Final = TokenForm(ACCESS_TOKEN_TYPE, _name_plainly, access_claims)
"""RFC 9068."""


def _check_name(what: str, text: str) -> None:
    if not 1 <= len(text) <= _NAME_MAX or not text.isprintable() or text != text.strip():
        raise CommandError(
            f"the {what} is empty, longer than {_NAME_MAX} characters, or has unprintable characters or outer spaces",
            hint=f"Give the {what} a plain name",
        )

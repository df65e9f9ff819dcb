"""The claims of an access token that jotgate issues (RFC 9068 s2.2), built from what was asked."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.operations import ALL_OPERATIONS_SCOPE, SCOPES
from jotgate.errors import CommandError

ACCESS_TOKEN_TYPE: Final = "at+jwt"
CLI_CLIENT_ID: Final = "jotgate-cli"
LIFETIME_DEFAULT_S: Final = 3_600
LIFETIME_MAX_S: Final = 31_536_000
_NAME_MAX: Final = 256
_NAMES_MAX: Final = 64

_Names = Annotated[tuple[str, ...], Meta(max_length=_NAMES_MAX)]


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks a token for.

    Without `scopes` it gets `ai`, without `audiences` the issuer; `models` None means every model.

    Raises:
        CommandError: something in it cannot be granted to anybody.
    """

    subject: str
    ttl_s: int = LIFETIME_DEFAULT_S
    scopes: _Names = ()
    models: _Names | None = None
    audiences: _Names = ()

    def __post_init__(self) -> None:
        _check_name("subject", self.subject)
        for audience in self.audiences:
            _check_name("audience", audience)
        for model in self.models or ():
            _check_name("model", model)
        if not 1 <= self.ttl_s <= LIFETIME_MAX_S:
            raise CommandError("a token lives at most 365d", hint="Ask for a shorter --ttl")
        for scope in self.scopes:
            if scope not in SCOPES:
                known = ", ".join(sorted(SCOPES))
                raise CommandError("one of the scopes asked for is unknown", hint=f"The scopes are: {known}")


class TokenText(Struct, frozen=True, forbid_unknown_fields=True):
    """A token that somebody wants checked."""

    token: str


class Issued(Struct, frozen=True):
    """A new token. Its text is secret: hand it to its owner and keep it nowhere. `expires_at_s` is a NumericDate."""

    token: str
    token_id: str
    expires_at_s: int


def access_claims(request: TokenRequest, issuer: str, token_id: str, now_s: float) -> dict[str, object]:
    """The claims, with whole seconds in `iat` and `exp`. A single audience is a string (RFC 7519 s4.1.3)."""
    issued_at_s = int(now_s)
    audiences = request.audiences or (issuer,)
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": request.subject,
        "aud": audiences[0] if len(audiences) == 1 else list(audiences),
        "exp": issued_at_s + request.ttl_s,
        "iat": issued_at_s,
        "jti": token_id,
        "client_id": CLI_CLIENT_ID,
        "scope": " ".join(dict.fromkeys(request.scopes or (ALL_OPERATIONS_SCOPE,))),
    }
    if request.models is not None:
        claims["models"] = list(dict.fromkeys(request.models))
    return claims


def _check_name(what: str, text: str) -> None:
    if not 1 <= len(text) <= _NAME_MAX or not text.isprintable() or text != text.strip():
        raise CommandError(
            f"the {what} is empty, longer than {_NAME_MAX} characters, or has unprintable characters or outer spaces",
            hint=f"Give the {what} a plain name",
        )

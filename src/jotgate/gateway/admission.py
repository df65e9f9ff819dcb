"""Admission: who asks, may they, and for what. Two steps, since the head is known before the body.

`authenticate` runs as soon as the head is read, so that nobody unknown makes jotgate hold a large body; `admit` runs
when the body is there. Both refuse by raising one class per reason.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from jotgate.core.calls import Body, Request, read_body
from jotgate.core.operations import Operation, model_of_path
from jotgate.core.policies import Deny, authorize
from jotgate.core.principals import Principal
from jotgate.core.routes import Route
from jotgate.errors import (
    CredentialsAmbiguous,
    EncodingRefused,
    InsufficientScope,
    JotgateError,
    ModelNotPermitted,
    RequestError,
    TokenMalformed,
    TokenMissing,
    UnknownModel,
)
from jotgate.gateway.world import World

# RFC 6750 s2.1 and RFC 9110 s11.1: the scheme is case-insensitive, then one or more spaces.
_SCHEME: Final = re.compile(rb"bearer +", re.IGNORECASE)


class Call(Struct, frozen=True):
    """An admitted call: all that is decided before the first byte goes to an upstream, and what it was decided in."""

    request: Request
    operation: Operation
    principal: Principal
    body: Body
    route: Route
    world: World


def authenticate(request: Request, world: World, now_s: float) -> Principal:
    """The principal of a request's bearer token.

    Raises:
        TokenError: there is no token or it is refused.
        CredentialsAmbiguous: another one stands in the query.
    """
    if request.query and b"authorization" in request.headers and _names_token(request.query):
        raise CredentialsAmbiguous("the request has a token in its query beside the Authorization field")
    return world.verifier.verify(bearer_token(request.headers.get(b"authorization")), now_s)


def admit(request: Request, operation: Operation, principal: Principal, world: World) -> Call:
    """Read the body, authorize the call and find its route.

    Raises:
        RequestError: the body is at fault, or no route carries its model.
        PermissionRefused: the token's scopes or models do not cover the call.
    """
    if b"content-encoding" in request.headers:
        raise EncodingRefused("the request body has a Content-Encoding")
    try:
        body = read_body(request.body)
    except RequestError:
        permit(principal, operation, "")  # Who may not run the operation need not know what is wrong with the body.
        raise
    permit(principal, operation, body.model)
    route = world.routes.get(body.model)
    if route is None:
        raise UnknownModel("no route carries this model")
    return Call(request, operation, principal, body, route, world)


def permit(principal: Principal, operation: Operation, model: str) -> None:
    """Authorize, and raise what a Deny means."""
    decision = authorize(principal, operation.name, model)
    if isinstance(decision, Deny):
        raise _refusal(decision)


def permitted_aliases(principal: Principal, world: World) -> list[str]:
    """The model aliases that the principal may use, in the routes' order."""
    models = principal.models
    return [alias for alias in world.routes if models is None or alias in models]


def find_alias(request: Request, principal: Principal, operation: Operation, world: World) -> str:
    """The alias that ends a `/v1/models/…` path; empty for the list itself.

    Raises:
        ModelNotPermitted, UnknownModel: as for a call.
    """
    alias = model_of_path(request.path)
    permit(principal, operation, alias)
    if alias and alias not in world.routes:
        raise UnknownModel("no route carries this model")
    return alias


def bearer_token(value: bytes | None) -> bytes:
    """The token of an Authorization field (RFC 6750 s2.1).

    Raises:
        TokenMissing: there is no field, or it has another scheme.
        TokenMalformed: the scheme stands alone.
    """
    if value is None:
        raise TokenMissing("the request carries no bearer token")
    if value.startswith(b"Bearer ") and not value.startswith(b" ", 7):
        return value[7:]
    found = _SCHEME.match(value)
    if found is None:
        if value.strip(b" \t").lower() == b"bearer":
            raise TokenMalformed("the Authorization field holds no token")
        raise TokenMissing("the Authorization field is not of the Bearer scheme")
    return value[found.end() :]


def _names_token(query: bytes) -> bool:
    """Whether RFC 6750 s2.3's parameter is in a query, whatever its escapes; jotgate never takes a token from there."""
    return any(unquote_to_bytes(pair.partition(b"=")[0]) == b"access_token" for pair in query.split(b"&"))


def _refusal(decision: Deny) -> JotgateError:
    if decision.reason == "scope":
        return InsufficientScope(
            decision.wanted,
            f"the token's scopes do not cover {decision.wanted}",
            hint=f"Create a token with --scope {decision.wanted}",
        )
    return ModelNotPermitted("the token's 'models' claim does not name this model")

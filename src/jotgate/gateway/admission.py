"""Admission: who asks, may they, and for what. Two steps, since the head is known before the body.

`authenticate` runs as soon as the head is read, so that nobody unknown makes jotgate hold a large body; `admit` runs
when the body is there. Both refuse by raising one class per reason.
"""

from typing import Final

from msgspec import Struct

from jotgate.core.calls import Body, Request, read_body
from jotgate.core.expectations import RouteExpectation, unmet
from jotgate.core.opaque import Mark
from jotgate.core.operations import Operation, model_of_path
from jotgate.core.policies import Deny, authorize
from jotgate.core.principals import Principal
from jotgate.core.routes import Route
from jotgate.errors import (
    EncodingRefused,
    InsufficientScope,
    IssuerUnavailable,
    JotgateError,
    ModelNotPermitted,
    RequestError,
    TokenError,
    UnknownModel,
)
from jotgate.gateway.credentials import find_token, refuse_list, require_place
from jotgate.gateway.possession import require_possession
from jotgate.gateway.world import World
from jotgate.services.evidence import examine

_PERSONAL: Final = Mark.PERSONAL.encode("ascii")
_MARK_BYTES: Final = len(_PERSONAL)


class Call(Struct, frozen=True):
    """An admitted call: all that is decided before the first byte goes to an upstream, and what it was decided in."""

    request: Request
    operation: Operation
    principal: Principal
    body: Body
    route: Route
    world: World


def authenticate(request: Request, operation: Operation, world: World, now_s: float) -> Principal:
    """The principal of a request's token. The refusal of a token has its evidence.

    What is not forwarded is no route's call, and takes a token from the Authorization header alone.

    Raises:
        TokenError: there is no token or it is refused.
        CredentialsAmbiguous, OriginRefused: see `find_token`.
        IssuerUnavailable: the keys of the token's issuer are out of reach.
        TokenUnresolved: it is a personal token, of which control has to be asked.
        ProofUnmarked: control has to be asked about the proof that came with it.
    """
    token = find_token(request, world.credentials)
    if request.credential_place and not operation.forwarded:
        require_place(request, None)
    try:
        if token[:_MARK_BYTES] == _PERSONAL:
            principal = world.personal.resolve(token, now_s, request.peer)
        else:
            principal = world.verifier.verify(token, now_s)
        if principal.confirmation is not None or request.possession is not None:
            require_possession(request, token, principal, world.snapshot.issuers[0].issuer or "")
        return principal
    except (TokenError, IssuerUnavailable) as refusal:
        refuse_list(token)
        examine(token, refusal, world.verifier.federation, now_s, request.credential_place)
        raise


def admit(request: Request, operation: Operation, principal: Principal, world: World, now_s: float) -> Call:
    """Read the body, authorize the call and find its route.

    Raises:
        RequestError: the body is at fault, or no route carries its model.
        TokenMissing: the token does not stand where the route takes it.
        ClaimRefused: the token is not such as the route expects; it has its evidence.
        PermissionRefused: the token's scopes or models do not cover the call.
    """
    if b"content-encoding" in request.headers:
        raise EncodingRefused("the request body has a Content-Encoding")
    try:
        body = read_body(request.body)
    except RequestError:
        permit(principal, operation, "")  # Who may not run the operation need not know what is wrong with the body.
        raise
    route = world.routes.get(body.model)
    if request.credential_place:
        require_place(request, route)
    if route is not None and route.expects is not None:
        expect(request, principal, route.expects, world, now_s)
    permit(principal, operation, body.model)
    if route is None:
        raise UnknownModel("no route carries this model")
    return Call(request, operation, principal, body, route, world)


def expect(request: Request, principal: Principal, expectation: RouteExpectation, world: World, now_s: float) -> None:
    """Refuse a token that is not such as a route expects. Raises ClaimRefused with its evidence."""
    refusal = unmet(expectation, principal, now_s)
    if refusal is not None:
        token = find_token(request, world.credentials)
        examine(token, refusal, world.verifier.federation, now_s, request.credential_place)
        raise refusal


def permit(principal: Principal, operation: Operation, model: str) -> None:
    """Authorize, and raise what a Deny means."""
    decision = authorize(principal, operation.name, model)
    if isinstance(decision, Deny):
        raise _refusal(decision)


def permitted_aliases(principal: Principal, world: World, now_s: float) -> list[str]:
    """The model aliases that the principal may use with this token, in the routes' order."""
    models = principal.models
    return [
        alias
        for alias, route in world.routes.items()
        if (models is None or alias in models)
        and (route.expects is None or unmet(route.expects, principal, now_s) is None)
    ]


def find_alias(request: Request, principal: Principal, operation: Operation, world: World, now_s: float) -> str:
    """The alias that ends a `/v1/models/…` path; empty for the list itself.

    Raises:
        ClaimRefused, ModelNotPermitted, UnknownModel: as for a call.
    """
    alias = model_of_path(request.path)
    route = world.routes.get(alias)
    if route is not None and route.expects is not None:
        expect(request, principal, route.expects, world, now_s)
    permit(principal, operation, alias)
    if alias and route is None:
        raise UnknownModel("no route carries this model")
    return alias


def _refusal(decision: Deny) -> JotgateError:
    if decision.reason == "scope":
        return InsufficientScope(
            decision.wanted,
            f"the token's scopes do not cover {decision.wanted}",
            hint=f"Create a token with --scope {decision.wanted}",
        )
    return ModelNotPermitted("the token's 'models' claim does not name this model")

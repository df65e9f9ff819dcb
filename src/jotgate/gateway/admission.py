"""Admission: who asks, may they, and for what. Two steps, since the head is known before the body.

`authenticate` runs as soon as the head is read, so that nobody unknown makes jotgate hold a large body; `admit` runs
when the body is there. Both refuse by raising one class per reason.
"""

from typing import Final

from msgspec import Struct, structs

from jotgate.core.calls import Body, Request, read_body
from jotgate.core.coze_proxy import open_route, settle_aim
from jotgate.core.expectations import RouteExpectation, unmet
from jotgate.core.opaque import Mark
from jotgate.core.operations import Operation, model_of_path
from jotgate.core.policies import ALLOW, Allow, Deny, authorize, refusal_of
from jotgate.core.principals import Principal
from jotgate.core.routes import EndedTokens, Route
from jotgate.errors import (
    ControlStale,
    EncodingRefused,
    IssuerUnavailable,
    PermissionRefused,
    PolicyDenied,
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
    """An admitted call: all that is decided before the first byte goes to an upstream, and what it was decided in.

    `ended_tokens` is what becomes of it when its token ends while it runs. `policy` is the one that let it go on
    although what was revoked was not known; empty: it was. `policy_if_blind` is the one that lets it should that be so
    while it runs; empty: none does.
    """

    request: Request
    operation: Operation
    principal: Principal
    body: Body
    route: Route
    world: World
    ended_tokens: EndedTokens = "cut"
    policy: str = ""
    policy_if_blind: str = ""


class Shown(Struct, frozen=True):
    """The models that a caller is told of, in the routes' order; `named` is the one that was asked for, if one was.

    `policy` is as for a Call.
    """

    aliases: tuple[str, ...]
    named: str
    policy: str


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
        if token[:_MARK_BYTES] == _PERSONAL and world.takes_personal:
            principal = world.personal.resolve(token, now_s, request.peer)
        else:
            principal = world.verifier.verify(token, now_s)
        if principal.confirmation is not None or request.possession is not None:
            require_possession(request, token, principal, world.own_issuer)
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
        PermissionRefused: the token's scopes or models do not cover the call, or policies refuse it.
        ControlStale: what was revoked is not known, and no policy lets the call go on without.
    """
    if b"content-encoding" in request.headers:
        raise EncodingRefused("the request body has a Content-Encoding")
    try:
        body = read_body(request.body)
        if world.aims is not None:
            body = settle_aim(request, body, world.aims, world.routes)
    except RequestError:
        permit_unnamed(request, principal, operation, world, now_s)  # Else nobody need know what is wrong with it.
        raise
    route = world.routes.get(body.model)
    if route is None and world.aims is not None:
        route = open_route(body.model, world.aims)
    if request.credential_place:
        require_place(request, route)
    if route is not None and route.expects is not None:
        expect(request, principal, route.expects, world, now_s)
    allowed = permit(request, principal, operation, world, now_s, model=body.model)
    if route is None:
        raise UnknownModel("no route carries this model")
    return admitted(Call(request, operation, principal, body, route, world, route.ended_tokens), allowed)


def admitted(call: Call, allowed: Allow) -> Call:
    """The call as what allows it lets it go on."""
    if allowed is ALLOW:
        return call
    ended_tokens = allowed.ended_tokens or call.ended_tokens
    if_blind = allowed.policy if allowed.stale else ""
    policy = if_blind if call.request.stale else ""
    return structs.replace(call, ended_tokens=ended_tokens, policy=policy, policy_if_blind=if_blind)


def expect(request: Request, principal: Principal, expectation: RouteExpectation, world: World, now_s: float) -> None:
    """Refuse a token that is not such as a route expects. Raises ClaimRefused with its evidence."""
    refusal = unmet(expectation, principal, now_s)
    if refusal is not None:
        token = find_token(request, world.credentials)
        examine(token, refusal, world.verifier.federation, now_s, request.credential_place)
        raise refusal


def permit(
    request: Request, principal: Principal, operation: Operation, world: World, now_s: float, *, model: str = ""
) -> Allow:
    """Authorize (`model` empty: the call names none), and raise what a Deny means.

    Raises:
        PermissionRefused, ControlStale: as for a call.
    """
    desk = world.desk
    if desk is None:
        decision = authorize(principal, operation.name, model)
    else:
        decision = desk.decide(principal, operation.name, model, request.peer, now_s)
        if request.stale and isinstance(decision, Allow) and not decision.stale:
            raise ControlStale("what was revoked is not known, and no policy lets this call go on without")
    if isinstance(decision, Deny):
        raise refusal_of(decision)
    return decision


def find_models(request: Request, principal: Principal, operation: Operation, world: World, now_s: float) -> Shown:
    """What answers `/v1/models`, or one model of it.

    Policies that speak of some models alone allow a list of these.

    Raises:
        ClaimRefused, PermissionRefused, UnknownModel, ControlStale: as for a call.
    """
    alias = model_of_path(request.path)
    if not alias:
        return _list_models(request, principal, operation, world, now_s)
    route = world.routes.get(alias)
    if route is not None and route.expects is not None:
        expect(request, principal, route.expects, world, now_s)
    allowed = permit(request, principal, operation, world, now_s, model=alias)
    if route is None:
        raise UnknownModel("no route carries this model")
    return Shown((alias,), alias, allowed.policy if request.stale else "")


def _list_models(request: Request, principal: Principal, operation: Operation, world: World, now_s: float) -> Shown:
    allowed = permit_unnamed(request, principal, operation, world, now_s)
    found = {alias: _show(request, principal, operation, world, now_s, alias=alias) for alias in world.routes}
    shown = {alias: one for alias, one in found.items() if one is not None}
    if allowed is None and not shown:
        permit(request, principal, operation, world, now_s)
    if allowed is None:
        allowed = next(iter(shown.values()))
    return Shown(tuple(shown), "", allowed.policy if request.stale else "")


def permit_unnamed(
    request: Request, principal: Principal, operation: Operation, world: World, now_s: float
) -> Allow | None:
    """Authorize a call of which no model is known; None: what it names decides. Raises as `permit`."""
    try:
        return permit(request, principal, operation, world, now_s)
    except PolicyDenied as refusal:
        if refusal.policy:
            raise
        return None


def _show(
    request: Request, principal: Principal, operation: Operation, world: World, now_s: float, *, alias: str
) -> Allow | None:
    """What lets the caller be told of a model; None: nothing does."""
    expected = world.routes[alias].expects
    if expected is not None and unmet(expected, principal, now_s) is not None:
        return None
    try:
        return permit(request, principal, operation, world, now_s, model=alias)
    except (PermissionRefused, ControlStale):
        return None

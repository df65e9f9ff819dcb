"""Lets in who may administer: a token of this installation, for the admin API, in the Authorization header alone."""

from collections.abc import Callable, Sequence
from typing import Final

from jotgate.control.admin.shapes import AdminRoute, By
from jotgate.core.opaque import Mark
from jotgate.core.principals import Principal
from jotgate.core.scopes import ADMIN_READ, ADMIN_SCOPES, may_administer
from jotgate.errors import CredentialsAmbiguous, InsufficientScope, TokenBound, TokenError, TokenMalformed, TokenRevoked
from jotgate.gateway.credentials import bearer_token
from jotgate.ports import StoreAccess
from jotgate.services.standing import stands

_COMMAND: Final = "jotgate admin token"
_OTHER_COMMAND: Final = "jotgate token create --subject NAME"

Verify = Callable[[bytes], Principal]
"""The principal of a token for the admin API. Raises TokenError, and Unavailable where nothing can be known."""


async def identify(verify: Verify, access: StoreAccess, fields: Sequence[str], request_id: str) -> By:
    """Who calls. `fields` are the Authorization fields of the request.

    Raises:
        TokenError: one subclass for each reason (RFC 6750 s3.1 `invalid_token`); TokenRevoked too where the token's
            client or subject, or the tenant of one, is disabled or gone.
        CredentialsAmbiguous: there is more than one token.
        Unavailable: the answer cannot be known.
    """
    if len(fields) > 1:
        raise CredentialsAmbiguous("the Authorization field stands more than once")
    principal = _verify(verify, fields)
    if not await access.run(lambda store: stands(store, principal)):
        raise TokenRevoked(
            "the token's client or subject, or the tenant of one, is disabled or deleted",
            hint="Ask who administers them",
        )
    return By(principal.subject, principal.client_id, principal.scopes, request_id)


def authorize(by: By, route: AdminRoute) -> None:
    """Let somebody do what a route is for. Raises InsufficientScope: their token is good, and not for this."""
    if not _may(by.scopes, route):
        scope = scope_of(route)
        raise InsufficientScope(
            scope,
            f"the token's scopes do not cover this, which needs '{scope}'",
            hint=f"Create a token that has it: {_COMMAND}",
        )


def scope_of(route: AdminRoute) -> str:
    """The narrowest scope that is enough for a route."""
    return f"admin:{route.noun}" if route.noun is not None and route.changes else ADMIN_READ


def _verify(verify: Verify, fields: Sequence[str]) -> Principal:
    """Who calls; a refusal leads to a token of the kind that is taken here."""
    try:
        token = bearer_token(fields[0].encode("latin-1") if fields else None)
        if token.startswith(Mark.PERSONAL.encode("ascii")):
            raise TokenMalformed(
                "a personal token is not taken here", hint=f"Send an access token: {_COMMAND} makes one"
            )
        found = verify(token)
        if found.confirmation is not None:
            raise TokenBound(
                "the token is bound to a key or certificate, and none such is taken here",
                by_key=False,
                hint=f"Send an access token that is not bound: {_COMMAND} makes one",
            )
        return found
    except TokenError as fault:
        fault.hint = fault.hint.replace(_OTHER_COMMAND, _COMMAND)
        raise


def _may(scopes: frozenset[str], route: AdminRoute) -> bool:
    if route.noun is None:
        return not ADMIN_SCOPES.isdisjoint(scopes)
    return may_administer(scopes, route.noun, change=route.changes)

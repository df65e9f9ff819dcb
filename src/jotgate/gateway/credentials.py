"""Where a request carries its credential: the Authorization header, or another place that some route allows.

Another place is taken at the head, when the route is not known yet; `require_place` sends the call away as if it had
carried none once its route turns out not to allow that place. More than one credential is refused wherever they stand,
allowed or not (RFC 6750 s2): which of them counts would be a guess.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.possession import Possession
from jotgate.core.routes import CredentialPlace, Route
from jotgate.core.snapshot import Snapshot
from jotgate.core.socket_tickets import TICKET_PATHS
from jotgate.core.values import Secret
from jotgate.core.websocket_handshake import tokens_offered
from jotgate.errors import (
    CredentialsAmbiguous,
    OriginRefused,
    SchemeRefused,
    TicketRefused,
    TicketUnredeemed,
    TokenMalformed,
    TokenMissing,
)

# RFC 6750 s2.1 and RFC 9110 s11.1: the scheme is case-insensitive, then one or more spaces.
_SCHEME: Final = re.compile(rb"bearer +", re.IGNORECASE)
_PROVEN: Final = re.compile(rb"dpop +", re.IGNORECASE)  # RFC 9449 s7.1
# A scheme (RFC 9110 s5.6.2: a token) behind a comma and before white space begins a second credential.
_SECOND: Final = re.compile(rb",[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]+[^ \t,]")
_KEYS: Final[tuple[CredentialPlace, ...]] = ("x-api-key", "api-key")
_QUERY_NAME: Final = b"access_token"  # RFC 6750 s2.3
_COOKIE_BORDER: Final = re.compile(rb"[;,][ \t]*")  # a comma where two Cookie fields were joined
# How programs that can set no header smuggle a token through a WebSocket's subprotocols.
_SUBPROTOCOL: Final = re.compile(
    rb"(?i:bearer|authorization|api[-_.]?key|access[-_.]?token|jwt)|(?<![A-Za-z0-9_-])(?:eyJ[A-Za-z0-9_-]+\.|jot_[a-z]_)"
)
_WEBSOCKET: Final = "a WebSocket subprotocol"
_TICKET: Final = "a ticket in the query"
_TICKET_NAME: Final = b"ticket"
_NAMES: Final = {
    "x-api-key": "the header X-Api-Key",
    "api-key": "the header Api-Key",
    "query": "the query (access_token)",
    "cookie": "a cookie",
    _WEBSOCKET: _WEBSOCKET,
    _TICKET: _TICKET,
}


class CredentialRules(Struct, frozen=True):
    """Where credentials may stand beside the Authorization header.

    `places` are those that some route allows, `cookie` is the cookie's name. `origins` are the web origins whose pages
    may send it: those of `cors.origins`, and the gateway's own name.
    """

    places: frozenset[str] = frozenset()
    cookie: bytes = b""
    origins: frozenset[bytes] = frozenset()


def compile_rules(snapshot: Snapshot) -> CredentialRules:
    """The rules of a snapshot."""
    origins = (*snapshot.edge.origins, *(one.issuer for one in snapshot.issuers[:1]))
    return CredentialRules(
        places=frozenset(place for route in snapshot.routes for place in route.credentials),
        cookie=snapshot.edge.credential_cookie.encode("ascii"),
        origins=frozenset(origin.encode() for origin in origins),
    )


def find_token(request: Request, rules: CredentialRules) -> bytes:
    """The one token of a request; `credential_place` says then where it stood, if not in the Authorization header.

    `possession` is there then if it has the scheme DPoP.

    Raises:
        TokenMissing: there is none, or it stands where no route takes it.
        TokenMalformed: the scheme stands alone.
        CredentialsAmbiguous: there is more than one.
        TicketUnredeemed, TicketRefused: it is a ticket, of which control has to be asked, or that is no good.
        OriginRefused: it is a cookie, and the request is not from a page that may send it.
    """
    headers = request.headers
    # Each call passes here with none of these: four look-ups cost less than any operation on sets.
    if (
        b"x-api-key" in headers
        or b"api-key" in headers
        or b"cookie" in headers
        or b"sec-websocket-protocol" in headers
        or request.query
    ):
        found = tuple(_elsewhere(request, rules))
        if found:
            return _only(request, found, rules)
    value = headers.get(b"authorization")
    try:
        return bearer_token(value)
    except TokenMissing:
        return _proven_token(request, value or b"")


def bearer_token(value: bytes | None) -> bytes:
    """The token of an Authorization field (RFC 6750 s2.1).

    Raises:
        TokenMissing: there is no field, or it has another scheme.
        TokenMalformed: the scheme stands alone.
        CredentialsAmbiguous: the field is a list.
    """
    if value is None:
        raise TokenMissing("the request carries no bearer token")
    token = value[7:]
    if value[:7] == b"Bearer " and token[:1] != b" ":
        return token
    found = _SCHEME.match(value)
    if found is None:
        refuse_list(value)
        if value.strip(b" \t").lower() == b"bearer":
            raise TokenMalformed("the Authorization field holds no token")
        raise SchemeRefused("the Authorization field is not of the Bearer scheme")
    return value[found.end() :]


def _proven_token(request: Request, value: bytes) -> bytes:
    """The token behind the scheme DPoP. Raises as `bearer_token`."""
    found = _PROVEN.match(value)
    if found is None:
        if value.strip(b" \t").lower() == b"dpop":
            raise TokenMalformed("the Authorization field holds no token")
        if not value:
            raise TokenMissing("the request carries no bearer token")
        raise SchemeRefused("the Authorization field is not of the Bearer scheme")
    if request.possession is None:
        request.possession = Possession()
    return value[found.end() :]


def refuse_list(value: bytes) -> None:
    """Refuse a field that holds a second credential behind a comma; asked of what has been refused already.

    Raises:
        CredentialsAmbiguous: it does.
    """
    if _SECOND.search(value):
        raise CredentialsAmbiguous("the Authorization field holds more than one credential")


def require_place(request: Request, route: Route | None) -> None:
    """Refuse a token that does not stand where its route takes one; no route: the Authorization header alone is taken.

    Raises:
        TokenMissing: as for a call that carries none.
    """
    place = request.credential_place
    if place in (_WEBSOCKET, _TICKET) and request.handshake is not None:
        return  # Pages can send what opens a WebSocket in no better place.
    allowed: tuple[str, ...] = () if route is None else route.credentials
    if place and place not in allowed:
        raise _misplaced(place, allowed)


def _elsewhere(request: Request, rules: CredentialRules) -> Iterator[tuple[str, bytes]]:
    """Each credential outside the Authorization header, with its place."""
    headers = request.headers
    for key in _KEYS:
        value = headers.get(key.encode("ascii"))
        if value is not None:
            yield key, value
    for pair in request.query.split(b"&") if request.query else ():
        name, _, value = pair.partition(b"=")
        if unquote_to_bytes(name) == _QUERY_NAME:
            yield "query", unquote_to_bytes(value)
        elif name == _TICKET_NAME and request.path in TICKET_PATHS:
            yield _TICKET, value
    if "cookie" in rules.places:
        for pair in _COOKIE_BORDER.split(headers.get(b"cookie", b"")):
            name, _, value = pair.partition(b"=")
            if name.strip(b" \t") == rules.cookie:
                yield "cookie", value.strip(b" \t")
    if _SUBPROTOCOL.search(headers.get(b"sec-websocket-protocol", b"")):
        offered = () if request.handshake is None else tokens_offered(request.handshake)
        for token in offered or (b"",):
            yield _WEBSOCKET, token


def _only(request: Request, found: tuple[tuple[str, bytes], ...], rules: CredentialRules) -> bytes:
    if len(found) > 1 or b"authorization" in request.headers:
        named = ["the Authorization header"] if b"authorization" in request.headers else []
        named += [_NAMES[place] for place, _ in found]
        raise CredentialsAmbiguous(f"the request has more than one credential: {', '.join(named)}")
    ((place, token),) = found
    if place == _WEBSOCKET and token:
        request.credential_place = place
        return token
    if place == _TICKET:
        request.credential_place = place
        return _redeemed(request)
    if place not in rules.places:
        raise _misplaced(place, ())
    if b"," in token:
        raise CredentialsAmbiguous(f"{_NAMES[place]} holds more than one credential")
    if place == "cookie" and request.headers.get(b"origin") not in rules.origins:
        why = "is not one whose pages may send it" if b"origin" in request.headers else "is missing"
        raise OriginRefused(f"the token is a cookie, and the request's Origin {why}")
    request.credential_place = place
    return token


def shows_credential(request: Request) -> bool:
    """Whether the query of a handshake has a ticket, or a token, which nobody takes there."""
    names = [pair.partition(b"=")[0] for pair in request.query.split(b"&")]
    return any(name == _TICKET_NAME or unquote_to_bytes(name) == _QUERY_NAME for name in names)


def ticket_of(request: Request) -> Secret:
    """The ticket of a handshake that has one."""
    named = [pair.partition(b"=") for pair in request.query.split(b"&")]
    return Secret(next(value for name, _, value in named if name == _TICKET_NAME).decode("latin-1"))


def _redeemed(request: Request) -> bytes:
    """The token that a ticket stands for.

    Raises:
        TicketUnredeemed: control has to be asked about it.
        TicketRefused: it stands for none.
    """
    found = request.redemption
    if found is None or found.word == "unknown":
        raise TicketUnredeemed("what the ticket stands for cannot be known now")
    if found.token is None:
        raise TicketRefused(
            "the ticket is unknown, was used, is over, or is for another path or Origin",
            hint="Get a new one: each opens one WebSocket, within 30 seconds, where it was asked for",
        )
    return found.token.reveal().encode()


def _misplaced(place: str, allowed: tuple[str, ...]) -> TokenMissing:
    taken = " or ".join(("the Authorization header", *(_NAMES[one] for one in allowed)))
    return TokenMissing(f"the request's token stands in {_NAMES[place]}, and it is taken from {taken} here")

"""Kong's jwt plugin: where it looks for a token, in which order it judges it, and what it says of each fault.

The rows of its table, in order: nothing there; two different tokens; no text; unreadable parts; algorithm; claims;
signature that is no base64url; no key claim; an empty one; no such credential; another algorithm; no usable key; wrong
signature; `exp` and `nbf`; an end too far away; no such consumer.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from jotgate.testing.kong_entities import ENTITIES
from jotgate.testing.kong_errors import UNEXPECTED
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_tokens import BadToken, KongToken, Unexpected, decoded, judged, member, read_token
from jotgate.testing.kong_values import Row

_BEARER: Final = re.compile(r"\s*[Bb]earer\s+(.+)")
_ARGUMENTS_MAX: Final = 100


class ProxyAsk(Struct, frozen=True):
    """A request at the gateway; header fields by lower-case name, `address` of who sends it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes = b""
    address: str = "127.0.0.1"

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        values = self.headers.get(name.lower())
        return values[0] if values else None

    def arguments(self) -> dict[str, list[str | bool]]:
        """The arguments of the query; one without `=` is true."""
        found: dict[str, list[str | bool]] = {}
        for pair in [pair for pair in self.query.split("&") if pair][:_ARGUMENTS_MAX]:
            name, equals, value = pair.partition("=")
            found.setdefault(_unescaped(name), []).append(_unescaped(value) if equals else True)
        return found

    def cookie(self, name: str) -> str:
        """The first cookie of this name; empty without one."""
        for line in self.headers.get("cookie", ()):
            for pair in line.split(";"):
                key, equals, value = pair.strip().partition("=")
                if equals and key.lower() == name.lower():
                    return value
        return ""


class LetIn(Struct, frozen=True):
    """Who was let in: the consumer and the credential; without the latter, nobody proved to be it."""

    consumer: Row | None = None
    credential: Row | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What the upstream is told; whatever else stands under these names goes away."""
        consumer, credential = self.consumer or {}, self.credential
        told = {
            "X-Consumer-ID": consumer.get("id"),
            "X-Consumer-Custom-ID": consumer.get("custom_id"),
            "X-Consumer-Username": consumer.get("username"),
            "X-Credential-Identifier": credential["key"] if credential is not None else None,
            "X-Anonymous-Consumer": "true" if self.consumer is not None and credential is None else None,
        }
        return {name: value for name, value in told.items() if value is not None}


IDENTITY: Final = (
    *("X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username"),
    *("X-Credential-Identifier", "X-Anonymous-Consumer"),
)
"""The names of the headers that say who was let in."""


class Stopped(Exception):
    """A request that a plugin does not let through: the status, the body and further header lines."""

    def __init__(self, status: int, body: Row, *lines: bytes) -> None:
        super().__init__(body)
        self.status = status
        self.body = body
        self.lines = lines


def unexpected() -> Stopped:
    """What Kong answers when an assertion of its own fails."""
    return Stopped(500, {"message": UNEXPECTED})


def authenticate(config: Row, ask: ProxyAsk, store: KongStore, now_s: int, caller: LetIn) -> LetIn:
    """Who asks. Raises Stopped. `caller` is who another plugin has found already."""
    if not config["run_on_preflight"] and ask.method == "OPTIONS":
        return caller
    if config["anonymous"] is not None and caller.credential is not None:
        return caller
    try:
        return _proven(config, ask, store, now_s)
    except Unexpected as fault:
        raise unexpected() from fault
    except Stopped:
        if config["anonymous"] is None:
            raise
    return _anonymous(config["anonymous"], store)


def _anonymous(named: str, store: KongStore) -> LetIn:
    consumer = store.find(ENTITIES["consumers"], named)
    if consumer is None:
        raise Stopped(500, {"message": f"anonymous consumer {named} is configured but doesn't exist"})
    return LetIn(consumer)


def _proven(config: Row, ask: ProxyAsk, store: KongStore, now_s: int) -> LetIn:
    realm = config["realm"]
    told = [f'realm="{realm}"'] if realm else []
    bare = ("WWW-Authenticate: " + " ".join(["Bearer", *told])).encode()
    challenge = ("WWW-Authenticate: Bearer " + ", ".join([*told, 'error="invalid_token"'])).encode()

    def no(message: str) -> Stopped:
        return Stopped(401, {"message": message}, challenge)

    tokens = found_tokens(config, ask)
    if not tokens:
        raise Stopped(401, {"message": "Unauthorized"}, bare)
    if len(tokens) > 1:
        raise no("Multiple tokens provided")
    text = tokens.pop()
    if not isinstance(text, str):
        raise no("Unrecognizable token")
    try:
        token = read_token(text)
    except BadToken as bad:
        raise no(f"Bad token; {bad}") from bad
    name = config["key_claim_name"]
    credential = _credential(name, token, store, no)
    if token.header["alg"] != credential["algorithm"]:
        raise no("Invalid algorithm")
    key = _key(credential, is_base64=config["secret_is_base64"])
    if key is None:
        raise no("Invalid key/secret")
    if not judged(token, key):
        raise no("Invalid signature")
    wrong = wrong_times(config["claims_to_verify"] or [], token, now_s) or _too_far(config, token, now_s)
    if wrong:
        raise Stopped(401, wrong, challenge)
    consumer = store.get("consumers", credential["consumer"]["id"])
    if consumer is None:
        raise Stopped(401, {"message": f"Could not find consumer for '{name}={credential['key']}'"})
    return LetIn(consumer, credential)


def found_tokens(config: Row, ask: ProxyAsk) -> set[str | bool]:
    """All different tokens of a request, from its query, its cookies and its headers; an empty one is none."""
    arguments = ask.arguments()
    found: set[str | bool] = set()
    for name in config["uri_param_names"] or ():
        found.update(arguments.get(name, ()))
    found.update(ask.cookie(name) for name in config["cookie_names"] or ())
    for name in config["header_names"] or ():
        bearer = _BEARER.search(ask.header(name) or "")
        if bearer:
            found.add(bearer[1])
    return found - {""}


def wrong_times(names: list[str], token: KongToken, now_s: int) -> Row:
    """What is wrong with the claims that are to be verified; there is no leeway."""
    wrong: Row = {}
    for name in names:
        value = token.claim(name)
        if not _is_number(value):
            wrong[name] = "must be a number"
        elif name == "exp" and value <= now_s:
            wrong[name] = "token expired"
        elif name == "nbf" and value > now_s:
            wrong[name] = "token not valid yet"
    return wrong


def _too_far(config: Row, token: KongToken, now_s: int) -> Row:
    most_s = config["maximum_expiration"] or 0
    if most_s <= 0:
        return {}
    end = token.claim("exp")
    if end is not None and not _is_number(end):
        raise Unexpected("attempt to perform arithmetic on a value that is no number")
    return {"exp": "exceeds maximum allowed expiration"} if end is None or end - now_s > most_s else {}


def _credential(name: str, token: KongToken, store: KongStore, no: Callable[[str], Stopped]) -> Row:
    """The credential that the key claim names, which is looked for in the claims and then in the header."""
    key = token.claim(name)
    if key is None or key is False:
        key = member(token.header, name)
    if key is None or key is False:
        raise no(f"No mandatory '{name}' in claims")
    if key == "":
        raise no(f"Invalid '{name}' in claims")
    if not isinstance(key, str):
        raise Unexpected("a key that is no text")
    found = store.by_key(ENTITIES["jwt_secrets"], key)
    if found is None:
        raise no(f"No credentials found for given '{name}'")
    return found


def _key(credential: Row, *, is_base64: bool) -> bytes | None:
    """The secret of HMAC, else the PEM; None for a secret that is no base64url, and for no PEM."""
    if not credential["algorithm"].startswith("HS"):
        pem: str | None = credential["rsa_public_key"]
        return None if pem is None else pem.encode()
    secret: str = credential["secret"] or ""
    return decoded(secret) if is_base64 else secret.encode()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")

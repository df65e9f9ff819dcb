"""The configuration by which HAProxy verifies tokens with `jwt_verify`, and asks jotgate of what it let pass.

HAProxy fetches no keys: each stands in a file beside the configuration. It asks nobody by itself: a little Lua does.
"""

import re
from collections.abc import Iterator
from typing import Final

from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.planes.facts import (
    ASKED_FIELDS,
    KEY_FILES,
    Endpoint,
    GateFacts,
    Printed,
    PrintedFile,
    PublicKey,
    Wish,
    endpoint,
)
from jotgate.planes.haproxy_question import print_question

_VERIFIES: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})
# What may stand in the name of a file, and in a condition, as it is.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SCOPE: Final = re.compile(r"[A-Za-z0-9._:/-]+")
_TOLD: Final = {"X-Jot-Subject": "sub", "X-Jot-Client": "client_id", "X-Jot-Tenant": "tenant", "X-Jot-Scopes": "scope"}
# HAProxy reads no list and no object of a payload, but what stands in it (RFC 9449 s6.1, RFC 8705 s3.1).
_AUDIENCES_READ: Final = 4
_BINDINGS: Final = ("jkt", "x5t#S256")
_TOKEN: Final = "var(txn.jot_token)"


def print_haproxy(facts: GateFacts, wish: Wish) -> Printed:
    """A whole configuration, its keys, and the question; they name one another below `wish.folder`.

    Raises:
        ValueError: nobody is to be asked, and HAProxy cannot verify by one of the keys, or cannot look at a scope.
    """
    keys = [key for key in facts.keys if key.algorithm in _VERIFIES and _PLAIN.fullmatch(key.kid)]
    if wish.offline and len(keys) < len(facts.keys):
        raise ValueError("HAProxy verifies RS256 to ES512, by keys with plain names; a key here is not such a one")
    if wish.offline and not all(map(_SCOPE.fullmatch, facts.scopes)):
        raise ValueError("a scope that is asked for has signs that HAProxy's configuration takes for its own")
    text = "\n".join(_lines(facts, wish, keys)) + "\n"
    files = [PrintedFile("haproxy.cfg", text), *(PrintedFile(_file(key), key.pem) for key in keys)]
    if not wish.offline:
        files.append(PrintedFile("jotgate.lua", print_question(facts, _line(wish))))
    return Printed(tuple(files), "haproxy -c -f FILE, then start or reload it")


def _lines(facts: GateFacts, wish: Wish, keys: list[PublicKey]) -> Iterator[str]:
    upstream, listen = endpoint(wish.upstream), endpoint(wish.listen)
    yield "global"
    if not wish.offline:
        yield f'  lua-load "{wish.folder}/jotgate.lua"'
    yield ""
    yield "defaults"
    yield "  mode http"
    yield "  timeout connect 5s"
    yield "  timeout client 1m"
    yield "  timeout server 15m"
    yield "  timeout tunnel 1h"
    yield ""
    yield "frontend jotgate"
    yield f"  bind {listen.address}"
    yield "  # Some upstreams read '_' as '-'."
    yield "  option http-restrict-req-hdr-names delete"
    yield "  # What callers write of themselves."
    yield "  http-request del-header x-jot- -m beg"
    for name in ASKED_FIELDS:
        yield f"  http-request del-header {name}"
    yield "  # A field that Connection names need not be passed on, and so not what jotgate says."
    yield "  http-request deny status 400 if { req.hdr(connection) -m sub -i x-jot x_jot }"
    yield "  # A WebSocket passes, and no other upgrade: in a tunnel of HTTP nobody would decide."
    yield "  acl websocket req.fhdr(upgrade) -m str -i websocket"
    yield "  http-request del-header Upgrade unless { req.fhdr_cnt(upgrade) eq 1 } websocket"
    yield "  # Of two tokens, one would be judged and perhaps another read."
    yield "  http-request deny status 400 if { req.fhdr_cnt(authorization) gt 1 }"
    yield "  http-request set-var(txn.jot_token) http_auth_bearer"
    yield from _verifying(facts, wish, keys)
    if wish.offline:
        for field, claim in _TOLD.items():
            yield f"  http-request set-header {field} %[{_claim(claim)}]"
    else:
        yield "  http-request lua.jotgate"
    if not wish.keep_token:
        yield "  http-request del-header Authorization"
        yield "  http-request del-header DPoP"
    yield "  http-request set-header X-Forwarded-For %[src]"
    yield "  http-request set-header X-Forwarded-Host %[req.hdr(host)]"
    yield "  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"
    yield "  # Clocks that differ make good tokens expired: 'jotgate plane haproxy check' compares them."
    yield "  http-after-response set-header Date %[date(),http_date] unless { res.hdr(Date) -m found }"
    yield "  default_backend jotgate_protected"
    yield ""
    yield "backend jotgate_protected"
    yield f"  server protected {upstream.address}{_tls(upstream, wish.roots)}"
    if not wish.offline:
        gate = endpoint(facts.gate)
        yield ""
        yield "# The way to jotgate, for the question."
        yield "listen jotgate_gate"
        yield f"  bind {_line(wish)}"
        yield "  timeout server 15s"
        yield "  retries 1"
        yield f"  server gate {gate.address}{_tls(gate, wish.roots)}"


def _verifying(facts: GateFacts, wish: Wish, keys: list[PublicKey]) -> Iterator[str]:
    yield f"  http-request set-var(txn.jot_kid) {_header('kid')}"
    yield f"  http-request set-var(txn.jot_now) date(-{facts.leeway_s})"
    yield f"  http-request set-var(txn.jot_left) {_TOKEN},jwt_payload_query('$.exp','int'),sub(txn.jot_now)"
    for key in keys:
        verified = f'jwt_verify("{key.algorithm}","{wish.folder}/{_file(key)}")'
        yield f"  http-request set-var(txn.jot_good) {_TOKEN},{verified} if {{ var(txn.jot_kid) -m str {key.kid} }}"
    if wish.offline:
        yield from _judging(facts)
    elif keys:
        yield "  # What the key that it names has not signed, and what is over, is refused without asking."
        ours = f"{{ var(txn.jot_kid) -m str {' '.join(key.kid for key in keys)} }}"
        yield f"  {_INVALID} if {ours} !{{ var(txn.jot_good) -m int 1 }}"
        yield f"  {_INVALID} if {ours} {{ var(txn.jot_left) -m int le 0 }}"


def _judging(facts: GateFacts) -> Iterator[str]:
    """All that is looked at where nobody is asked."""
    yield f"  {_refuse(401, 'unauthorized', '')} unless {{ var(txn.jot_token) -m found }}"
    yield f"  {_INVALID} unless {{ var(txn.jot_good) -m int 1 }}"
    yield f"  {_INVALID} unless {{ var(txn.jot_left) -m int gt 0 }}"
    yield f"  {_INVALID} unless {{ {_header('typ')} -m str -i {ACCESS_TOKEN_TYPE} }}"
    yield f"  {_INVALID} unless {{ {_claim('iss')} -m str {facts.issuer} }}"
    names = " ".join(facts.audiences)
    places = ("aud", *(f"aud[{index}]" for index in range(_AUDIENCES_READ)))
    held = " || ".join(f"{{ {_claim(place)} -m str {names} }}" for place in places)
    yield f"  {_INVALID} unless {held}"
    yield "  # A token that is bound to a key would be taken from whoever has it."
    for member in _BINDINGS:
        yield f"  {_INVALID} if {{ {_claim(f'cnf.{member}')} -m len gt 0 }}"
    wanted = f', error=\\"insufficient_scope\\", scope=\\"{" ".join(facts.scopes)}\\"'
    for scope in facts.scopes:
        held = f"{{ {_claim('scope')} -m reg '(^| ){re.escape(scope)}( |$)' }}"
        yield f"  {_refuse(403, 'insufficient_scope', wanted)} unless {held}"


def _header(member: str) -> str:
    return f"{_TOKEN},jwt_header_query('$.{member}')"


def _claim(name: str) -> str:
    return f"{_TOKEN},jwt_payload_query('$.{name}')"


def _refuse(status: int, code: str, said: str) -> str:
    """The refusal with a challenge that says this, and the error object."""
    body = f'{{"error":{{"message":"This call needs a token that counts.","code":"{code}"}}}}'
    challenge = f'hdr WWW-Authenticate "Bearer realm=\\"jotgate\\"{said}"'
    return f"http-request return status {status} content-type application/json string '{body}' {challenge}"


_INVALID: Final = _refuse(401, "invalid_token", ', error=\\"invalid_token\\"')


def _line(wish: Wish) -> str:
    """An address that only programs of this machine reach, and no other configuration has."""
    return f"abns@jotgate-{endpoint(wish.listen).port}"


def _tls(upstream: Endpoint, roots: str) -> str:
    if not upstream.tls:
        return ""
    return f' ssl verify required ca-file "{roots or "@system-ca"}" sni str({upstream.host}) verifyhost {upstream.host}'


def _file(key: PublicKey) -> str:
    return f"{key.kid}{KEY_FILES}"

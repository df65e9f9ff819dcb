"""The configuration by which nginx asks jotgate: `auth_request`, and what gives a refused caller the status it was due.

nginx takes 401 and 403 of whoever it asks, and makes 500 of every other refusal. So jotgate answers it 403 with the
true status beside it, and a named location gives that to the caller.
"""

import json
from collections.abc import Iterator
from typing import Final

from jotgate.planes.facts import ASKED_FIELDS, Endpoint, GateFacts, Printed, PrintedFile, Wish, endpoint

_SYSTEM_ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"
_ASKED: Final = "/_jotgate"
# Fields that the question carries beside those that say what is asked about; all others stay away.
_SHOWN: Final = ("Authorization", "DPoP", "Origin", "Access-Control-Request-Method", "Traceparent", "X-Request-Id")
_TEXTS: Final = {
    "400": ("bad_request", "This request can be read in more than one way, or is none."),
    "401": ("unauthorized", "This call needs a token that counts; WWW-Authenticate says what is wrong."),
    "403": ("forbidden", "This call is not allowed; WWW-Authenticate says if a scope is missing."),
    "405": ("method_refused", "This path does not take the method; Allow says which it takes."),
    "429": ("too_many_requests", "This call is over a limit; Retry-After says when to try again."),
    "503": ("unavailable", "It cannot be known now whether this call may pass; try again."),
}


def print_nginx(facts: GateFacts, wish: Wish) -> Printed:
    """A file for the `http` block, such as one in conf.d/."""
    text = "\n".join(_lines(facts, endpoint(facts.gate), endpoint(wish.upstream), wish)) + "\n"
    return Printed(
        (PrintedFile("jotgate.conf", text),), "include FILE; in its http block, then nginx -t and nginx -s reload"
    )


def _lines(facts: GateFacts, gate: Endpoint, upstream: Endpoint, wish: Wish) -> Iterator[str]:
    yield f"upstream jotgate {{ server {gate.address}; keepalive 32; }}"
    yield f"upstream jotgate_protected {{ server {upstream.address}; keepalive 64; }}"
    yield ""
    yield "# A WebSocket passes, and no other upgrade: in a tunnel of HTTP nobody would decide. A Connection field that"
    yield "# names other fields does not pass."
    yield 'map $http_upgrade $jotgate_upgrade { default ""; websocket websocket; }'
    yield 'map $jotgate_upgrade $jotgate_connection { default upgrade; "" ""; }'
    yield ""
    yield "server {"
    yield f"  listen {endpoint(wish.listen).address};"
    yield "  client_max_body_size 32m;"
    yield "  # Some upstreams read '_' as '-'."
    yield "  underscores_in_headers off;"
    yield ""
    yield "  # Do not let `return`, `rewrite` or `if` answer here: nginx does what they say before it asks."
    yield "  location / {"
    yield f"    auth_request {_ASKED};"
    yield "    auth_request_set $jotgate_status $upstream_http_x_jot_status;"
    yield "    auth_request_set $jotgate_after $upstream_http_retry_after;"
    yield "    auth_request_set $jotgate_allow $upstream_http_allow;"
    yield "    auth_request_set $jotgate_challenge $upstream_http_www_authenticate;"
    for name in facts.identity:
        yield f"    auth_request_set {_variable(name)} $upstream_http_{_snake(name)};"
    yield "    error_page 401 = @jotgate_unknown;"
    yield "    error_page 403 = @jotgate_refused;"
    yield "    # 500 is what nginx makes of a question that nobody answered."
    yield "    error_page 500 = @jotgate_silent;"
    yield ""
    yield "    # These stand in the place of what a caller wrote there; an empty one is not sent."
    for name in facts.identity:
        yield f"    proxy_set_header {name} {_variable(name)};"
    if not wish.keep_token:
        yield '    proxy_set_header Authorization "";'
        yield '    proxy_set_header DPoP "";'
    for name in ASKED_FIELDS:
        yield f'    proxy_set_header {name} "";'
    yield "    proxy_set_header Host $http_host;"
    yield "    proxy_set_header X-Forwarded-Host $http_host;"
    yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "    proxy_set_header X-Forwarded-Proto $scheme;"
    yield "    proxy_set_header Upgrade $jotgate_upgrade;"
    yield "    proxy_set_header Connection $jotgate_connection;"
    yield "    proxy_http_version 1.1;"
    yield "    proxy_buffering off;"
    yield "    proxy_read_timeout 15m;"
    yield from _reached("jotgate_protected", upstream, wish.roots, "")
    yield "  }"
    yield ""
    yield from _question(facts, gate, wish)
    yield ""
    yield from _refusals()
    yield "}"


def _question(facts: GateFacts, gate: Endpoint, wish: Wish) -> Iterator[str]:
    yield f"  location = {_ASKED} {{"
    yield "    internal;"
    yield "    proxy_pass_request_body off;"
    yield "    proxy_pass_request_headers off;"
    for name in _SHOWN:
        yield f"    proxy_set_header {name} $http_{_snake(name)};"
    yield f'    proxy_set_header Host "{gate.address}";'
    yield '    proxy_set_header Content-Length "";'
    yield '    proxy_set_header Connection "";'
    yield "    proxy_set_header X-Original-Method $request_method;"
    yield "    proxy_set_header X-Original-Uri $request_uri;"
    yield "    proxy_set_header X-Original-Host $http_host;"
    yield "    proxy_set_header X-Forwarded-For $remote_addr;"
    yield "    proxy_set_header X-Forwarded-Proto $scheme;"
    yield "    proxy_http_version 1.1;"
    yield "    proxy_connect_timeout 2s;"
    yield "    proxy_read_timeout 15s;"
    yield from _reached("jotgate", gate, wish.roots, facts.nginx_path)
    yield "  }"


def _refusals() -> Iterator[str]:
    yield "  # Of a 401 nginx itself passes WWW-Authenticate on, and once is enough."
    yield from _location("jotgate_unknown", (), ("401",))
    yield ""
    told = ("WWW-Authenticate $jotgate_challenge", "Retry-After $jotgate_after", "Allow $jotgate_allow")
    yield from _location("jotgate_refused", told, ("400", "405", "429", "503", "403"))
    yield ""
    yield from _location("jotgate_silent", ("Retry-After 1",), ("503",))


def _location(name: str, fields: tuple[str, ...], statuses: tuple[str, ...]) -> Iterator[str]:
    """A named location that answers with the status that jotgate meant, or with the last of these."""
    yield f"  location @{name} {{"
    yield "    default_type application/json;"
    for field in (*fields, "Cache-Control no-store"):
        yield f"    add_header {field} always;"
    for status in statuses[:-1]:
        yield f"    if ($jotgate_status = {status}) {{ return {status} '{_body(status)}'; }}"
    yield f"    return {statuses[-1]} '{_body(statuses[-1])}';"
    yield "  }"


def _reached(name: str, whom: Endpoint, roots: str, path: str) -> Iterator[str]:
    """The lines by which a location passes on to a server of this name, and knows it for the one that is meant."""
    yield f"    proxy_pass {whom.scheme}://{name}{path};"
    if whom.tls:
        yield "    proxy_ssl_server_name on;"
        yield f"    proxy_ssl_name {whom.host};"
        yield "    proxy_ssl_verify on;"
        yield f'    proxy_ssl_trusted_certificate "{roots or _SYSTEM_ROOTS}";'


def _body(status: str) -> str:
    """The error object; nginx keeps of the answer that it was given no more than fields."""
    code, message = _TEXTS[status]
    return json.dumps({"error": {"message": message, "code": code}}, separators=(",", ":"))


def _variable(name: str) -> str:
    return f"$jotgate_{_snake(name).removeprefix('x_jot_')}"


def _snake(name: str) -> str:
    return name.lower().replace("-", "_")

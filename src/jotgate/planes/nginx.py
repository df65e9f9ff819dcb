"""The configuration by which nginx asks jotgate: `auth_request`, and what gives a refused caller the status it was due.

nginx takes 401 and 403 of whoever it asks, and makes 500 of every other refusal. So jotgate answers it 403 with the
true status beside it, and a named location gives that to the caller.
"""

import json
from collections.abc import Iterator
from typing import Final

from jotgate.planes.facts import Endpoint, Facts, Printed, PrintedFile, Wish, endpoint

_SYSTEM_ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"
_ASKED: Final = "/_jotgate"
# Fields that the question carries beside those that say what is asked about; all others stay away.
_SHOWN: Final = ("Authorization", "DPoP", "Origin", "Access-Control-Request-Method", "Traceparent")
_TEXTS: Final = {
    "429": "This call is over a quota; Retry-After says when to try again.",
    "503": "It cannot be decided now whether this call may pass; try again.",
    "403": "This call is not allowed.",
}


def print_nginx(facts: Facts, wish: Wish) -> Printed:
    """A file for the `http` block, such as one in conf.d/."""
    text = "\n".join(_lines(facts, endpoint(facts.gate), endpoint(wish.upstream), wish)) + "\n"
    return Printed(
        (PrintedFile("jotgate.conf", text),), "include FILE; in its http block, then nginx -t and nginx -s reload"
    )


def _lines(facts: Facts, gate: Endpoint, upstream: Endpoint, wish: Wish) -> Iterator[str]:
    yield f"upstream jotgate {{ server {gate.address}; keepalive 32; }}"
    yield f"upstream jotgate_protected {{ server {upstream.address}; keepalive 64; }}"
    yield ""
    yield "# A WebSocket passes; a Connection field that names other fields does not."
    yield 'map $http_upgrade $jotgate_connection { default upgrade; "" ""; }'
    yield ""
    yield "server {"
    yield f"  listen {_listen(endpoint(wish.listen))};"
    yield "  client_max_body_size 32m;"
    yield ""
    yield "  # Do not let `return`, `rewrite` or `if` answer here: nginx does what they say before it asks."
    yield "  location / {"
    yield f"    auth_request {_ASKED};"
    yield "    auth_request_set $jotgate_status $upstream_http_x_jot_status;"
    yield "    auth_request_set $jotgate_code $upstream_http_x_jot_code;"
    yield "    auth_request_set $jotgate_after $upstream_http_retry_after;"
    yield "    auth_request_set $jotgate_challenge $upstream_http_www_authenticate;"
    for name in facts.identity:
        yield f"    auth_request_set {_variable(name)} $upstream_http_{_snake(name)};"
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
    yield "    proxy_set_header Host $http_host;"
    yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "    proxy_set_header X-Forwarded-Proto $scheme;"
    yield "    proxy_set_header Upgrade $http_upgrade;"
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


def _question(facts: Facts, gate: Endpoint, wish: Wish) -> Iterator[str]:
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
    yield "  location @jotgate_refused {"
    yield "    default_type application/json;"
    yield "    add_header WWW-Authenticate $jotgate_challenge always;"
    yield "    add_header Retry-After $jotgate_after always;"
    yield "    add_header Cache-Control no-store always;"
    for status in ("429", "503"):
        yield f"    if ($jotgate_status = {status}) {{ return {status} '{_body(status)}'; }}"
    yield f"    return 403 '{_body('403')}';"
    yield "  }"
    yield ""
    yield "  location @jotgate_silent {"
    yield "    default_type application/json;"
    yield "    add_header Retry-After 1 always;"
    yield "    add_header Cache-Control no-store always;"
    yield f"    return 503 '{_body('503', 'control_unavailable')}';"
    yield "  }"


def _reached(name: str, whom: Endpoint, roots: str, path: str) -> Iterator[str]:
    """The lines by which a location passes on to a server of this name, and knows it for the one that is meant."""
    yield f"    proxy_pass {whom.scheme}://{name}{path};"
    if whom.tls:
        yield "    proxy_ssl_server_name on;"
        yield f"    proxy_ssl_name {whom.host};"
        yield "    proxy_ssl_verify on;"
        yield f'    proxy_ssl_trusted_certificate "{roots or _SYSTEM_ROOTS}";'


def _body(status: str, code: str = "$jotgate_code") -> str:
    return json.dumps({"error": {"message": _TEXTS[status], "code": code}}, separators=(",", ":"))


def _listen(where: Endpoint) -> str:
    return where.address


def _variable(name: str) -> str:
    return f"$jotgate_{_snake(name).removeprefix('x_jot_')}"


def _snake(name: str) -> str:
    return name.lower().replace("-", "_")

"""The configuration by which Caddy asks jotgate: `forward_auth`, in the order in which it is written.

Outside of `route` Caddy sorts directives, and would take out what callers wrote after it has put in what jotgate said.
"""

from collections.abc import Iterator
from typing import Final

from jotgate.planes.facts import ASKED_FIELDS, Endpoint, GateFacts, Printed, PrintedFile, Wish, endpoint

# Fields that no caller may write: those of other proxies' questions, and those that tell of a certificate.
_UNASKED: Final = ("Forwarded", "Client-Cert", "X-SSL-Client-Cert", "Cookie")
_UNDERSCORED: Final = ("x_forwarded*", "x-forwarded_*", "x_original*", "x-original_*")


def print_caddy(facts: GateFacts, wish: Wish) -> Printed:
    """A site for a Caddyfile."""
    text = "\n".join(_lines(facts, endpoint(facts.gate), endpoint(wish.upstream), wish)) + "\n"
    return Printed((PrintedFile("Caddyfile", text),), "caddy run --config FILE --adapter caddyfile")


def _lines(facts: GateFacts, gate: Endpoint, upstream: Endpoint, wish: Wish) -> Iterator[str]:
    listen = endpoint(wish.listen)
    yield f"http://:{listen.port} {{"
    yield f"\tbind {listen.host}"
    yield "\troute {"
    yield "\t\t# What callers write of themselves; some upstreams read '_' as '-'."
    for name in ("x-jot-*", "x_jot_*", "x-jot_*", "x_jot-*"):
        yield f"\t\trequest_header -{name}"
    yield "\t\t# What a question says, and what upstreams may take for what Caddy says."
    for name in (*ASKED_FIELDS, *_UNDERSCORED):
        yield f"\t\trequest_header -{name}"
    yield "\t\t# A field that Connection names would not be passed on, and so not what jotgate says."
    yield "\t\t@unsaid header_regexp Connection (?i)x[-_]jot"
    yield "\t\trespond @unsaid 400"
    yield "\t\t# A WebSocket passes, and no other upgrade: in a tunnel of HTTP nobody would decide."
    yield "\t\t@socket header_regexp Upgrade (?i)^websocket$"
    yield "\t\trequest_header @socket Upgrade websocket"
    yield "\t\t@other not header_regexp Upgrade (?i)^websocket$"
    yield "\t\trequest_header @other -Upgrade"
    yield ""
    yield f"\t\tforward_auth {gate.origin} {{"
    yield "\t\t\t# Without the '?' it would ask with the caller's query, which says what is asked about."
    yield f"\t\t\turi {facts.forward_path}?"
    for name in _UNASKED:
        yield f"\t\t\theader_up -{name}"
    yield f"\t\t\tcopy_headers {' '.join(facts.identity)}"
    yield from _reached(gate, wish.roots)
    yield "\t\t}"
    yield f"\t\treverse_proxy {upstream.origin} {{"
    if not wish.keep_token:
        yield "\t\t\theader_up -Authorization"
        yield "\t\t\theader_up -DPoP"
    yield "\t\t\tflush_interval -1"
    yield from _reached(upstream, wish.roots)
    yield "\t\t}"
    yield "\t}"
    yield "}"


def _reached(whom: Endpoint, roots: str) -> Iterator[str]:
    if whom.tls and roots:
        yield "\t\t\ttransport http {"
        yield f'\t\t\t\ttls_trust_pool file "{roots}"'
        yield "\t\t\t}"

"""The configuration by which Traefik asks jotgate: ForwardAuth, for its file provider."""

from typing import Final

from jotgate.planes.facts import Endpoint, GateFacts, Printed, PrintedFile, Wish, endpoint
from jotgate.planes.yaml import Value, to_yaml

# All that is sent with the question beside what Traefik itself says of the request.
_SHOWN: Final = ("Authorization", "DPoP", "Origin", "Access-Control-Request-Method", "Traceparent", "X-Request-Id")
_WRITTEN: Final = (
    r"(?i)^x([-_]jot[-_]|[-_]original[-_](method|uri|host)$|-forwarded-(method|uri)$|_forwarded[-_]|-forwarded_)"
)
"""Fields that match are taken out of the request, and those that match of the answer put in: who calls. Of the others,
which an answer has not, a caller could say what a question says, or what Traefik does; some upstreams read '_' as '-'.
"""
_SOCKET: Final = "PathPrefix(`/`) && HeaderRegexp(`Upgrade`, `(?i)^websocket$`)"
"""A WebSocket passes, and no other upgrade: in a tunnel of HTTP nobody would decide. One of several Upgrade fields is
enough to match, so it is written anew."""


def print_traefik(facts: GateFacts, wish: Wish) -> Printed:
    """A file for the file provider; its entry point is called `jotgate`."""
    gate, upstream = endpoint(facts.gate), endpoint(wish.upstream)
    asking: dict[str, Value] = {
        "address": f"{gate.origin}{facts.forward_path}",
        "trustForwardHeader": False,
        "authRequestHeaders": _SHOWN,
        "authResponseHeadersRegex": _WRITTEN,
    }
    if gate.tls and wish.roots:
        asking["tls"] = {"ca": wish.roots}
    http: dict[str, Value] = {
        "routers": {
            "jotgate": _router("PathPrefix(`/`)", 1, "jotgate-send"),
            "jotgate-socket": _router(_SOCKET, 2, "jotgate-send-socket"),
        },
        "middlewares": {
            "jotgate-ask": {"forwardAuth": asking},
            "jotgate-send": _sending(wish, ""),
            "jotgate-send-socket": _sending(wish, "websocket"),
        },
        "services": {"jotgate-protected": {"loadBalancer": _balancer(upstream, wish.roots)}},
    }
    if upstream.tls and wish.roots:
        http["serversTransports"] = {"jotgate-protected": {"rootCAs": [wish.roots]}}
    start = f"traefik --entryPoints.jotgate.address={endpoint(wish.listen).address} --providers.file.filename=FILE"
    return Printed((PrintedFile("jotgate.yml", to_yaml({"http": http})),), start)


def _router(rule: str, priority: int, sending: str) -> dict[str, Value]:
    return {
        "entryPoints": ["jotgate"],
        "rule": rule,
        "priority": priority,
        "middlewares": ["jotgate-ask", sending],
        "service": "jotgate-protected",
    }


def _sending(wish: Wish, upgrade: str) -> Value:
    """What is put in the place of the caller's own fields; an empty one is not sent."""
    hidden = {} if wish.keep_token else {"Authorization": "", "DPoP": ""}
    return {"headers": {"customRequestHeaders": {**hidden, "Upgrade": upgrade}}}


def _balancer(upstream: Endpoint, roots: str) -> dict[str, Value]:
    balancer: dict[str, Value] = {
        "servers": [{"url": upstream.origin}],
        "passHostHeader": True,
        "responseForwarding": {"flushInterval": "1ms"},
    }
    if upstream.tls and roots:
        balancer["serversTransport"] = "jotgate-protected"
    return balancer

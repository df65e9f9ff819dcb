"""The configuration by which Envoy asks jotgate: `ext_authz`, and by wish its own filter of tokens on our key set."""

from typing import Final

from jotgate.planes.envoy_tokens import token_filters
from jotgate.planes.facts import ASKED_FIELDS, Endpoint, GateFacts, Printed, PrintedFile, Wish, endpoint
from jotgate.planes.yaml import Value, to_yaml

Table = dict[str, Value]

_API: Final = "type.googleapis.com/envoy"
_SHOWN: Final = (
    "authorization",
    "dpop",
    "origin",
    "access-control-request-method",
    "traceparent",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
)
_SAID: Final = (*ASKED_FIELDS, "X-Forwarded-Host")
_TOLD: Final = ("www-authenticate", "retry-after", "content-type", "cache-control", "link", "allow", "x-request-id")
_PROTOCOL: Final = "extensions.upstreams.http.v3.HttpProtocolOptions"
_ASK_TIMEOUT: Final = "15s"
_SYSTEM_ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"
_GATE: Final = "jotgate"
_GRPC: Final = "jotgate_grpc"
_PROTECTED: Final = "jotgate_protected"


def print_envoy(facts: GateFacts, wish: Wish) -> Printed:
    """A whole configuration, with one listener."""
    gate, upstream = endpoint(facts.gate), endpoint(wish.upstream)
    clusters = [_cluster(_PROTECTED, upstream, wish)]
    if wish.jwt or wish.offline or not wish.grpc:
        clusters.append(_cluster(_GATE, gate, wish))
    if wish.grpc:
        clusters.append(_cluster(_GRPC, endpoint(facts.grpc), wish, http2=True))
    document: Table = {"static_resources": {"listeners": [_listener(facts, wish)], "clusters": clusters}}
    return Printed((PrintedFile("envoy.yaml", to_yaml(document)),), "envoy -c FILE")


def typed(name: str, kind: str, content: Table) -> Table:
    """An extension with its configuration."""
    return {"name": name, "typed_config": {"@type": f"{_API}.{kind}", **content}}


def _listener(facts: GateFacts, wish: Wish) -> Table:
    where = endpoint(wish.listen)
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        _manager(facts, wish),
    )
    return {"name": _GATE, "address": _address(where), "filter_chains": [{"filters": [manager]}]}


def _manager(facts: GateFacts, wish: Wish) -> Table:
    filters: list[Table] = []
    if wish.jwt or wish.offline:
        filters += token_filters(facts, _GATE, offline=wish.offline)
    if not wish.offline:
        filters.append(_question(facts, wish))
    filters.append(_extension("router", "Router"))
    return {
        "stat_prefix": "jotgate",
        "use_remote_address": True,
        # What is decided about is what is passed on, and an upstream reads it as jotgate does.
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        # Some upstreams read '_' as '-'.
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        # What callers write of themselves is taken out before any filter sees it.
        "early_header_mutation_extensions": [
            typed(
                "envoy.http.early_header_mutation.header_mutation",
                "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                {"mutations": [{"remove": name.lower()} for name in (*facts.identity, *_SAID)]},
            )
        ],
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "stream_idle_timeout": "900s",
        "route_config": {"virtual_hosts": [_hosts(wish)]},
        "local_reply_config": {"mappers": [_come_again()]},
        "http_filters": filters,
    }


def _hosts(wish: Wish) -> Table:
    hosts: Table = {
        "name": _PROTECTED,
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": _PROTECTED, "timeout": "0s"}}],
    }
    if not wish.keep_token:
        # Taken out by the router, which comes after all filters.
        hosts["request_headers_to_remove"] = ["authorization", "dpop"]
    return hosts


def _come_again() -> Table:
    """503 is what `status_on_error` makes of every 5xx and of silence; it says when to come again."""
    of_status: Table = {"comparison": {"op": "EQ", "value": {"default_value": 503, "runtime_key": "jotgate.silent"}}}
    of_question: Table = {"response_flag_filter": {"flags": ["UAEX"]}}
    both: Table = {"filters": [{"status_code_filter": of_status}, of_question]}
    field: Table = {"header": {"key": "retry-after", "value": "1"}, "append_action": "ADD_IF_ABSENT"}
    return {"filter": {"and_filter": both}, "headers_to_add": [field]}


def _question(facts: GateFacts, wish: Wish) -> Table:
    content: Table = {
        "transport_api_version": "V3",
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "allowed_headers": _patterns(*_SHOWN),
    }
    if wish.grpc:
        content["grpc_service"] = {"envoy_grpc": {"cluster_name": _GRPC}, "timeout": _ASK_TIMEOUT}
    else:
        content["http_service"] = {
            "server_uri": {"uri": endpoint(facts.gate).origin, "cluster": _GATE, "timeout": _ASK_TIMEOUT},
            "path_prefix": facts.prefix,
            "authorization_response": {
                "allowed_upstream_headers": _patterns(*(name.lower() for name in facts.identity)),
                "allowed_client_headers": _patterns(*_TOLD),
            },
        }
    return _extension("ext_authz", "ExtAuthz", content)


def _patterns(*names: str) -> Table:
    return {"patterns": [{"exact": name} for name in names]}


def _extension(name: str, kind: str, content: Table | None = None) -> Table:
    return typed(f"envoy.filters.http.{name}", f"extensions.filters.http.{name}.v3.{kind}", content or {})


def _cluster(name: str, where: Endpoint, wish: Wish, *, http2: bool = False) -> Table:
    cluster: Table = {
        "name": name,
        "type": "STRICT_DNS" if where.is_named else "STATIC",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(where)}}]}],
        },
    }
    # Shorter than jotgate keeps a connection that nobody uses, so that no question meets one that is being closed.
    cluster["typed_extension_protocol_options"] = {
        f"envoy.{_PROTOCOL}": {
            "@type": f"{_API}.{_PROTOCOL}",
            "common_http_protocol_options": {"idle_timeout": "60s"},
            "explicit_http_config": {"http2_protocol_options" if http2 else "http_protocol_options": {}},
        }
    }
    if where.tls:
        cluster["transport_socket"] = _tls(where, wish.roots or _SYSTEM_ROOTS)
    return cluster


def _tls(where: Endpoint, roots: str) -> Table:
    """TLS to a server that shows a certificate of this host; Envoy would take one of any."""
    named: Table = {"san_type": "DNS" if where.is_named else "IP_ADDRESS", "matcher": {"exact": where.host}}
    validation: Table = {"trusted_ca": {"filename": roots}, "match_typed_subject_alt_names": [named]}
    content: Table = {"common_tls_context": {"validation_context": validation}}
    if where.is_named:
        content["sni"] = where.host
    return typed("envoy.transport_sockets.tls", "extensions.transport_sockets.tls.v3.UpstreamTlsContext", content)


def _address(where: Endpoint) -> Table:
    return {"socket_address": {"address": where.host, "port_value": where.port}}

"""Envoy's own filter of tokens on our key set, and what it does not look at by itself: `typ`, `cnf` and scopes.

What the filter has verified it tells in metadata, by which a filter of rights refuses tokens of another type, and those
that are bound to a key: it would take them from whoever has them. Where Envoy asks nobody, it looks at scopes too.
"""

from typing import Final

from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.planes.facts import GateFacts, endpoint
from jotgate.planes.yaml import Value

_Table = dict[str, Value]

_HEADER: Final = "header"
_PAYLOAD: Final = "payload"
_SCOPE: Final = "scope"
_HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http"
_FILTER: Final = "envoy.filters.http.jwt_authn"
_NAME: Final = "jotgate"
_TOLD: Final = {"X-Jot-Subject": "sub", "X-Jot-Client": "client_id", "X-Jot-Tenant": "tenant", "X-Jot-Scopes": "scope"}


def token_filters(facts: GateFacts, cluster: str, *, offline: bool) -> list[_Table]:
    """The filters, in their order; keys are fetched from jotgate's cluster. `offline`: nobody is asked after them."""
    return [_verifies(facts, cluster), _refuses(facts.scopes if offline else ())]


def _verifies(facts: GateFacts, cluster: str) -> _Table:
    provider: _Table = {
        "issuer": facts.issuer,
        "audiences": facts.audiences,
        "remote_jwks": {
            "http_uri": {"uri": f"{endpoint(facts.gate).origin}{facts.jwks_path}", "cluster": cluster, "timeout": "5s"},
            "cache_duration": "60s",
            "async_fetch": {"failed_refetch_duration": "1s"},
        },
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": facts.leeway_s,
        "header_in_metadata": _HEADER,
        "payload_in_metadata": _PAYLOAD,
        "normalize_payload_in_metadata": {"space_delimited_claims": [_SCOPE]},
        "claim_to_headers": [{"header_name": field.lower(), "claim_name": claim} for field, claim in _TOLD.items()],
    }
    rule: _Table = {"match": {"prefix": "/"}, "requires": {"provider_name": _NAME}}
    content: _Table = {"providers": {_NAME: provider}, "rules": [rule]}
    return _typed(_FILTER, "jwt_authn.v3.JwtAuthentication", content)


def _refuses(scopes: tuple[str, ...]) -> _Table:
    is_ours = _told(_HEADER, "typ", {"string_match": {"exact": ACCESS_TOKEN_TYPE}})
    is_bound = _told(_PAYLOAD, "cnf", {"present_match": True})
    wrong: list[Value] = [{"not_rule": is_ours}, is_bound]
    for scope in scopes:
        wrong.append(
            {"not_rule": _told(_PAYLOAD, _SCOPE, {"list_match": {"one_of": {"string_match": {"exact": scope}}}})}
        )
    policy: _Table = {"permissions": [{"or_rules": {"rules": wrong}}], "principals": [{"any": True}]}
    return _typed("envoy.filters.http.rbac", "rbac.v3.RBAC", {"rules": {"action": "DENY", "policies": {_NAME: policy}}})


def _told(part: str, member: str, value: _Table) -> _Table:
    matcher: _Table = {"filter": _FILTER, "path": [{"key": part}, {"key": member}], "value": value}
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _typed(name: str, kind: str, content: _Table) -> _Table:
    return {"name": name, "typed_config": {"@type": f"{_HTTP}.{kind}", **content}}

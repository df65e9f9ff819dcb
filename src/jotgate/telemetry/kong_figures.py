"""The series of the Kong auth service, by the names that its dashboards know. None of them names a user.

Requests are counted by the workers, as all are; what is done for them, by control. docs/systems/kong-auth.md has the
same list.
"""

from collections.abc import Iterator
from typing import Final

from jotgate.codes import Code
from jotgate.core.figures import Row
from jotgate.core.kong_credentials import CredentialCounts
from jotgate.core.operations import KONG_OPERATIONS
from jotgate.services.kong_counts import KongCounts
from jotgate.telemetry.census import Census
from jotgate.telemetry.exposition import Family, Histogram, HistogramFamily, Labels, add_histograms, sum_samples, write

_ENDPOINTS: Final = {one.name: (one.method.decode("ascii"), one.path.decode("ascii")) for one in KONG_OPERATIONS}
_BELOW: Final = {"/my-tokens/": "/my-tokens/{jwt_id}"}
_UNAUTHENTICATED: Final = frozenset(
    {
        Code.TOKEN_MISSING,
        Code.TOKEN_MALFORMED,
        Code.TOKEN_ENCRYPTED,
        Code.ALGORITHM_REFUSED,
        Code.KEY_UNKNOWN,
        Code.KEY_AMBIGUOUS,
        Code.SIGNATURE_INVALID,
        Code.CLAIM_REFUSED,
        Code.TOKEN_EXPIRED,
        Code.TOKEN_IMMATURE,
        Code.TOKEN_REVOKED,
        Code.TOKEN_UNKNOWN,
        Code.TOKEN_BOUND,
        Code.PROOF_REFUSED,
        Code.PROOF_NONCE_WANTED,
    }
)
"""The codes of who did not prove to be anybody."""
_UNKNOWN: Final = frozenset({Code.ISSUER_UNAVAILABLE, Code.NOT_READY})
"""The codes of when Casdoor's keys, or its settings, are not there: neither a success nor a failure of the user."""

_REFUSED: Final = 4
"""The first digit of the least status of a refusal."""


def expose_kong(census: Census, counts: KongCounts, held: CredentialCounts) -> bytes:
    """The body of GET /metrics at the face."""
    rows = [row for row in census.counts().rows if row.label.operation in _ENDPOINTS]
    families = [*_requests(rows), *_authentications(rows), *_done(counts), *_asked(counts), *_standing(held)]
    return write(families).encode("utf-8")


def _requests(rows: list[Row]) -> Iterator[Family | HistogramFamily]:
    yield Family(
        "kong_auth_request_count_total",
        "counter",
        "Requests that have ended, by method, endpoint and class of status.",
        sum_samples(({**_place(row), "status_code": f"{row.label.status}xx"}, row.count) for row in rows),
    )
    yield HistogramFamily(
        "kong_auth_request_duration_seconds",
        "From a request's head to its end.",
        add_histograms((_place(row), Histogram(row.total, row.total_us)) for row in rows),
    )
    yield Family(
        "kong_auth_errors_total",
        "counter",
        "Requests that were told no, or failed, by error code, or class of status where control has told it.",
        sum_samples(
            ({**_place(row), "error_type": row.label.code or f"{row.label.status}xx"}, row.count)
            for row in rows
            if row.label.status >= _REFUSED
        ),
    )


def _authentications(rows: list[Row]) -> Iterator[Family]:
    failed = [row for row in rows if row.label.code in _UNAUTHENTICATED]
    unknown = sum(row.count for row in rows if row.label.code in _UNKNOWN)
    failures = sum(row.count for row in failed)
    proved = sum(row.count for row in rows) - failures - unknown
    method: Labels = {"method": "casdoor"}
    by_type = [({"error_type": row.label.code}, row.count) for row in failed]
    good, bad = "Requests with a good access token of Casdoor.", "Requests without one, by error code."
    yield Family("kong_auth_authentication_success_total", "counter", good, [(method, proved)])
    yield Family(
        "kong_auth_authentication_failure_total",
        "counter",
        bad,
        sum_samples(({**method, **labels}, count) for labels, count in by_type),
    )
    yield Family("kong_auth_casdoor_auth_success_total", "counter", good, [({}, proved)])
    yield Family("kong_auth_casdoor_auth_failure_total", "counter", bad, sum_samples(by_type))
    yield Family(
        "kong_auth_jwt_tokens_validated_total",
        "counter",
        "Access tokens of Casdoor that were looked at.",
        [({"status": "valid"}, proved), ({"status": "invalid"}, failures)],
    )


def _done(counts: KongCounts) -> Iterator[Family]:
    yield Family(
        "kong_auth_jwt_tokens_generated_total",
        "counter",
        "Tokens that were handed out: custom, auto or operator, by the endpoint that made them.",
        [({"token_type": kind}, count) for kind, count in sorted(counts.tokens.items())],
    )
    yield Family(
        "kong_auth_jwt_tokens_refused_total",
        "counter",
        "Requests for tokens that Casdoor, asked about their user, said no to, or nothing, by error code.",
        [({"error_type": code}, count) for code, count in sorted(counts.refused.items())],
    )
    yield Family(
        "kong_auth_jwt_tokens_deleted_total",
        "counter",
        "Tokens that their users, or admins, have deleted.",
        [({}, counts.deleted)],
    )
    yield Family(
        "kong_auth_consumer_created_total",
        "counter",
        "Consumers that were created at Kong.",
        [({}, counts.consumers)],
    )


def _asked(counts: KongCounts) -> Iterator[Family | HistogramFamily]:
    yield Family(
        "kong_auth_kong_api_calls_total",
        "counter",
        "What was asked of Kong's Admin API, by what it is about, method and outcome: ok, or an error code.",
        [
            ({"endpoint": endpoint, "method": method, "status": status}, count)
            for (endpoint, method, status), count in sorted(counts.calls.items())
        ],
    )
    yield HistogramFamily(
        "kong_auth_kong_api_duration_seconds",
        "How long Kong's Admin API took, by what it was asked about, and method.",
        [
            ({"endpoint": endpoint, "method": method}, Histogram(tuple(spans.buckets), spans.sum_us))
            for (endpoint, method), spans in sorted(counts.spans.items())
        ],
    )


def _standing(held: CredentialCounts) -> Iterator[Family]:
    yield Family("kong_auth_active_tokens", "gauge", "Tokens that Kong takes, of this store.", [({}, held.tokens)])
    yield Family("kong_auth_active_consumers", "gauge", "Consumers that have such a token.", [({}, held.consumers)])


def _place(row: Row) -> dict[str, str]:
    method, path = _ENDPOINTS[row.label.operation]
    return {"method": method, "endpoint": _BELOW.get(path, path)}

"""The figures of the Kong auth service: the names of its dashboards, the sums that were counted, and no user's name."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.audit import CallRecord, Outcome
from jotgate.core.figures import Gauges
from jotgate.core.kong_credentials import CredentialCounts
from jotgate.errors import KongUnavailable
from jotgate.services.kong_counts import CountedGate, KongCounts
from jotgate.services.tally import Tally
from jotgate.telemetry.census import Census
from jotgate.telemetry.kong_figures import expose_kong
from jotgate.testing.ports import ManualClock
from tests.exposition import Exposition, read_exposition
from tests.kong_stage import kong_stage
from tests.loops import on_loop

HELD: Final = CredentialCounts(tokens=3, consumers=2)
_ENDED: Final = CallRecord(at=0, worker="w", row=1, operation="", status=0, outcome="complete", duration_us=2_000)


def read(counts: KongCounts, *ended: tuple[str, int, str]) -> Exposition:
    """What is told when requests for these operations have ended with these statuses and codes."""
    tally = Tally()
    for operation, status, code in ended:
        outcome: Outcome = "refused" if code else "complete"
        record = replace(_ENDED, operation=operation, status=status, code=code, outcome=outcome, subject="alice")
        tally.settled(record)
    census = Census(ManualClock())
    census.greeted(0, "w")
    census.took("w", tally.counts([]), Gauges())
    body = expose_kong(census, counts, HELD).decode()
    assert "alice" not in body
    return read_exposition(body)


def test_requests_are_counted_by_endpoint_and_class_of_status() -> None:
    found = read(
        KongCounts(),
        ("kong.tokens.create", 200, ""),
        ("kong.tokens.create", 200, ""),
        ("kong.tokens.create", 409, ""),
        ("kong.tokens.delete", 401, "token_missing"),
        ("chat.completions", 200, ""),
    )
    create = {"method": "POST", "endpoint": "/generate-token-auto"}
    assert found.value("kong_auth_request_count_total", status_code="2xx", **create) == 2
    assert found.total("kong_auth_request_count_total") == 4, "of other faces none"
    assert found.value("kong_auth_request_duration_seconds_count", **create) == 3
    assert found.value("kong_auth_errors_total", error_type="4xx", **create) == 1
    delete = {"method": "DELETE", "endpoint": "/my-tokens/{jwt_id}"}
    assert found.value("kong_auth_errors_total", error_type="token_missing", **delete) == 1


def test_who_has_no_good_token_is_counted_by_why() -> None:
    found = read(
        KongCounts(),
        ("kong.me", 200, ""),
        ("kong.me", 403, "policy_denied"),
        ("kong.me", 401, "claim_refused"),
        ("kong.consumers", 401, "claim_refused"),
        ("kong.me", 503, "issuer_unavailable"),
    )
    assert found.value("kong_auth_authentication_success_total", method="casdoor") == 2
    assert found.value("kong_auth_authentication_failure_total", method="casdoor", error_type="claim_refused") == 2
    assert found.value("kong_auth_casdoor_auth_success_total") == 2
    assert found.value("kong_auth_casdoor_auth_failure_total", error_type="claim_refused") == 2
    assert found.value("kong_auth_jwt_tokens_validated_total", status="valid") == 2
    assert found.value("kong_auth_jwt_tokens_validated_total", status="invalid") == 2


@on_loop
async def test_what_was_done_and_asked_of_kong_is_counted() -> None:
    counts = KongCounts()
    counts.tokens["auto"] += 1
    counts.refused["token_revoked"] += 2
    counts.deleted, counts.consumers = 4, 5
    async with kong_stage() as stage:
        gate = CountedGate(stage.gate, counts, stage.clock)
        await gate.delete_credential("6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d")

        async def fail() -> None:
            stage.clock.advance(0.5)
            raise KongUnavailable("it is gone")

        with pytest.raises(KongUnavailable):
            await gate.counted("consumers", "GET", fail)
    found = read(counts)
    assert found.value("kong_auth_kong_api_calls_total", endpoint="jwt", method="DELETE", status="ok") == 1
    listing = {"endpoint": "consumers", "method": "GET"}
    assert found.value("kong_auth_kong_api_calls_total", status="kong_unavailable", **listing) == 1
    assert found.value("kong_auth_kong_api_duration_seconds_sum", **listing) == 0.5
    assert found.value("kong_auth_jwt_tokens_generated_total", token_type="auto") == 1
    assert found.value("kong_auth_jwt_tokens_refused_total", error_type="token_revoked") == 2
    assert found.value("kong_auth_jwt_tokens_deleted_total") == 4
    assert found.value("kong_auth_consumer_created_total") == 5
    assert (found.value("kong_auth_active_tokens"), found.value("kong_auth_active_consumers")) == (3, 2)

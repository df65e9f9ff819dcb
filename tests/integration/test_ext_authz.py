"""A real Envoy whose ext_authz filter asks over gRPC, as `jotgate plane envoy print --grpc` has it."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import grpc
import pytest

from bench.server import free_port
from jotgate.core.ext_authz import METHOD
from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import generate
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import until
from tests.integration.exchanges import Answer
from tests.planes import CONFIGURATION, Plane, PlaneStage, plane_stage
from tests.token_stage import claims_of

AUDIENCE: Final = "https://upstream.example"
SPOOFED: Final = {"X-Jot-Subject": "root", "x-jot-roles": "admin", "X-JOT-IDENTITY": "forged", "X_Jot_Subject": "root"}


@pytest.fixture(scope="module")
def address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def stage(address: str) -> Iterator[PlaneStage]:
    more = f'[decisions]\ngrpc = "{address}"\nidentity_audience = "{AUDIENCE}"'
    with plane_stage(CONFIGURATION.replace("[decisions]", more, 1)) as found:
        yield found


@pytest.fixture(scope="module")
def plane(stage: PlaneStage) -> Plane:
    return stage.start("envoy", "--grpc")


@pytest.fixture(scope="module")
def good(stage: PlaneStage) -> str:
    return stage.token()


def challenge(answer: Answer) -> str:
    (found,) = answer.all("www-authenticate")
    return found


def test_a_good_token_passes_and_the_upstream_is_told_who_calls(stage: PlaneStage, plane: Plane, good: str) -> None:
    answer = plane(good, fields=SPOOFED)
    assert (answer.status, answer.json) == (200, {"here": True})
    seen = stage.upstream.requests[-1]
    assert seen.target == "/v1/things?a=b"
    told = {name: value for name, value in seen.headers.items() if name.replace("_", "-").startswith("x-jot-")}
    identity = told.pop("x-jot-identity")
    assert {name: value for name, value in told.items() if value} == {
        "x-jot-subject": "ann",
        "x-jot-client": "jotgate-cli",
        "x-jot-scopes": "decide",
        "x-jot-issuer": stage.gateway.url,
    }
    header, claims = peek_unverified(identity.encode())
    assert (header["typ"], claims["aud"], claims["sub"]) == ("jot-identity+jwt", AUDIENCE, "ann")


def test_who_may_not_pass_is_told_what_is_wanted(stage: PlaneStage, plane: Plane, good: str) -> None:
    before = len(stage.upstream.requests)
    nobody = plane()
    assert (nobody.status, challenge(nobody)) == (401, 'Bearer realm="jotgate"')
    bad = plane(f"{good[:-8]}AAAAAAAA")
    assert (bad.status, bad.json["error"]["code"]) == (401, "signature_invalid")
    refused = plane(good, "/reports/2026")
    assert refused.status == 403
    assert 'error="insufficient_scope"' in challenge(refused)
    silent = TestIssuer(generate("ES256"), "https://silent.example", "any", time.time()).token().decode()
    unknown = plane(silent)
    assert unknown.status == 503
    assert int(unknown.all("retry-after")[0]) > 0
    assert len(stage.upstream.requests) == before


def test_a_quota_of_requests_lets_no_more_pass(stage: PlaneStage, plane: Plane) -> None:
    token = stage.token("--max-requests", "3", subject="spender")
    assert Counter(plane(token).status for _ in range(5)) == {200: 3, 429: 2}


def test_a_revoked_token_is_refused_within_a_second(stage: PlaneStage, plane: Plane) -> None:
    token = stage.token(subject="leaver")
    assert plane(token).status == 200
    stage.revoke(str(claims_of(token)["jti"]))
    until(lambda: plane(token).status == 401, "the revoked token is refused", 1.0)


def test_what_is_no_question_is_refused_and_the_worker_goes_on(plane: Plane, address: str, good: str) -> None:
    with grpc.insecure_channel(address) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        for message in (b"", b"\xff" * 40, b"\x0a\x02\x22\x00"):
            assert b"\x08\x90\x03" in check(message, timeout=5), "400, as Envoy is told it"
        other: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.RpcError) as refused:
            other(b"", timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert plane(good).status == 200

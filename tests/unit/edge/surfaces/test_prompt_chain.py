"""The surface of the prompt-chaining API: what is open, what every answer says, what is refused and in which words."""

import json

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.edge import Edge
from jotgate.core.faces import Face
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer, SharedSecret
from jotgate.core.prompt_chain import PROMPT_CHAIN, Pages, PromptChainRules
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.core.values import Secret
from jotgate.edge.surfaces.prompt_chain import PromptChainSurface
from jotgate.errors import BodyTooLarge, JotgateError
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import Place, build_world
from jotgate.sdk.generate_jwt import generate_token
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedPort, at_once
from tests.callers import issuer_of, make_issuer, request

SECRET = "a-secret-of-the-test-0123456789-abcdefghij"
PROFILE = PROFILES[PROMPT_CHAIN]
ISSUER = Issuer(
    name=PROMPT_CHAIN,
    issuer="",
    audiences=(),
    algorithms=("HS256",),
    types=PROFILE.types,
    jwks=None,
    secrets=(SharedSecret(Secret(SECRET), "HS256"),),
    required=PROFILE.required,
    default_scopes=PROFILE.default_scopes,
    mapping=PROFILE.mapping,
)
FACE = Face(
    name=PROMPT_CHAIN,
    listen=("127.0.0.1", 8000),
    issuers=(ISSUER,),
    rules=PromptChainRules(),
    routes=(Route("prompt-chaining", (Attempt("one", "real"),)),),
)
MISSING = replace(FACE, missing=("ANTHROPIC_API_KEY is not set",))
MINE = generate_token(SECRET).encode()


class House:
    """The surface of a face, with a gateway whose upstream answers by hand."""

    def __init__(self, face: Face = FACE) -> None:
        self.clock = ManualClock()
        self.trail = MemoryTrail()
        self.upstream = ScriptedPort()
        self.gateway = Gateway(
            clock=self.clock,
            recorder=CallRecorder(clock=self.clock, trail=self.trail, instance="w"),
            instance="w",
            soon=at_once,
        )
        upstream = Upstream("one", "openai", "http://127.0.0.1:1/v1")
        snapshot = Snapshot(
            version=1, issuers=(issuer_of(make_issuer()),), upstreams=(upstream,), routes=(), faces=(face,)
        )
        self.gateway.swap(build_world(snapshot, {"one": Place(upstream, self.upstream)}, None))
        self.surface = PromptChainSurface(face, self.gateway, ControlDoor(ScriptedPort(), self.clock))

    def ask(self, asked: Request, *, took_s: float = 0.0) -> RecordingCaller:
        asked.face = PROMPT_CHAIN
        caller = RecordingCaller()
        self.clock.advance(took_s)
        try:
            answer = self.surface.open(asked)
        except JotgateError as refusal:
            self.surface.refuse(asked, refusal, caller)
        else:
            answer(caller)
        return caller


def get(path: bytes, **headers: bytes) -> Request:
    return request(method=b"GET", path=path, **headers)


def bearer(token: bytes = MINE) -> bytes:
    return b"Bearer " + token


BODY = b'{"model":"prompt-chaining","messages":[{"role":"user","content":"Hello"}]}'


@pytest.mark.parametrize(
    ("path", "word"), [(b"/health/", "healthy"), (b"/health", "healthy"), (b"/health/ready", "ready")]
)
def test_health_is_open_and_has_the_documents_words(path: bytes, word: str) -> None:
    caller = House().ask(get(path))
    assert (caller.status, json.loads(caller.body)) == (200, {"status": word})
    assert House().ask(request(method=b"POST", path=path)).status == 405


def test_weak_001_10_readiness_is_the_gateways_own_and_says_what_is_missing() -> None:
    """The original was always ready."""
    unset = House(MISSING)
    assert unset.ask(get(b"/health/")).status == 200
    ready = unset.ask(get(b"/health/ready"))
    assert (ready.status, json.loads(ready.body)["missing"]) == (503, ["ANTHROPIC_API_KEY is not set"])
    full = House()
    full.trail.full = True
    assert json.loads(full.ask(get(b"/health/ready")).body)["reason"] == "audit_unavailable"


def test_a_call_that_needs_what_is_missing_is_told_so_once_its_token_is_good() -> None:
    house = House(MISSING)
    refused = house.ask(request(BODY, authorization=bearer()))
    assert (refused.status, json.loads(refused.body)) == (503, {"detail": "ANTHROPIC_API_KEY is not set."})
    assert "retry-after" in refused.headers
    assert house.ask(request(BODY)).status == 401
    assert house.ask(get(b"/v1/models", authorization=bearer())).status == 200
    assert house.upstream.exchanges == []


@pytest.mark.parametrize("path", [b"/v1/models", b"/v1/chat/completions", b"/v1/embeddings"])
@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({}, 401, "Not authenticated"),
        ({"authorization": b"Basic dTpw"}, 401, "Invalid authentication credentials"),
        ({"authorization": b"Bearer a.b.c"}, 403, "Invalid authentication credentials"),
        ({"authorization": bearer(generate_token(SECRET[::-1]).encode())}, 403, "Invalid authentication credentials"),
    ],
)
def test_every_path_of_v1_asks_for_a_good_token(
    path: bytes, headers: dict[str, bytes], status: int, detail: str
) -> None:
    method = b"GET" if path == b"/v1/models" else b"POST"
    caller = House().ask(request(BODY, method=method, path=path, **headers))
    assert (caller.status, json.loads(caller.body)) == (status, {"detail": detail})
    assert ("www-authenticate" in caller.headers) == (status == 401)


def test_a_call_is_streamed_with_the_time_to_its_first_byte() -> None:
    house = House()
    caller = house.ask(request(BODY, authorization=bearer()))
    house.clock.advance(0.25)
    house.upstream.last.stream(b"data: {}\n\n")
    assert (caller.status, caller.headers["x-first-byte-time"]) == (200, "0.250000")
    assert caller.headers["x-accel-buffering"] == "no"
    assert "x-response-time" not in caller.headers


def test_every_answer_has_its_id_its_time_and_the_lines_that_keep_browsers_off() -> None:
    for asked in (get(b"/health/"), get(b"/v1/models", authorization=bearer()), get(b"/v1/models"), get(b"/docs")):
        asked.headers[b"x-request-id"] = b"mine.1"
        caller = House().ask(asked, took_s=0.5)
        assert caller.headers["x-request-id"] == "mine.1"
        assert caller.headers["x-response-time"] == "0.500000"
        assert caller.headers["x-frame-options"] == "DENY"
        assert caller.headers["x-xss-protection"] == "1; mode=block"
        assert "strict-transport-security" not in caller.headers
    bare = House(replace(FACE, rules=PromptChainRules(security_lines=False)))
    assert "x-frame-options" not in bare.ask(get(b"/health/")).headers


@pytest.mark.parametrize("given", [b"", b"two\nlines", b"x" * 129, b"a b", "é".encode()])
def test_weak_001_9_a_request_id_is_short_and_plain_or_another_one_is_given(given: bytes) -> None:
    """The original echoed and logged any."""
    assert House().ask(get(b"/health/", x_request_id=given)).headers["x-request-id"] == "req-w-1"


def test_browsers_are_told_to_come_back_under_tls_where_it_was_tls() -> None:
    """Fields of proxies that are not trusted have been dropped before they get here."""
    assert "strict-transport-security" in House().ask(get(b"/health/", x_forwarded_proto=b"https")).headers
    assert "strict-transport-security" not in House().ask(get(b"/health/", x_forwarded_proto=b"http")).headers
    already = House(replace(FACE, edge=Edge(hsts=True)))
    assert "strict-transport-security" not in already.ask(get(b"/health/", x_forwarded_proto=b"https")).headers


def test_weak_001_6_the_limit_of_bodies_is_the_edges_which_counts_what_comes() -> None:
    """The original read Content-Length alone, so that a body in chunks was not bounded."""
    house = House(replace(FACE, rules=PromptChainRules(body_bytes_max=2048)))
    asked = request(BODY, authorization=bearer())
    asked.face = PROMPT_CHAIN
    house.surface.open(asked)
    assert asked.body_bytes_max == 2048
    caller = RecordingCaller()
    house.surface.refuse(asked, BodyTooLarge("the body exceeds 2048 bytes", size=3000, limit=2048), caller)
    told = json.loads(caller.body)
    assert (caller.status, told["error"], told["actual_size_bytes"], told["max_size_bytes"]) == (
        413, "request_too_large", 3000, 2048,
    )  # fmt: skip


def test_pages_of_named_origins_may_read_answers() -> None:
    house = House(replace(FACE, rules=PromptChainRules(pages=Pages(("https://app.example",), credentials=True))))
    for asked in (get(b"/health/"), get(b"/v1/models")):
        asked.headers[b"origin"] = b"https://app.example"
        caller = house.ask(asked)
        assert caller.headers["access-control-allow-origin"] == "https://app.example"
        assert caller.headers["access-control-allow-credentials"] == "true"
    preflight = request(
        method=b"OPTIONS", origin=b"https://app.example", access_control_request_method=b"POST",
        access_control_request_headers=b"authorization",
    )  # fmt: skip
    caller = house.ask(preflight)
    assert (caller.status, caller.headers["access-control-allow-headers"]) == (204, "authorization")
    assert caller.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in House().ask(get(b"/health/", origin=b"https://app.example")).headers
    assert House().ask(preflight).status == 405


def test_each_refusal_is_recorded_with_the_status_that_was_told() -> None:
    house = House()
    house.ask(request(BODY, authorization=b"Bearer a.b.c", x_request_id=b"one"))
    (line,) = house.trail.lines
    assert json.loads(line)["status"] == 403


def test_weak_001_2_tokens_that_are_refused_are_limited_by_the_address_that_sends_them() -> None:
    """The original never counted them: its limit stood behind its check of tokens."""
    house = House()
    statuses = [house.ask(get(b"/v1/models", authorization=b"Bearer a.b.c")).status for _ in range(400)]
    assert (statuses[0], statuses[-1]) == (403, 429)
    refused = house.ask(get(b"/v1/models", authorization=b"Bearer a.b.c"))
    assert list(json.loads(refused.body)) == ["detail"]
    assert int(refused.headers["retry-after"]) > 0
    assert House().ask(get(b"/v1/models", authorization=bearer())).status == 200

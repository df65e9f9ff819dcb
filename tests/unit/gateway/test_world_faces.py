"""Listeners beside the native one: issuers, routes and a dialect of their own; what one takes the others refuse."""

import json
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec import structs

from jotgate.core.api_gateway import API_GATEWAY, ApiGatewayRules
from jotgate.core.calls import Request
from jotgate.core.durable import RevocationKind
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.faces import Face
from jotgate.core.opaque import Mark
from jotgate.core.operations import Operation
from jotgate.core.prompt_chain import PROMPT_CHAIN, PromptChainRules
from jotgate.core.revocations import Entry, handle_name, token_handle
from jotgate.core.snapshot import Snapshot
from jotgate.errors import NotReady
from jotgate.gateway.plain_answers import FaceOperation, Opened, Reply
from jotgate.gateway.world import World, build_world
from jotgate.jose import jwt
from jotgate.jose.keys import generate, hmac_key
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import RecordingCaller
from tests.callers import NOW_S, issuer_of, request
from tests.issuers import STRONG, verifier_of
from tests.metering import MeteredStage, quota
from tests.stages import Stage

_CHAT: Final = b'{"model":"b","stream":true}'
_CHAIN: Final = TestIssuer(generate("ES256"), "https://chain.example", "https://chain.example", NOW_S)
_OTHER: Final = TestIssuer(generate("ES256"), "https://other.example", "https://other.example", NOW_S)


def faces_of(snapshot: Snapshot) -> tuple[Face, ...]:
    """Two faces: the first serves the second route of a stage alone, the second none."""
    chain = structs.replace(issuer_of(_CHAIN), name=PROMPT_CHAIN)
    other = structs.replace(issuer_of(_OTHER), name=API_GATEWAY)
    return (
        Face(
            name=PROMPT_CHAIN,
            listen=("127.0.0.1", 0),
            issuers=(chain,),
            rules=PromptChainRules(),
            routes=snapshot.routes[1:],
        ),
        Face(name=API_GATEWAY, listen=("127.0.0.1", 0), issuers=(other,), rules=ApiGatewayRules()),
    )


def with_faces(world: World) -> World:
    """The world with the faces, made as a worker makes it."""
    snapshot = structs.replace(world.snapshot, faces=faces_of(world.snapshot))
    return build_world(snapshot, world.places, world)


def at(face: str, token: bytes, body: bytes = _CHAT, **fields: object) -> Request:
    """A request that came in by a face; empty: by the native listener."""
    found = request(body, authorization=b"Bearer " + token)
    found.face = face
    for name, value in fields.items():
        setattr(found, name, value)
    return found


class Faced(Stage):
    """The stage with the two faces."""

    def __init__(self) -> None:
        super().__init__()
        self.world = with_faces(self.world)
        self.gateway.swap(self.world)


@pytest.fixture
def stage() -> Faced:
    return Faced()


def test_a_token_is_good_at_the_face_whose_issuer_made_it_and_nowhere_else(stage: Faced) -> None:
    """A shared secret of one system must open no other, also once the shared cache has the token."""
    made = {"": stage.issuer.token(jti="n"), PROMPT_CHAIN: _CHAIN.token(jti="c"), API_GATEWAY: _OTHER.token(jti="o")}
    models = {"method": b"GET", "path": b"/v1/models"}
    for _ in range(2):  # The second time all are in the cache.
        for face in made:
            answers = {other: stage.ask(at(face, token, b"", **models))[0].status for other, token in made.items()}
            assert {other for other, status in answers.items() if status == 200} == {face}, answers
    assert len(stage.world.verifier.cache) == 3


def test_a_face_serves_its_own_models_alone(stage: Faced) -> None:
    _, running = stage.ask(at(PROMPT_CHAIN, _CHAIN.token()))
    assert running is not None
    assert [one.outbound.operation for one in stage.two.exchanges] == ["chat.completions"]
    refused, _ = stage.ask(at(PROMPT_CHAIN, _CHAIN.token(), b'{"model":"a"}'))
    assert refused.status == 404
    listed, _ = stage.ask(at(PROMPT_CHAIN, _CHAIN.token(), b"", method=b"GET", path=b"/v1/models"))
    assert [one["id"] for one in json.loads(listed.body)["data"]] == ["b"]


def test_a_request_is_recorded_with_the_listener_that_it_came_in_by(stage: Faced) -> None:
    for face, token in (("", stage.issuer.token()), (PROMPT_CHAIN, _CHAIN.token())):
        running = stage.ask(at(face, token))[1]
        assert running is not None
        running.caller_gone()
        stage.ask(at(face, token, b"", method=b"GET", path=b"/v1/models"))
        stage.ask(at(face, b"x.y.z"))
        assert [one.face for one in stage.trail.records[-3:]] == [face] * 3
        assert [one.status for one in stage.trail.records[-3:-1]] == [499, 200]


def test_a_model_is_as_old_as_the_installation_natively_and_at_a_face(stage: Faced) -> None:
    made = build_world(structs.replace(stage.world.snapshot, made_at_s=1_700_000_000), stage.world.places, stage.world)
    stage.gateway.swap(made)
    for face, token in (("", stage.issuer.token()), (PROMPT_CHAIN, _CHAIN.token())):
        listed, _ = stage.ask(at(face, token, b"", method=b"GET", path=b"/v1/models"))
        assert {one["created"] for one in json.loads(listed.body)["data"]} == {1_700_000_000}


def test_a_token_without_an_end_is_noted_at_the_face_that_takes_it() -> None:
    """One cache is for all listeners: what it notes of tokens does not depend on where they came in."""
    stage, secret = Stage(), hmac_key(STRONG.encode(), "HS256", "k")
    chain = verifier_of('[[issuers]]\nname = "chain"\nprofile = "prompt-chain"\n', {"JWT_SECRET_KEY": STRONG})
    content = chain.federation.issuers[-1].content
    face = Face(name=PROMPT_CHAIN, listen=("127.0.0.1", 0), issuers=(content,), rules=PromptChainRules())
    world = build_world(structs.replace(stage.world.snapshot, faces=(face,)), stage.world.places, stage.world)
    stage.gateway.swap(world)
    endless = jwt.sign({"sub": "ann", "iat": int(NOW_S)}, "JWT", secret, with_kid=False)
    asked = at(PROMPT_CHAIN, endless, b"", method=b"GET", path=b"/v1/models")
    assert stage.ask(asked)[0].status == 200
    told: list[str] = []
    sights = world.verifier.cache.sights

    def take(tokens: Sequence[EndlessToken]) -> bool:
        told.extend(f"{one.issuer}/{one.subject}" for one in tokens)
        return True

    assert sights.tell(take)
    assert told == ["chain/ann"]


def test_a_face_says_no_in_its_own_dialect(stage: Faced) -> None:
    bodies = {face: json.loads(stage.ask(at(face, b"x.y.z"))[0].body) for face in ("", PROMPT_CHAIN, API_GATEWAY)}
    assert set(bodies[""]) == {"error"}
    assert set(bodies[PROMPT_CHAIN]) == {"detail"}
    assert bodies[API_GATEWAY]["code"] == "INVALID_TOKEN"


def test_a_call_that_fails_before_it_has_begun_is_told_in_the_face_s_dialect(stage: Faced) -> None:
    caller, running = stage.ask(at(PROMPT_CHAIN, _CHAIN.token()))
    assert running is not None
    stage.wait(21.0)  # No upstream has sent a first byte.
    assert caller.status == 504
    assert isinstance(json.loads(caller.body)["error"], str), "natively it is an object"


def test_no_face_takes_a_personal_token(stage: Faced) -> None:
    """They are the installation's; limits of a face speak of its own issuers' tokens."""
    token = Mark.PERSONAL.encode() + b"0" * 40
    caller, _ = stage.ask(at(PROMPT_CHAIN, token, b"", method=b"GET", path=b"/v1/models"))
    assert (caller.status, stage.trail.records[-1].code) == (403, "token_malformed")


def test_a_running_call_of_a_face_is_cut_when_its_token_is_revoked(stage: Faced) -> None:
    caller, running = stage.ask(at(PROMPT_CHAIN, _CHAIN.token(jti="long")))
    assert running is not None
    stage.wait(1.0)
    name = handle_name(RevocationKind.TOKEN, token_handle(_CHAIN.issuer, "long"))
    entry = Entry(name, None)
    stage.world.verifier.revoked.take([entry])
    stage.gateway.cuts.revoked([entry])
    assert caller.status == 401
    other, other_running = stage.ask(at(PROMPT_CHAIN, _CHAIN.token(jti="fresh")))
    assert other_running is not None
    stage.wait(1.0)
    assert other.state == "waiting", "the world of the face is asked, which still trusts it"


def test_a_face_that_a_snapshot_does_not_have_yet_is_answered_503(stage: Faced) -> None:
    with pytest.raises(NotReady):
        stage.world.of("mcp-daemon")


def test_a_new_snapshot_keeps_the_verifier_of_a_face_whose_issuers_are_the_same(stage: Faced) -> None:
    token = _CHAIN.token(jti="kept")
    stage.world.of(PROMPT_CHAIN).verifier.verify(token, NOW_S)
    again = build_world(structs.replace(stage.world.snapshot, version=9), stage.world.places, stage.world)
    assert [one.verifier for one in again.faces.values()] == [one.verifier for one in stage.world.faces.values()]
    first, second = stage.world.snapshot.faces
    changed = structs.replace(first, issuers=(structs.replace(first.issuers[0], leeway_s=0),))
    other = build_world(structs.replace(again.snapshot, faces=(changed, second)), again.places, again)
    assert other.of(PROMPT_CHAIN).verifier is not again.of(PROMPT_CHAIN).verifier
    assert other.of(API_GATEWAY).verifier is again.of(API_GATEWAY).verifier
    assert other.of(PROMPT_CHAIN).verifier.verify(token, NOW_S).token_id == "kept"


def test_an_operation_of_a_face_is_for_its_good_tokens_and_is_not_there_elsewhere(stage: Faced) -> None:
    row = Operation("protected", b"GET", b"/api/protected/data", False)

    def reply(opened: Opened) -> Reply:
        return Reply(200, opened.principal.subject.encode())

    stage.gateway.serve(API_GATEWAY, [FaceOperation(row, reply)])
    where = {"method": b"GET", "path": b"/api/protected/data"}
    caller, _ = stage.ask(at(API_GATEWAY, _OTHER.token(sub="user_123", scope="ai"), b"", **where))
    assert (caller.status, caller.body) == (200, b"user_123")
    assert stage.trail.records[-1].operation == "protected"
    assert stage.ask(at(API_GATEWAY, _CHAIN.token(), b"", **where))[0].status == 401
    assert stage.ask(at(API_GATEWAY, _OTHER.token(scope="models"), b"", **where))[0].status == 403
    assert stage.ask(at(API_GATEWAY, _OTHER.token(), b"", method=b"POST", path=row.path))[0].status == 405
    for face in ("", PROMPT_CHAIN):
        assert stage.ask(at(face, stage.issuer.token(), b"", **where))[0].status == 404


class CountedFaces(MeteredStage):
    """The metered stage with the faces: two requests for ever."""

    def __init__(self) -> None:
        super().__init__(quota(2, "requests"))
        self.world = structs.replace(with_faces(self.world), metered=True)
        faces = {name: structs.replace(one, metered=True) for name, one in self.world.faces.items()}
        self.world = structs.replace(self.world, faces=faces)
        self.gateway.swap(self.world)

    def models(self, face: str, token: bytes) -> RecordingCaller:
        """Ask for the models."""
        asked = at(face, token, b"", method=b"GET", path=b"/v1/models")
        asked.begun_s = self.clock.monotonic_s()
        caller, _ = self.ask(asked)
        self.run()
        return caller


def test_what_a_face_answers_itself_counts_as_a_request_and_natively_it_does_not() -> None:
    """The systems that faces stand for limit their list of models; RATE_LIMIT_MODELS did nothing in one of them."""
    stage = CountedFaces()
    assert [stage.models("", stage.issuer.token()).status for _ in range(3)] == [200, 200, 200]
    assert [stage.models(PROMPT_CHAIN, _CHAIN.token()).status for _ in range(3)] == [200, 200, 429]
    assert stage.rest().posted == 2
    assert stage.trail.records[-1].code == "quota_exceeded"


def test_what_is_refused_at_a_face_costs_nothing() -> None:
    stage = CountedFaces()
    assert [stage.models(PROMPT_CHAIN, _CHAIN.token(scope="embeddings")).status for _ in range(3)] == [403, 403, 403]
    assert [stage.models(PROMPT_CHAIN, _CHAIN.token()).status for _ in range(2)] == [200, 200]


def test_nobody_is_answered_while_nobody_can_say_what_is_left() -> None:
    stage = CountedFaces()
    stage.planless = True
    waits = stage.models(PROMPT_CHAIN, _CHAIN.token())
    stage.tick(12)
    assert (waits.status, stage.trail.records[-1].code) == (503, "quota_unavailable")


def test_a_caller_that_leaves_while_it_waits_is_recorded_and_charged_nothing() -> None:
    stage = CountedFaces()
    stage.mute = True
    asked = at(PROMPT_CHAIN, _CHAIN.token(), b"", method=b"GET", path=b"/v1/models")
    asked.begun_s = stage.clock.monotonic_s()
    _, running = stage.ask(asked)
    assert running is not None
    running.caller_gone()
    assert stage.trail.records[-1].status == 499
    stage.mute = False
    stage.run()
    assert [stage.models(PROMPT_CHAIN, _CHAIN.token()).status for _ in range(3)] == [200, 200, 429]

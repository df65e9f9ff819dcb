"""A face says that it is there, what it lacks, and whether it may let calls through."""

import json
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.faces import Face
from jotgate.core.prompt_chain import PROMPT_CHAIN, PromptChainRules
from jotgate.edge.surfaces.face_health import answer_live, answer_ready
from jotgate.gateway.world import build_world
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

_MISSING: Final = ("ANTHROPIC_API_KEY is not set",)


@pytest.fixture
def stage() -> Stage:
    """A gateway with one face."""
    made = Stage()
    face = Face(
        name=PROMPT_CHAIN, listen=("127.0.0.1", 0), issuers=made.world.snapshot.issuers, rules=PromptChainRules()
    )
    made.world = build_world(replace(made.world.snapshot, faces=(face,)), made.world.places, made.world)
    made.gateway.swap(made.world)
    return made


def told(caller: RecordingCaller) -> tuple[int, object]:
    return caller.status, json.loads(caller.body)


def test_live_is_200_whatever_is_missing_and_names_it(stage: Stage) -> None:
    (face,) = stage.world.snapshot.faces
    sound, lacking = RecordingCaller(), RecordingCaller()
    answer_live(face, "healthy", request(), sound)
    answer_live(replace(face, missing=_MISSING), "healthy", request(), lacking)
    assert told(sound) == (200, {"status": "healthy"})
    assert told(lacking) == (200, {"status": "healthy", "missing": list(_MISSING)})


def test_ready_is_503_with_what_is_missing(stage: Stage) -> None:
    (face,) = stage.world.snapshot.faces
    sound, lacking = RecordingCaller(), RecordingCaller()
    answer_ready(stage.gateway, face, "ready", request(), sound)
    answer_ready(stage.gateway, replace(face, missing=_MISSING), "ready", request(), lacking)
    assert told(sound) == (200, {"status": "ready"})
    assert told(lacking) == (503, {"status": "unavailable", "missing": list(_MISSING)})


def test_ready_is_503_while_no_call_may_go_through(stage: Stage) -> None:
    (face,) = stage.world.snapshot.faces
    stage.trail.full = True
    full, unknown = RecordingCaller(), RecordingCaller()
    answer_ready(stage.gateway, face, "ready", request(), full)
    stage.trail.full = False
    answer_ready(stage.gateway, replace(face, name="api-gateway"), "ready", request(), unknown)
    assert told(full) == (503, {"status": "unavailable", "reason": "audit_unavailable"})
    assert told(unknown) == (503, {"status": "unavailable", "reason": "not_ready"})

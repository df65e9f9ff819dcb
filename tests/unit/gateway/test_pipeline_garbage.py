"""A refused call leaves nothing that only the garbage collector could take away.

A worker's collector runs when 50,000 things wait for it; who could make it run would hold up every other call.
"""

import gc

import pytest

from jotgate.core.key_fetches import KeysOutcome
from jotgate.jose.keys import generate
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests.callers import NAME, NOW_S, request
from tests.stages import Stage
from tests.unit.gateway.test_key_waits import Waits

_BODY = b'{"model":"a"}'
_PUBLISHED_NOT = KeysOutcome(reached=True, useless_s=30.0)
_UNREACHED = KeysOutcome(reached=False, useless_s=30.0)


def left_by(stage: Stage, tokens: list[bytes]) -> int:
    """How many objects of these calls wait for the collector."""
    requests = [request(_BODY, authorization=b"Bearer " + token) for token in tokens]
    gc.collect(0)
    gc.disable()
    gc.freeze()  # What was there before is not looked at.
    try:
        while requests:
            stage.ask(requests.pop())
        return gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.parametrize("outcome", [_PUBLISHED_NOT, _UNREACHED], ids=["not published", "not to be known now"])
def test_tokens_with_unknown_keys_of_a_remote_issuer_leave_nothing(outcome: KeysOutcome) -> None:
    waits = Waits()
    waits.bring(generate("ES256"))
    waits.answer(outcome)
    stranger = TestIssuer(generate("ES256"), "https://idp.example", NAME, NOW_S)
    tokens = [stranger.token() for _ in range(50)]
    left_by(waits, tokens[:1])
    assert left_by(waits, tokens) == 0


def test_no_wrong_token_leaves_anything() -> None:
    stage = Stage()
    wrong = wrong_tokens(generate("ES256"), NAME, NAME, NOW_S)
    left_by(stage, [token for token, _ in wrong.values()][:1])
    leaving = {name: count for name, (token, _) in wrong.items() if (count := left_by(stage, [token]))}
    assert leaving == {}

"""Who acts by a token stands in the record of its calls, however they end."""

from typing import Any

import pytest

from jotgate.core.audit import CallRecord
from tests.callers import request
from tests.stages import Stage

CHAIN: Any = {"sub": "robot", "act": {"sub": "planner"}}


def record(body: bytes, **claims: Any) -> CallRecord:
    """The record of one call, whose caller goes away if it was sent on."""
    stage = Stage()
    _, running = stage.ask(request(body, authorization=b"Bearer " + stage.issuer.token(**claims)))
    if running is not None:
        running.caller_gone()
    (found,) = stage.trail.records
    return found


@pytest.mark.parametrize("body", [b'{"model":"a","stream":true}', b'{"model":"nowhere"}'])
def test_a_delegated_call_names_who_acts_now(body: bytes) -> None:
    found = record(body, sub="alice", act=CHAIN)
    assert (found.subject, found.actor) == ("alice", "robot")


def test_a_call_by_which_nobody_else_acts_names_none() -> None:
    assert record(b'{"model":"a","stream":true}', sub="alice").actor == ""

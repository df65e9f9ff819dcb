"""Each request of a face's listener has its name, however it ends."""

from functools import partial

from jotgate.core.calls import Request
from jotgate.edge.surfaces.faced import FacedSurface
from jotgate.errors import JotgateError, RequestMalformed
from jotgate.ports import Answer, Caller
from jotgate.testing.ports import RecordingCaller
from tests.callers import request


class Inner:
    """Keeps the faces of the requests that it is given (edge.http1.listener.Application)."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.refused: list[str] = []

    def open(self, asked: Request) -> Answer:
        self.opened.append(asked.face)
        return partial(self._answer)

    def refuse(self, asked: Request, refusal: JotgateError, caller: Caller) -> None:
        self.refused.append(asked.face)

    def _answer(self, caller: Caller) -> None:
        caller.respond(200, b"", b"")


def test_a_request_is_marked_before_anything_is_decided_about_it() -> None:
    inner, caller = Inner(), RecordingCaller()
    FacedSurface(inner, "prompt-chain").open(request())(caller)
    assert (inner.opened, caller.status) == (["prompt-chain"], 200)


def test_one_that_was_never_opened_is_marked_too_so_that_it_is_told_in_the_face_s_words() -> None:
    inner = Inner()
    FacedSurface(inner, "api-gateway").refuse(request(), RequestMalformed("bad head"), RecordingCaller())
    assert inner.refused == ["api-gateway"]

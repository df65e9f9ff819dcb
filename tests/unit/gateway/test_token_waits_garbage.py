"""A refused personal token leaves nothing that only the garbage collector could take away, whether it waited or not."""

from jotgate.core.calls import Request
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller
from tests.personal import GOOD
from tests.unit.gateway.test_pipeline_garbage import left_by
from tests.unit.gateway.test_token_waits import UNKNOWN, Waits, text


class Answered(Waits):
    """Control answers each question at once."""

    def ask(self, asked: Request) -> tuple[RecordingCaller, Running | None]:
        found = super().ask(asked)
        self.answer(UNKNOWN, asked.headers[b"authorization"][7:])
        return found


def test_what_was_asked_for_and_is_nobodys_leaves_nothing() -> None:
    waits = Answered()
    left_by(waits, [text(0)])
    assert left_by(waits, [text(number) for number in range(1, 50)]) == 0


def test_what_is_refused_from_memory_or_by_its_form_leaves_nothing() -> None:
    waits = Waits()
    waits.bring()
    waits.answer(UNKNOWN)
    left_by(waits, [GOOD])
    assert left_by(waits, [GOOD, GOOD[:-1]] * 20) == 0


def test_what_may_not_be_asked_any_more_leaves_nothing() -> None:
    waits = Answered()
    tokens = [text(number) for number in range(400)]
    left_by(waits, tokens[:200])
    assert left_by(waits, tokens[200:]) == 0

"""What a worker holds of upstreams' tokens: asked for once, given until they end, never again once refused."""

from collections.abc import Callable
from typing import Final

import pytest

from jotgate.core.routes import Upstream
from jotgate.core.upstream_tokens import NO_REFUSAL, HeldToken, TokenFound, TokenLacking, hold
from jotgate.core.values import Secret
from jotgate.testing.ports import ManualClock, at_once
from jotgate.upstreams.credentials import PATIENCE_S, SESSIONS_MAX, UpstreamTokens

_LACKING: Final = TokenLacking("refused", "the reason", 3)


class Desk:
    """Tokens of a worker, what it asked control, and what calls were told."""

    def __init__(
        self, soon: Callable[[Callable[[], None]], object] = at_once, sessions_max: int = SESSIONS_MAX
    ) -> None:
        self.clock = ManualClock()
        self.asked: list[tuple[str, str, bytes]] = []
        self.told: list[TokenFound | TokenLacking] = []
        self.refused: list[tuple[str, str, bytes]] = []
        self.tokens = UpstreamTokens(self.clock, self._ask, soon, sessions_max)
        self.tokens.ask_by(self._ask, self._tell)

    def _tell(self, upstream: str, session: str, refused: bytes) -> None:
        self.refused.append((upstream, session, refused))

    def _ask(self, upstream: str, session: str, refused: bytes) -> None:
        self.asked.append((upstream, session, refused))

    def need(self, session: str = "s", refused: bytes = NO_REFUSAL) -> Callable[[], None] | None:
        """One call wants the token."""
        return self.tokens.need("u", session, self.told.append, refused)

    def held(self, text: str, life_s: float = 900) -> HeldToken:
        """A token as control has it."""
        now_s = self.clock.now_s()
        return hold(Secret(text), now_s + life_s, now_s)

    def answer(self, text: str, session: str = "s", life_s: float = 900) -> HeldToken:
        """Control answers with this token."""
        held = self.held(text, life_s)
        self.tokens.answered("u", session, held)
        return held

    @property
    def texts(self) -> list[str]:
        """The tokens that calls were told, or why there was none."""
        return [one.token.reveal() if isinstance(one, TokenFound) else one.lack for one in self.told]


def _upstream(mark: str) -> Upstream:
    return Upstream("u", "openai", exchanged=True, token_mark=mark)


def test_many_calls_make_one_question_and_all_are_answered() -> None:
    desk = Desk()
    for _ in range(100):
        assert desk.need() is not None
    assert desk.asked == [("u", "s", b"")]
    desk.answer("t")
    assert desk.texts == ["t"] * 100
    assert desk.tokens.waiting == 0


def test_a_token_that_is_here_is_given_at_once_and_nobody_is_asked() -> None:
    desk = Desk()
    desk.need()
    desk.answer("t")
    assert desk.need() is None
    assert desk.texts == ["t", "t"]
    assert len(desk.asked) == 1


def test_sessions_and_upstreams_do_not_share_tokens() -> None:
    desk = Desk()
    desk.need("a")
    desk.need("b")
    desk.tokens.need("other", "a", desk.told.append)
    assert desk.asked == [("u", "a", b""), ("u", "b", b""), ("other", "a", b"")]
    desk.answer("of-a", "a")
    assert desk.texts == ["of-a"]


def test_those_who_wait_are_called_back_one_in_each_turn_of_the_loop() -> None:
    later: list[Callable[[], None]] = []
    desk = Desk(later.append)
    desk.need()
    desk.need()
    desk.answer("t")
    assert desk.told == []
    for thing in later:
        thing()
    assert desk.texts == ["t", "t"]


def test_one_that_wants_it_no_more_is_not_called_back() -> None:
    later: list[Callable[[], None]] = []
    desk = Desk(later.append)
    cancel = desk.need()
    after = desk.need()
    assert cancel is not None
    assert after is not None
    cancel()
    desk.answer("t")
    after()  # … after control's answer, before its turn.
    for thing in later:
        thing()
    assert desk.told == []


def test_in_the_last_part_of_its_life_a_token_is_given_while_another_is_asked_for() -> None:
    desk = Desk()
    desk.need()
    desk.answer("first")
    desk.clock.advance(900 - 30)
    assert desk.need() is None
    assert desk.need() is None
    assert len(desk.asked) == 2
    desk.answer("second")
    desk.need()
    assert desk.texts == ["first", "first", "first", "second"]


def test_in_its_last_five_seconds_no_token_is_given() -> None:
    desk = Desk()
    desk.need()
    desk.answer("first")
    desk.clock.advance(900 - 5)
    assert desk.need() is not None
    assert desk.texts == ["first"]


def test_a_refused_token_is_never_given_again() -> None:
    desk = Desk()
    desk.need()
    first = desk.answer("first")
    desk.need(refused=first.digest)
    desk.need(refused=first.digest)
    assert desk.asked[1:] == [("u", "s", first.digest)]
    desk.answer("second")
    assert desk.texts == ["first", "second", "second"]
    # One that hears of the refusal later has the new one at once.
    assert desk.need(refused=first.digest) is None
    assert len(desk.asked) == 2


def test_a_refused_token_that_control_still_tells_of_is_asked_about_once_more() -> None:
    desk = Desk()
    desk.need()
    first = desk.answer("first")
    desk.clock.advance(900 - 30)
    desk.need()  # A new one is asked for, before the refusal is known.
    desk.need(refused=first.digest)
    desk.tokens.answered("u", "s", first)
    assert desk.asked[-1] == ("u", "s", first.digest)
    assert desk.texts == ["first", "first"]
    desk.tokens.answered("u", "s", first)
    assert desk.texts == ["first", "first", "refused"]


def test_a_token_that_was_refused_to_one_who_asks_for_no_other_is_given_to_nobody() -> None:
    desk = Desk()
    desk.need()
    first = desk.answer("first")
    desk.tokens.refuse("u", "s", first.digest)
    assert desk.refused == [("u", "s", first.digest)]
    desk.need()
    assert desk.asked[-1] == ("u", "s", first.digest)
    assert desk.texts == ["first"]


def test_calls_are_told_why_there_is_none_and_the_next_one_asks_again() -> None:
    desk = Desk()
    desk.need()
    desk.tokens.answered("u", "s", None, _LACKING)
    assert desk.told == [_LACKING]
    desk.need()
    assert len(desk.asked) == 2


def test_an_answer_without_a_reason_is_told_too() -> None:
    desk = Desk()
    desk.need()
    desk.tokens.answered("u", "s", None)
    assert desk.texts == ["unknown"]


def test_what_control_does_not_answer_in_time_is_told() -> None:
    desk = Desk()
    desk.need()
    desk.clock.advance(PATIENCE_S - 1)
    desk.need()
    desk.tokens.check_deadlines()
    assert desk.told == []
    desk.clock.advance(1)
    desk.tokens.check_deadlines()
    assert desk.texts == ["unknown"]
    desk.answer("t")
    assert desk.texts == ["unknown", "t"]


def test_another_control_process_is_asked_what_is_open() -> None:
    desk = Desk()
    desk.need("a")
    desk.need("b")
    desk.answer("t", "a")
    desk.tokens.ask_again()
    assert desk.asked == [("u", "a", b""), ("u", "b", b""), ("u", "b", b"")]


@pytest.mark.parametrize("session", ["s", None])
def test_what_control_has_cleared_is_given_no_more(session: str | None) -> None:
    desk = Desk()
    desk.need()
    desk.answer("first")
    desk.tokens.cleared("u", session)
    assert desk.need() is not None
    assert desk.texts == ["first"]


def test_tokens_that_are_got_in_another_way_take_the_place_of_those_of_before() -> None:
    desk = Desk()
    desk.tokens.follow([_upstream("one")])
    desk.need()
    desk.answer("first")
    desk.tokens.follow([_upstream("one"), Upstream("v", "openai")])
    assert desk.need() is None
    desk.tokens.follow([_upstream("two")])
    assert desk.need() is not None
    assert desk.texts == ["first", "first"]


def test_sessions_are_bounded_and_those_for_which_calls_wait_stay() -> None:
    desk = Desk(sessions_max=3)
    for session in ("waits", "a", "b"):
        desk.need(session)
    for session in ("a", "b"):
        desk.answer(session, session)
    desk.need("c")
    assert len(desk.tokens) == 3
    asked = len(desk.asked)
    desk.need("b")
    assert len(desk.asked) == asked
    desk.need("a")
    assert len(desk.asked) == asked + 1
    desk.answer("late", "waits")
    assert desk.texts[-1] == "late"


def test_tokens_do_not_show_themselves() -> None:
    desk = Desk()
    desk.need()
    desk.answer("czs_shown")
    assert "czs_shown" not in repr(desk.told)

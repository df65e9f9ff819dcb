"""Refresh tokens under any sequence of presentations, strangers and times, held against a model of a few lines."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from jotgate.core import refresh
from jotgate.core.families import Family, FoundFamily, RefreshRecord
from jotgate.core.opaque import Mark, make_opaque, opaque_digest
from jotgate.core.refresh import Decision, Presentation, Refusal, Refuse, Repeat, Reuse, Rotate
from jotgate.core.values import Secret

_OWNER: Final = "owner"
_IDLE_S: Final = 50
_LIFE_S: Final = 100


class Refreshing(RuleBasedStateMachine):
    """One family. The model knows each token's first use, and says who gets what; nothing else may come about."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_800_000_000.25
        self.texts: list[Secret] = []
        self.rows: dict[bytes, RefreshRecord] = {}
        self.grace_s = 10
        self.family = Family(
            family_id="f",
            client_id=_OWNER,
            subject="ann",
            idle_s=_IDLE_S,
            created_at_s=int(self.now_s),
            ends_at_s=int(self.now_s) + _LIFE_S,
        )
        self.begun_s = self.now_s
        self.texts.append(self.make())
        self.keep(refresh.first(self.family, self.texts[0]))
        # The model: the time when each token was made and first used, whether the family ended, what was erased.
        self.made_s: list[float] = [self.now_s]
        self.used_s: list[float] = []
        self.ended = False
        self.erased: set[int] = set()

    def make(self) -> Secret:
        return make_opaque(Mark.REFRESH, len(self.texts).to_bytes(32, "big"))

    def keep(self, *rows: RefreshRecord) -> None:
        self.rows.update({row.digest: row for row in rows})

    def find(self, text: Secret) -> FoundFamily | None:
        token = self.rows.get(opaque_digest(text.reveal()))
        if token is None:
            return None
        later = sorted((row for row in self.rows.values() if row.generation > token.generation), key=_generation)
        return FoundFamily(self.family, token, tuple(later))

    def decide(self, text: Secret, client_id: str = _OWNER) -> Decision:
        return refresh.decide(self.find(text), Presentation(text, client_id, self.now_s), self.grace_s)

    def lives(self, index: int) -> bool:
        """Whether the newest token may be used, by the model."""
        made_s = int(self.made_s[index])
        return self.now_s < made_s + _IDLE_S and self.now_s < int(self.begun_s) + _LIFE_S

    @rule(span_s=st.floats(0, 4) | st.floats(0, 49))
    def wait(self, span_s: float) -> None:
        self.now_s += span_s

    @rule(which=st.sampled_from(["grace", "idle", "life"]), after_s=st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0]))
    def wait_for_an_edge(self, which: str, after_s: float) -> None:
        used_s = self.used_s[-1] if self.used_s else self.now_s
        made_s = int(self.made_s[-1])
        ends_s = {"grace": used_s + self.grace_s, "idle": made_s + _IDLE_S, "life": int(self.begun_s) + _LIFE_S}
        self.now_s = max(self.now_s, ends_s[which] + after_s)

    @rule(grace_s=st.sampled_from([0, 1, 10, 60]))
    def set_grace(self, grace_s: int) -> None:
        self.grace_s = grace_s

    @rule()
    def present_the_newest(self) -> None:
        self.present(0)

    @rule(back=st.integers(1, 3) | st.just(50))
    def present_a_used_one(self, back: int) -> None:
        self.present(back)

    def present(self, back: int) -> None:
        index = max(0, len(self.texts) - 1 - back)
        text = self.texts[index]
        decision = self.decide(text)
        if self.ended:
            assert decision == Refuse(Refusal.ENDED)
        elif index == len(self.used_s):
            self.expect_rotation(decision, text, index)
        else:
            self.expect_answer_to_used(decision, index)

    def expect_rotation(self, decision: Decision, text: Secret, index: int) -> None:
        if not self.lives(index):
            assert decision == Refuse(Refusal.EXPIRED)
            return
        assert isinstance(decision, Rotate)
        successor = self.make()
        used, following = refresh.advance(decision, text, successor, bytes(12), self.now_s)
        self.keep(used, following)
        self.family = replace(self.family, version=self.family.version + 1)
        self.texts.append(successor)
        self.used_s.append(self.now_s)
        self.made_s.append(self.now_s)

    def expect_answer_to_used(self, decision: Decision, index: int) -> None:
        elapsed_s = self.now_s - self.used_s[index]
        whole = not self.erased & set(range(index, len(self.used_s)))
        if elapsed_s >= self.grace_s or not whole:
            self.expect_reuse(decision)
        elif elapsed_s < self.grace_s - 1:
            self.expect_newest(decision)
        elif isinstance(decision, Reuse):  # Within its last second the grace may be over: uses are kept in whole ones.
            self.expect_reuse(decision)
        else:
            self.expect_newest(decision)

    def expect_reuse(self, decision: Decision) -> None:
        assert isinstance(decision, Reuse)
        self.end()

    def expect_newest(self, decision: Decision) -> None:
        if not self.lives(len(self.texts) - 1):
            assert decision == Refuse(Refusal.EXPIRED)
            return
        assert isinstance(decision, Repeat)
        assert decision.text == self.texts[-1], "the answer is the token that counts, and none that was used"
        assert decision.token.digest == opaque_digest(self.texts[-1].reveal())

    @rule(place=st.integers(0, 50), name=st.sampled_from(["", "stranger", "Owner", "owner "]))
    def present_as_stranger(self, place: int, name: str) -> None:
        before = (self.family, dict(self.rows))
        assert self.decide(self.texts[place % len(self.texts)], name) == Refuse(Refusal.STRANGER)
        assert (self.family, self.rows) == before

    @rule(number=st.integers(1_000, 2_000))
    def guess(self, number: int) -> None:
        assert self.decide(make_opaque(Mark.REFRESH, number.to_bytes(32, "big"))) == Refuse(Refusal.UNKNOWN)

    @precondition(lambda self: self.used_s)
    @rule(place=st.integers(0, 50))
    def erase(self, place: int) -> None:
        index = place % len(self.used_s)
        digest = opaque_digest(self.texts[index].reveal())
        self.keep(replace(self.rows[digest], successor=None))
        self.erased.add(index)

    @precondition(lambda self: len(self.texts) > 4)
    @rule()
    def end(self) -> None:
        self.ended = True
        self.family = replace(self.family, ended_at_s=int(self.now_s))
        self.keep(*(replace(row, successor=None) for row in self.rows.values()))

    @invariant()
    def at_most_one_token_counts(self) -> None:
        counting = [row for row in self.rows.values() if refresh.counts(FoundFamily(self.family, row), self.now_s)]
        assert len(counting) <= 1
        assert [row.generation for row in self.rows.values() if row.used_at_s is None] == [len(self.texts) - 1]

    @invariant()
    def no_token_outlives_its_family(self) -> None:
        assert all(row.expires_at_s <= self.family.ends_at_s for row in self.rows.values())

    @invariant()
    def what_is_kept_has_no_text(self) -> None:
        kept = repr(self.rows).encode() + b"".join(row.successor or b"" for row in self.rows.values())
        assert not any(text.reveal().encode() in kept for text in self.texts)


def _generation(row: RefreshRecord) -> int:
    return row.generation


TestRefreshing = Refreshing.TestCase
TestRefreshing.settings = settings(max_examples=300)

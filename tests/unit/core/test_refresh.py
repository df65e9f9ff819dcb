"""What becomes of a refresh token that is presented: each decision, at its edges."""

from itertools import pairwise
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core import refresh
from jotgate.core.families import Family, FoundFamily, RefreshRecord
from jotgate.core.logins import Login
from jotgate.core.opaque import Mark, make_opaque, opaque_digest
from jotgate.core.refresh import Decision, Presentation, Refusal, Refuse, Repeat, Reuse, Rotate
from jotgate.core.successor_seal import open_successor, seal_successor
from jotgate.core.values import Secret

NOW_S: Final = 1_800_000_000
FAMILY: Final = Family(
    family_id="f", client_id="app", subject="ann", idle_s=1_000, created_at_s=NOW_S, ends_at_s=NOW_S + 5_000
)
TEXTS: Final = [make_opaque(Mark.REFRESH, bytes([index]) * 32) for index in range(4)]


def lineage(*used_at_s: float) -> list[RefreshRecord]:
    """The tokens of a family of which the first were used at these times; the last counts."""
    rows = [refresh.first(FAMILY, TEXTS[0])]
    for at_s, (text, successor) in zip(used_at_s, pairwise(TEXTS), strict=False):
        rows[-1:] = refresh.advance(Rotate(FAMILY, rows[-1]), text, successor, bytes(12), at_s)
    return rows


def decide(
    rows: list[RefreshRecord], index: int, at_s: float, *, grace_s: int = 10, family: Family = FAMILY
) -> Decision:
    found = FoundFamily(family, rows[index], tuple(rows[index + 1 :]))
    return refresh.decide(found, Presentation(TEXTS[index], "app", at_s), grace_s)


def test_a_token_that_counts_is_rotated_until_it_was_idle_for_too_long() -> None:
    rows = lineage()
    assert decide(rows, 0, NOW_S + 999.9) == Rotate(FAMILY, rows[0])
    assert decide(rows, 0, NOW_S + 1_000) == Refuse(Refusal.EXPIRED)


def test_its_successor_is_as_long_idle_but_never_longer_than_the_family_lives() -> None:
    assert lineage(NOW_S + 900.7)[-1].expires_at_s == NOW_S + 1_900
    (_, last) = refresh.advance(Rotate(FAMILY, lineage()[0]), TEXTS[0], TEXTS[1], bytes(12), NOW_S + 4_500)
    assert (last.issued_at_s, last.expires_at_s) == (NOW_S + 4_500, FAMILY.ends_at_s)


def test_RT_04_a_family_ends_however_much_it_is_used() -> None:
    (_, last) = refresh.advance(Rotate(FAMILY, lineage()[0]), TEXTS[0], TEXTS[1], bytes(12), NOW_S + 4_999)
    found = FoundFamily(FAMILY, last)
    assert isinstance(refresh.decide(found, Presentation(TEXTS[1], "app", NOW_S + 4_999.9), 10), Rotate)
    assert refresh.decide(found, Presentation(TEXTS[1], "app", NOW_S + 5_000), 10) == Refuse(Refusal.EXPIRED)


@pytest.mark.parametrize(("after_s", "repeated"), [(0, True), (9.2, True), (9.3, False), (10, False), (900, False)])
def test_the_grace_is_counted_from_the_first_use_and_is_never_longer(after_s: float, *, repeated: bool) -> None:
    rows = lineage(NOW_S + 100.7)  # It is kept in whole seconds, so that it ends 0.7 s early.
    decision = decide(rows, 0, NOW_S + 100.7 + after_s)
    assert decision == (Repeat(FAMILY, rows[1], TEXTS[1]) if repeated else Reuse(FAMILY, rows[0]))


def test_without_a_grace_each_further_use_is_reuse() -> None:
    rows = lineage(NOW_S + 100)
    for at_s in (NOW_S + 99, NOW_S + 100):  # A clock may be behind, and a request may have had to wait.
        assert decide(rows, 0, at_s, grace_s=0) == Reuse(FAMILY, rows[0])


def test_a_clock_that_is_behind_that_of_the_machine_of_the_first_use_is_within_the_grace() -> None:
    rows = lineage(NOW_S + 100)
    assert isinstance(decide(rows, 0, NOW_S + 98), Repeat)


def test_a_repeat_is_answered_with_the_newest_token_and_its_own_grace_is_what_counts() -> None:
    rows = lineage(NOW_S + 100, NOW_S + 108)
    assert decide(rows, 0, NOW_S + 109) == Repeat(FAMILY, rows[2], TEXTS[2])
    assert decide(rows, 0, NOW_S + 110) == Reuse(FAMILY, rows[0]), "the use of its successor gives it no more time"
    assert decide(rows, 1, NOW_S + 117) == Repeat(FAMILY, rows[2], TEXTS[2])


@pytest.mark.parametrize("place", [0, 1])
def test_where_a_link_is_erased_a_repeat_is_reuse(place: int) -> None:
    rows = lineage(NOW_S + 100, NOW_S + 101)
    rows[place] = replace(rows[place], successor=None)
    assert decide(rows, 0, NOW_S + 102) == Reuse(FAMILY, rows[0])


def test_where_a_link_leads_to_another_token_a_repeat_is_reuse() -> None:
    rows = lineage(NOW_S + 100)
    rows[0] = replace(rows[0], successor=seal_successor(rows[0], TEXTS[0], TEXTS[3], bytes(12)))
    assert decide(rows, 0, NOW_S + 101) == Reuse(FAMILY, rows[0])


def test_a_used_token_whose_successor_is_lost_is_reuse() -> None:
    rows = lineage(NOW_S + 100)[:1]
    assert decide(rows, 0, NOW_S + 101) == Reuse(FAMILY, rows[0])


def test_reuse_is_reuse_after_the_family_has_reached_its_end_too() -> None:
    rows = lineage(NOW_S + 100)
    assert decide(rows, 0, NOW_S + 6_000) == Reuse(FAMILY, rows[0]), "access tokens may outlast it"


def test_a_repeat_gives_no_token_whose_time_is_over() -> None:
    family = replace(FAMILY, idle_s=5)
    rows = list(refresh.advance(Rotate(family, lineage()[0]), TEXTS[0], TEXTS[1], bytes(12), NOW_S + 100))
    assert isinstance(decide(rows, 0, NOW_S + 104, family=family), Repeat)
    assert decide(rows, 0, NOW_S + 105, family=family) == Refuse(Refusal.EXPIRED)


def test_F03_a_stranger_learns_nothing_and_ends_nothing() -> None:
    rows, ended = lineage(NOW_S + 100), replace(FAMILY, ended_at_s=NOW_S + 1)
    for family in (FAMILY, ended):
        for index in (0, 1):
            found = FoundFamily(family, rows[index], tuple(rows[index + 1 :]))
            assert refresh.decide(found, Presentation(TEXTS[index], "other", NOW_S + 900), 10) == Refuse(
                Refusal.STRANGER
            )


def test_nothing_of_an_ended_family_counts_within_a_grace_or_not() -> None:
    rows, ended = lineage(NOW_S + 100), replace(FAMILY, ended_at_s=NOW_S + 101)
    assert [decide(rows, index, NOW_S + 102, family=ended) for index in (0, 1)] == [Refuse(Refusal.ENDED)] * 2


def test_what_is_not_known_is_refused() -> None:
    assert refresh.decide(None, Presentation(TEXTS[0], "app", NOW_S), 10) == Refuse(Refusal.UNKNOWN)


def test_a_sealed_successor_is_read_with_the_token_before_it_alone() -> None:
    token = lineage(NOW_S)[0]
    assert open_successor(token, TEXTS[0]) == TEXTS[1]
    assert TEXTS[1].reveal().encode() not in (token.successor or b"")
    assert open_successor(token, TEXTS[2]) is None
    assert open_successor(token, Secret(token.digest.hex())) is None, "what the store has is no key to it"
    assert open_successor(replace(token, family_id="g"), TEXTS[0]) is None
    assert open_successor(replace(token, generation=1), TEXTS[0]) is None
    for damaged in (b"", b"\x01", b"\x01" + bytes(12), b"\x02" + (token.successor or b"")[1:]):
        assert open_successor(replace(token, successor=damaged), TEXTS[0]) is None
    for place in range(len(token.successor or b"")):
        flipped = bytearray(token.successor or b"")
        flipped[place] ^= 1
        assert open_successor(replace(token, successor=bytes(flipped)), TEXTS[0]) is None


def test_texts_show_in_no_repr() -> None:
    rows = lineage(NOW_S + 100)
    shown = repr((rows, decide(rows, 0, NOW_S + 101), decide(rows, 1, NOW_S + 101)))
    assert "jot_r_" not in shown
    assert opaque_digest(TEXTS[1].reveal()).hex() not in shown


def test_who_is_further_behind_than_is_read_is_too_late() -> None:
    """Where the token that counts was not read, nobody is given one that was used."""
    rows = lineage(NOW_S + 100, NOW_S + 101, NOW_S + 102)
    found = FoundFamily(FAMILY, rows[0], tuple(rows[1:3]))
    assert refresh.decide(found, Presentation(TEXTS[0], "app", NOW_S + 103), 10) == Reuse(FAMILY, rows[0])


def test_what_was_begun_at_a_face_is_a_strangers_everywhere_else_and_ends_by_nothing_there() -> None:
    """Neither the token service's grant takes it, nor does a face take what the token service gave."""
    logged_in = replace(FAMILY, login=Login(face="api-gateway"))
    for family, face in ((logged_in, ""), (logged_in, "other"), (FAMILY, "api-gateway")):
        rows = lineage(NOW_S)  # Used, and long ago: who might use it would end it.
        found = FoundFamily(family, rows[0], tuple(rows[1:]))
        presented = Presentation(TEXTS[0], "app", NOW_S + 900, face=face)
        assert refresh.decide(found, presented, 10) == Refuse(Refusal.STRANGER)
    found = FoundFamily(logged_in, lineage()[0])
    taken = refresh.decide(found, Presentation(TEXTS[0], "app", NOW_S, face="api-gateway"), 10)
    assert isinstance(taken, Rotate)

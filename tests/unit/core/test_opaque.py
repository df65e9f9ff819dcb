"""Opaque tokens: their one form, and that nothing else has it."""

from hashlib import sha256

import pytest

from jotgate.core.opaque import Mark, is_opaque, make_opaque, opaque_digest

GOOD = "jot_r_" + "A" * 42 + "8"


def test_a_new_one_has_its_mark_and_its_form_and_shows_itself_to_nobody() -> None:
    made = make_opaque(Mark.REFRESH, bytes(31) + b"\xff")
    assert made.reveal() == "jot_r_" + "A" * 41 + "P8"
    assert is_opaque(Mark.REFRESH, made.reveal())
    assert "jot_r_" not in repr(made)
    assert opaque_digest(made.reveal()) == sha256(made.reveal().encode()).digest()


def test_F07_all_256_last_bytes_make_the_form_that_is_taken() -> None:
    made = {make_opaque(Mark.PERSONAL, bytes(31) + bytes([last])).reveal() for last in range(256)}
    assert len(made) == 256
    assert all(is_opaque(Mark.PERSONAL, text) and not is_opaque(Mark.REFRESH, text) for text in made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jot_r_",
        GOOD[:-1],
        GOOD + "A",
        GOOD + "=",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1] + "9",  # its unused bits are not zero
        GOOD.replace("A", "+", 1),
        GOOD.replace("A", "\u0410", 1),
        "JOT_R_" + GOOD[6:],
        "jot_s_" + GOOD[6:],
        GOOD * 1_000,
    ],
)
def test_F07_nothing_else_has_the_form(text: str) -> None:
    assert is_opaque(Mark.REFRESH, GOOD)
    assert not is_opaque(Mark.REFRESH, text)

"""Whose what is at Coze: names that keep callers apart and say nothing of them."""

from itertools import combinations

import pytest
from msgspec.structs import replace

from jotgate.core.coze_sessions import LABEL_MAX, is_label, session_name, session_of, user_name
from jotgate.core.principals import Principal

_CALLER = Principal("https://issuer.example", "alice", "app", "t1", "k1", frozenset({"ai"}), None, 2e9, 0.0, "acme")
_TUPLES = (
    ("https://issuer.example", "acme", "alice", "work"),
    ("https://issuer.example", "acme", "alice", "home"),
    ("https://issuer.example", "acme", "alicework", ""),
    ("https://issuer.example", "acmealice", "", "work"),
    ("https://issuer.example", "", "acmealice", "work"),
    ("https://issuer.exampleacme", "", "alice", "work"),
    ("https://issuer.example", "acme", "alice\x00work", ""),
)


@pytest.mark.parametrize(("one", "other"), list(combinations(_TUPLES, 2)))
def test_no_two_callers_or_labels_share_a_session(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert session_name(*one) != session_name(*other)


def test_a_session_name_is_stable_and_says_nothing_of_its_caller() -> None:
    name = session_of(_CALLER, "work")

    assert name == session_name("https://issuer.example", "acme", "alice", "work")
    assert len(name) == 43
    assert "alice" not in name


def test_a_call_without_a_label_is_of_one_session() -> None:
    assert session_of(_CALLER, "") == session_of(_CALLER, "default")


def test_a_user_is_the_same_in_all_sessions_and_by_all_tokens_of_a_subject() -> None:
    assert user_name(_CALLER) == user_name(replace(_CALLER, token_id="t2", kid="k2"))
    assert user_name(_CALLER) != user_name(replace(_CALLER, subject="bob"))
    assert user_name(_CALLER) != session_of(_CALLER, "")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", False),
        ("a", True),
        ("a" * LABEL_MAX, True),
        ("a" * (LABEL_MAX + 1), False),
        ("a\n", False),
        ("ü b", True),
        ("a\ufffd", False),
    ],
)
def test_labels_are_bounded_and_printable(text: str, good: bool) -> None:
    assert is_label(text) is good

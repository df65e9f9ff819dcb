"""`.env` files: what a line may say, and that nothing in it is executed or expanded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.dotenv import read_variables

_PEM = "-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("A=", ""),
        ("A = 1 ", "1"),
        ("export A=1", "1"),
        ("A=two words # a comment", "two words"),
        ("A=a#b", "a#b"),
        ("A= # only a comment", ""),
        ("A=it's", "it's"),
        ("A='single # not a comment' # a comment", "single # not a comment"),
        ("A='\\n'", "\\n"),
        ('A="a\\nb\\t\\"c\\"\\\\"', 'a\nb\t"c"\\'),
        ('A="\\x41 \\$"', "\\x41 \\$"),
        ("A='two\nlines'", "two\nlines"),
        ('A="two\nlines"', "two\nlines"),
        ("A=$HOME ${HOME} $(id) `id`", "$HOME ${HOME} $(id) `id`"),
        ('A="$HOME"', "$HOME"),
        ("A=a\\nb", "a\\nb"),
        (f"A={_PEM}".replace("\n", "\\n"), _PEM),
        ('A="' + _PEM.replace("\n", "\\n") + '"', _PEM),
        (f'A="{_PEM}"', _PEM),
        ("\ufeffA=1\r\n", "1"),
        ("A=1\nA=2", "2"),
    ],
)
def test_a_value_is_what_is_written(text: str, value: str) -> None:
    variables = read_variables(text)
    assert variables.values == {"A": value}
    assert variables.strange_lines == ()


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert read_variables("# A=1\n\n  # B=2\n\t\nC=3\n").values == {"C": "3"}


@pytest.mark.parametrize("line", ["A", "1A=1", "- a", "A.B=1", "{hush}", 'A="open', "A='open", 'A="closed" then more'])
def test_a_line_that_is_not_understood_is_numbered_and_the_next_is_read(line: str) -> None:
    variables = read_variables(f"# first\n{line}\nB=1\n")
    assert variables.values == {"B": "1"}
    assert variables.strange_lines == (2,)


@given(st.text())
def test_any_text_is_read_to_its_end(text: str) -> None:
    variables = read_variables(text)
    assert list(variables.strange_lines) == sorted(set(variables.strange_lines))


@given(st.text(alphabet=st.characters(exclude_characters="'\r")))
def test_what_stands_in_single_quotes_comes_back(text: str) -> None:
    assert read_variables(f"A='{text}'\nB=1").values == {"A": text, "B": "1"}

"""The targets take and refuse, hold on a few hundred inputs, and a parser that is at fault is found."""

import pytest

from bench.fuzz.exchange import Harm
from bench.fuzz.parsers import Outcome, is_guided, render_parsers, run_generated, run_guided
from bench.fuzz.targets import TARGETS, Target, base64url
from jotgate.jose.encoding import b64url_decode


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_a_refusal_leaves_a_parser(name: str) -> None:
    found = run_generated(name, TARGETS[name], 1, 200)
    assert found.inputs >= 200
    assert found.driver == "Hypothesis"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_begins_with_what_is_taken_and_with_what_is_refused(name: str) -> None:
    taken = [TARGETS[name].takes(one) for one in TARGETS[name].seeds()]
    assert any(taken)
    assert not all(taken)


def test_a_parser_at_fault_is_found() -> None:
    def careless(given: bytes) -> bool:
        return bool(given.decode())

    with pytest.raises(UnicodeDecodeError):
        run_generated("careless", Target(lambda: [b"QUJD"], careless), 1, 500)

    def forgetful(given: bytes) -> bool:
        if base64url(given) and b64url_decode(given) not in (b"", b"ABC"):
            raise Harm("something else was decoded")
        return True

    with pytest.raises(Harm, match="something else"):
        run_generated("forgetful", Target(lambda: [b"QUJD"], forgetful), 1, 2_000)


def test_the_page_says_how_much_was_tried_and_by_whom() -> None:
    guided = render_parsers([Outcome("json", "atheris", 12_345, 67, 20.4), Outcome("pem", "atheris", 55, None, 1.0)])
    assert guided[0] == "## The parsers, in process: 12,400 inputs"
    assert "| json | 12,345 | 67 | 20 |" in guided
    assert "| pem | 55 |  | 1 |" in guided
    assert "atheris" in guided[2]
    assert "Hypothesis" in render_parsers([Outcome("json", "Hypothesis", 1, None, 1.0)])[2]


@pytest.mark.skipif(not is_guided(), reason="atheris is not installed")
def test_atheris_guides_where_it_is_installed() -> None:
    found = run_guided("base64url", 1, 1)
    assert found.inputs > 1_000
    assert found.reached

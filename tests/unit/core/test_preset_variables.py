"""Variables of older systems, read one by one: a value, nothing, or a fault that says what to write."""

import pytest

from jotgate.core.faults import Fault
from jotgate.core.preset_variables import find_variable, read_choice, read_flag, read_list, read_number, read_whole

NAMES = ("NEW", "OLD")


def test_the_first_spelling_that_is_set_counts_and_an_empty_one_is_not_set() -> None:
    assert find_variable({"OLD": " 2 "}, NAMES) == ("OLD", "2")
    assert find_variable({"NEW": "1", "OLD": "2"}, NAMES) == ("NEW", "1")
    assert find_variable({"NEW": "  ", "OLD": "2"}, NAMES) == ("OLD", "2")
    assert find_variable({}, NAMES) is None


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("1", 1), ("10", 10), ("", None)])
def test_a_whole_number(text: str, value: int | None) -> None:
    faults: list[Fault] = []
    assert (read_whole({"NEW": text}, NAMES, faults, 1, 10), faults) == (value, [])


@pytest.mark.parametrize("text", ["0", "11", "1.5", "one", "-3", "٣", "1" * 5000])
def test_what_is_no_such_number_is_a_fault_with_the_bounds(text: str) -> None:
    faults: list[Fault] = []
    assert read_whole({"OLD": text}, NAMES, faults, 1, 10) is None
    ((name, fault),) = faults
    assert (name, "a whole number from 1 to 10" in fault) == ("OLD", True)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("2", 2.0), ("1e0", 1.0)])
def test_a_number(text: str, value: float) -> None:
    faults: list[Fault] = []
    assert (read_number({"NEW": text}, NAMES, faults, 0.5, 2), faults) == (value, [])


@pytest.mark.parametrize("text", ["nan", "inf", "2.1", "half"])
def test_what_is_no_number_is_a_fault(text: str) -> None:
    faults: list[Fault] = []
    assert read_number({"NEW": text}, NAMES, faults, 0.5, 2) is None
    assert faults[0][1].endswith("must be a number from 0.5 to 2")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("Yes", True), ("FALSE", False), ("off", False)]
)
def test_a_flag(text: str, value: bool) -> None:
    faults: list[Fault] = []
    assert (read_flag({"NEW": text}, NAMES, faults), faults) == (value, [])
    assert read_flag({"NEW": "perhaps"}, NAMES, faults) is None
    assert "true or false" in faults[0][1]


def test_a_choice_is_taken_in_any_case() -> None:
    faults: list[Fault] = []
    assert read_choice({"NEW": "INFO"}, NAMES, faults, ("info", "error")) == "info"
    assert read_choice({"NEW": "loud"}, NAMES, faults, ("info", "error")) is None
    assert "one of info, error" in faults[0][1]


@pytest.mark.parametrize(("text", "value"), [("a, b,", ("a", "b")), ('["a", "b"]', ("a", "b")), ("[]", ())])
def test_a_list_is_json_or_has_commas(text: str, value: tuple[str, ...]) -> None:
    faults: list[Fault] = []
    assert (read_list({"NEW": text}, NAMES, faults), faults) == (value, [])


@pytest.mark.parametrize("text", ["[1]", '["a"', "[" * 100_000])
def test_a_list_that_is_none_is_a_fault(text: str) -> None:
    faults: list[Fault] = []
    assert read_list({"NEW": text}, NAMES, faults) is None
    assert len(faults) == 1

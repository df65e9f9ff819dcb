"""Where a face listens: the setting, else its system's variables, else its default."""

from collections.abc import Mapping
from typing import Final

import pytest

from jotgate.core.face_listeners import Listening, find_listen

_NAMES: Final = ("API_HOST", "API_PORT")
_DEFAULT: Final = ("127.0.0.1", 8000)


def found(variables: Mapping[str, str], chosen: str = "") -> Listening:
    return find_listen(variables, _NAMES, _DEFAULT, "prompt_chain.listen", chosen)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, _DEFAULT),
        ({"API_HOST": " ", "API_PORT": ""}, _DEFAULT),
        ({"API_HOST": "::1", "API_PORT": " 9000 "}, ("::1", 9000)),
        ({"API_PORT": "0"}, ("127.0.0.1", 0)),
    ],
)
def test_variables_go_before_the_default_and_an_empty_one_is_none(
    variables: Mapping[str, str], address: tuple[str, int]
) -> None:
    assert found(variables) == Listening(address, _NAMES)


def test_the_setting_goes_before_the_variables() -> None:
    listening = found({"API_PORT": "9000"}, "[::1]:7000")
    assert listening == Listening(("::1", 7000), ("prompt_chain.listen", "prompt_chain.listen"))


@pytest.mark.parametrize("text", ["-1", "65536", "http", "8 0", "٣", "1" * 30])
def test_a_port_that_is_none_is_told_with_its_variable(text: str) -> None:
    listening = found({"API_PORT": text})
    assert (listening.address, [path for path, _ in listening.faults]) == (_DEFAULT, ["API_PORT"])


@pytest.mark.parametrize("text", ["8000", "localhost", "h:p", "a@b:1", "h:1/x"])
def test_a_setting_that_is_no_address_is_told_with_its_path(text: str) -> None:
    listening = found({}, text)
    assert (listening.address, [path for path, _ in listening.faults]) == (_DEFAULT, ["prompt_chain.listen"])

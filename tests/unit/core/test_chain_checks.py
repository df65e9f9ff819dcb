"""What chains may not say is told at the start, at its place, with what to write."""

import tomllib
from typing import Any

import pytest

from jotgate.core.chain_checks import check_prompts
from jotgate.core.config_reader import read
from tests.chaining import PROMPTS, SETTINGS


def faults(text: str) -> dict[str, str]:
    """The faults by path; several of one path behind one another."""
    found: dict[str, str] = {}
    for path, fault in read(tomllib.loads(text)).faults:
        found[path] = f"{found.get(path, '')}{fault}; "
    return found


def with_lines(old: str, new: str, count: int = 1) -> str:
    assert old in SETTINGS
    return SETTINGS.replace(old, new, count)


def test_the_usual_settings_are_sound() -> None:
    assert faults(SETTINGS) == {}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (with_lines('name = "c"', 'name = "one"'), "chains[0].name", "as upstreams[0] is"),
        (with_lines('name = "c"', 'name = "echo"'), "chains[0].name", "the built-in upstream"),
        (with_lines('name = "c"', 'name = "m"'), "chains[0].name", "a model's name already"),
        (with_lines('model = "m"\nmax', 'model = "mm"\nmax'), "chains[0].steps[0].model", "did you mean 'm'?"),
        (with_lines('model = "m"\nmax', 'model = "c"\nmax'), "chains[0].steps[0].model", "no upstream and no route"),
        (
            with_lines('model = "m"\nmax', 'model = "x"\nupstream = "on"\nmax'),
            "chains[0].steps[0].upstream",
            "did you mean 'one'?",
        ),
        (
            with_lines('model = "m"\nmax', 'model = "x"\nupstream = "c"\nmax'),
            "chains[0].steps[0].upstream",
            "no upstream is called",
        ),
        (with_lines('name = "work"', 'name = "find"'), "chains[0].steps[1].name", "stands twice"),
        (with_lines('name = "find"', 'name = "request"'), "chains[0].steps[0].name", "a place of prompts"),
        (with_lines('timeout = "15s"', 'timeout = "2d"'), "chains[0].steps[0].timeout", "longer than a day"),
        (with_lines('timeout = "60s"', 'timeout = "2d"'), "chains[0].timeout", "longer than a day"),
        (with_lines('timeout = "15s"', "stream = true"), "chains[0].steps[0].stream", "only the last step"),
        (
            with_lines("stream = true", "stream = true\ngates = [{ not_empty = true }]"),
            "chains[0].steps[2].stream",
            "whole",
        ),
        (
            with_lines('member = "intent", not_empty', 'member = "intend", not_empty'),
            "chains[0].steps[0].gates[0].member",
            "did you mean",
        ),
        (with_lines("not_empty = true", "not_empty = false"), "chains[0].steps[0].gates[0]", "demands nothing"),
        (
            with_lines("stream = true", 'gates = [{ member = "x", not_empty = true }]'),
            "chains[0].steps[2].gates[0].member",
            "without a schema",
        ),
    ],
)
def test_a_fault_says_where_it_stands_and_what_to_do(text: str, path: str, words: str) -> None:
    found = faults(text)
    assert path in found, found
    assert words in found[path]


def test_a_name_is_of_one_chain() -> None:
    other = '\n[[chains]]\nname = "c"\n[[chains.steps]]\nname = "x"\nprompt_file = "p"\nmodel = "m"\n'
    assert "as chains[0] is" in faults(SETTINGS + other)["chains[1].name"]


def test_a_chain_stands_alone_in_a_route() -> None:
    alone = '\n[[routes]]\nalias = "mine"\nattempts = [{ upstream = "c" }]\n'
    assert faults(SETTINGS + alone) == {}
    beside = alone.replace('{ upstream = "c" }', '{ upstream = "c" }, { upstream = "one" }')
    assert "stands alone" in faults(SETTINGS + beside)["routes[0].attempts"]


def test_a_chain_whose_route_has_its_name_is_sound_and_no_step_of_another() -> None:
    route = '\n[[routes]]\nalias = "c"\nattempts = [{ upstream = "c" }]\n'
    assert faults(SETTINGS + route) == {}
    other = '\n[[chains]]\nname = "d"\n[[chains.steps]]\nname = "x"\nprompt_file = "p"\nmodel = "c"\n'
    assert list(faults(SETTINGS + route + other)) == ["chains[1].steps[0].model"]


def test_an_upstream_without_models_may_be_a_steps_alone() -> None:
    spare = '\n[[upstreams]]\nname = "spare"\nkind = "openai"\nbase_url = "http://a/v1"\n'
    assert list(faults(SETTINGS + spare)) == ["upstreams[2].models"]
    used = SETTINGS.replace('model = "n"\nmax', 'model = "x"\nupstream = "spare"\nmax')
    assert faults(used + spare + '\n[[prices]]\nmodel = "x"\nupstream = "spare"\ninput = 1\noutput = 1\n') == {}


def test_prompts_are_checked_by_what_comes_before_them() -> None:
    chains: Any = read(tomllib.loads(SETTINGS)).chains
    assert check_prompts(chains, PROMPTS) == []
    wrong = {**PROMPTS, "find.md": "{{work}}", "tell.md": "{{find.intent}} {{schema}}"}
    assert [path for path, _ in check_prompts(chains, wrong)] == [
        "chains[0].steps[0].prompt_file",
        "chains[0].steps[2].prompt_file",
    ]
    assert check_prompts(chains, {}) == []  # What could not be read has its own fault.

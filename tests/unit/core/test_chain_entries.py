"""`[[chains]]` is read with every fault at its own path, and a step can be replaced by name."""

import tomllib
from typing import Any

from msgspec import structs

from jotgate.core.chain_entries import read_chains, with_step
from jotgate.core.faults import Fault
from tests.chaining import SETTINGS


def chains() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(SETTINGS)["chains"]
    return found


def faults_with(**changes: object) -> list[Fault]:
    """The faults of the usual chain whose first step has these settings."""
    entries = chains()
    entries[0]["steps"][0] |= changes
    faults: list[Fault] = []
    read_chains(entries, faults)
    return faults


def test_a_chain_is_read_with_its_steps_in_order() -> None:
    faults: list[Fault] = []
    found = read_chains(chains(), faults)
    assert faults == []
    assert [step.name for step in found["chains[0]"].steps] == ["find", "work", "tell"]
    assert found["chains[0]"].steps[1].gates[0].at_least == 0.5


def test_each_fault_stands_at_its_own_path_and_a_chain_with_one_is_none() -> None:
    for changes, path in (
        ({"promt_file": "x"}, "chains[0].steps[0].promt_file"),
        ({"name": "two words"}, "chains[0].steps[0].name"),
        ({"max_tokens": 0}, "chains[0].steps[0].max_tokens"),
        ({"temperature": 3}, "chains[0].steps[0].temperature"),
        ({"timeout": "0s"}, "chains[0].steps[0].timeout"),
        ({"asks_for": "xml"}, "chains[0].steps[0].asks_for"),
        ({"stream": "yes"}, "chains[0].steps[0].stream"),
        ({"gates": [{"member": "a", "atleast": 1}]}, "chains[0].steps[0].gates[0].atleast"),
        ({"gates": 3}, "chains[0].steps[0].gates"),
        ({"schema": {"type": "array"}}, "chains[0].steps[0].schema.type"),
        ({"schema": {"type": "object", "oneOf": []}}, "chains[0].steps[0].schema.oneOf"),
        ({"schema": 3}, "chains[0].steps[0].schema"),
    ):
        assert [found for found, _ in faults_with(**changes)] == [path], changes


def test_what_is_no_chain_is_told_so() -> None:
    for value, path in (
        ({}, "chains"),
        ([3], "chains[0]"),
        ([{"name": "c", "steps": []}], "chains[0].steps"),
        ([{"name": "c"}], "chains[0].steps"),
        ([{"name": "c", "steps": [3]}], "chains[0].steps[0]"),
        ([{"name": "c d", "steps": chains()[0]["steps"]}], "chains[0].name"),
        ([{"name": "c", "tries": 0, "steps": chains()[0]["steps"]}], "chains[0].tries"),
    ):
        faults: list[Fault] = []
        assert read_chains(value, faults) == {}
        assert [found for found, _ in faults] == [path], value


def test_a_step_takes_the_place_of_the_one_that_has_its_name() -> None:
    found = read_chains(chains(), [])["chains[0]"]
    changed = with_step(found, structs.replace(found.steps[1], model="n", max_tokens=7))
    assert [(step.name, step.model, step.max_tokens) for step in changed.steps] == [
        ("find", "m", 50),
        ("work", "n", 7),
        ("tell", "n", 70),
    ]

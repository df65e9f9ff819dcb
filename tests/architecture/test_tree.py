"""The tree keeps the limits of size and shape, but for the places that `allowed.py` lists."""

from collections.abc import Mapping
from functools import cache

import pytest

from tests.architecture import rules
from tests.architecture.allowed import ALLOWED, unlisted
from tests.architecture.rules import Finding, Rule
from tests.architecture.sources import sources
from tests.architecture.test_rules import public_rules

EACH_FILE: list[Rule] = [
    rules.module_size,
    rules.function_size,
    rules.parameters,
    rules.nesting,
    rules.no_global,
    rules.no_broad_except,
    rules.no_local_import,
    rules.no_any,
    rules.no_mock,
    rules.no_sleep,
    rules.docstring,
    rules.empty_init,
    rules.no_print,
    rules.no_idle_name,
]


@cache
def found() -> Mapping[str, list[Finding]]:
    """What each rule finds in the tree: every file is read once for all of them."""
    findings: dict[str, list[Finding]] = {rule.__name__: [] for rule in EACH_FILE}
    for source in sources():
        for rule in EACH_FILE:
            findings[rule.__name__] += rule(source)
    return findings


@pytest.mark.timeout(240)  # Whichever comes first reads the whole tree, on a machine that may be busy.
@pytest.mark.parametrize("rule", EACH_FILE, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    wrong = unlisted(rule, found()[rule.__name__])
    assert wrong == [], "\n".join(wrong)


def test_every_struct_repeats_frozen() -> None:
    wrong = unlisted(rules.frozen_structs, rules.frozen_structs(sources("src")))
    assert wrong == [], "\n".join(wrong)


def test_every_rule_is_applied_and_every_list_belongs_to_a_rule() -> None:
    applied = {rule.__name__ for rule in EACH_FILE} | {rules.frozen_structs.__name__}
    assert {rule.__name__ for rule in public_rules()} == applied
    assert set(ALLOWED) <= applied


def test_an_entry_that_nothing_needs_is_a_fault() -> None:
    idle = unlisted(rules.empty_init, [])
    assert len(idle) == len(ALLOWED[rules.empty_init.__name__])
    assert "is not needed" in idle[0]

"""Each rule finds its bad sample and lets the good one pass: a rule that cannot fail guards nothing."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import rules
from tests.architecture.allowed import covers
from tests.architecture.rules import Finding, Rule
from tests.architecture.sources import Source, parse

LONG_BODY = "\n".join("    x = 1" for _ in range(rules.FUNCTION_LINES_MAX - 1))
DEEP = """
def f(xs):
    if xs:
        for x in xs:
            while x:
                {innermost}
"""
ELIFS = """
def f(x):
    for _ in x:
        if x == 1:
            pass
        elif x == 2:
            pass
        elif x == 3:
            if x:
                pass
"""

# rule, path, a sample that it refuses, its nearest neighbour that it lets pass
SAMPLES: list[tuple[Rule, str, str, str]] = [
    (rules.module_size, "src/jotgate/a.py", "x = 1\n" * 401, "x = 1\n" * 400),
    (rules.function_size, "src/jotgate/a.py", f"def f():\n{LONG_BODY}\n    y = 1", f"def f():\n{LONG_BODY}"),
    (
        rules.function_size,
        "src/a.py",
        f'def f():\n    """A\n    B"""\n{LONG_BODY}\n    y = 1',
        "def f(): ...",
    ),
    (rules.parameters, "src/a.py", "def f(a, b, c, d, *, e, f, g): ...", "def f(a, b, c, d, *, e, f): ..."),
    (
        rules.parameters,
        "src/a.py",
        "class C:\n    def f(self, a, b, c, d, e, *f, **g): ...",
        "class C:\n    def f(self, a, b, c, d, e, *f): ...",
    ),
    (rules.nesting, "src/a.py", DEEP.format(innermost="with x: pass"), DEEP.format(innermost="x = 1")),
    (rules.nesting, "src/a.py", DEEP.format(innermost="try: pass\n                finally: pass"), ELIFS),
    (rules.no_global, "src/a.py", "def f():\n    global x", "def f():\n    nonlocal_x = 1"),
    (rules.no_broad_except, "src/a.py", "try: f()\nexcept: pass", "try: f()\nexcept ValueError: pass"),
    (rules.no_broad_except, "src/a.py", "try: f()\nexcept (OSError, Exception): pass", "x = Exception"),
    (rules.no_broad_except, "src/a.py", "try: f()\nexcept builtins.BaseException: pass", "raise Exception"),
    (
        rules.no_broad_except,
        "src/a.py",
        "with contextlib.suppress(Exception): f()",
        "with suppress(OSError): f()",
    ),
    (rules.no_local_import, "src/a.py", "def f():\n    import os", "import os"),
    (rules.no_local_import, "src/a.py", "class C:\n    def f(self):\n        from os import path", "x = 1"),
    (rules.no_any, "src/jotgate/core/a.py", "x: dict[str, Any] = {}", "x: dict[str, object] = {}"),
    (rules.no_any, "src/jotgate/jose/a.py", "def f(x: typing.Any): ...", "def f(x: any_one): ..."),
    (rules.no_mock, "tests/a.py", "from unittest.mock import Mock", "from unittest import TestCase"),
    (rules.no_mock, "tests/a.py", "from unittest import mock", "import mockingbird"),
    (rules.no_mock, "tests/a.py", "import unittest.mock as m", "import unittest"),
    (rules.no_sleep, "tests/a.py", "time.sleep(0.1)", "time.monotonic()"),
    (rules.no_sleep, "tests/a.py", "async def f():\n    await asyncio.sleep(wait)", "asyncio.sleep(0)"),
    (rules.no_sleep, "tests/a.py", "from time import sleep as nap\nnap(1)", "nap(1)"),
    (rules.docstring, "src/jotgate/a.py", "x = 1", '"""What it is for."""'),
    (rules.docstring, "src/jotgate/a/__init__.py", "x = 1", ""),
    (rules.empty_init, "src/jotgate/a/__init__.py", '"""A."""\nfrom a import b', '"""A."""'),
    (rules.no_print, "src/jotgate/core/a.py", "def f():\n    print(1)", "def f():\n    printed(1)"),
    (rules.no_idle_name, "src/a.py", "_A: Final = 1\nb = 2", "_A: Final = 1\nb = _A"),
    (rules.no_idle_name, "src/a.py", "def _f(): ...", "@fixture\ndef _f(): ..."),
]


def frozen(source: Source) -> Iterator[Finding]:
    """`frozen_structs` looks at all files together; here at one."""
    return rules.frozen_structs([source])


SAMPLES += [
    (frozen, "src/a.py", "class A(Struct): ...", "class A(Struct, frozen=True): ..."),
    (frozen, "src/a.py", "class A(msgspec.Struct, frozen=False): ...", "class A: ..."),
    (
        frozen,
        "src/a.py",
        "class B(A, tag='b'): ...\nclass A(Struct, frozen=True): ...",
        "class B(A, tag='b', frozen=True): ...\nclass A(Struct, frozen=True): ...",
    ),
    (frozen, "src/a.py", "class A(Struct, Generic[T]): ...", "class A(Protocol[T]): ..."),
]


@pytest.mark.parametrize(("rule", "path", "bad", "good"), SAMPLES)
def test_rule_refuses_the_bad_sample_only(rule: Rule, path: str, bad: str, good: str) -> None:
    assert list(rule(parse(path, bad))) != []
    assert list(rule(parse(path, good))) == []


def test_every_rule_has_a_sample() -> None:
    sampled = {rule.__name__ for rule, *_ in SAMPLES} | {rules.frozen_structs.__name__}
    assert {rule.__name__ for rule in public_rules()} <= sampled


def test_rules_that_speak_of_a_ring_leave_the_others_alone() -> None:
    assert list(rules.no_any(parse("src/jotgate/edge/a.py", "x: Any"))) == []
    assert list(rules.no_sleep(parse("src/jotgate/processes/a.py", "time.sleep(1)"))) == []
    assert list(rules.no_print(parse("bench/a.py", "print(1)"))) == []


def test_a_finding_names_its_function() -> None:
    source = parse("src/a.py", "class C:\n    def f(self):\n        def g():\n            import os")
    assert [finding.place for finding in rules.no_local_import(source)] == ["C.f.g"]
    assert [str(finding) for finding in rules.no_local_import(source)] == [
        "src/a.py:4: import inside a function in C.f.g"
    ]


def test_an_entry_covers_its_place_only() -> None:
    finding = Finding("src/a/b.py", 1, "C.f", "x")
    assert covers("src/a/", finding)
    assert covers("src/a/b.py::*", finding)
    assert covers("src/a/b.py::C.f", finding)
    assert not covers("src/a/b.py::C.g", finding)
    assert not covers("src/a/c.py::*", finding)
    assert not covers("src/b/", finding)


def public_rules() -> list[Callable[..., object]]:
    """Every public function of the rules' module."""
    return [
        value
        for name, value in vars(rules).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == rules.__name__
        and callable(value)
        and not isinstance(value, type)
    ]

"""The limits of size and shape as functions from a source to its findings.

They are pure, so that each can be shown to fail on a bad sample. What is allowed all the same stands in
`allowed.py`, with its reason.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from tests.architecture.sources import Source

MODULE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 70
PARAMETERS_MAX: Final = 6
NESTING_MAX: Final = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef

_BLOCKS: Final = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)
_BROAD: Final = frozenset({"Exception", "BaseException"})
_RINGS_0_AND_1: Final = (
    "src/jotgate/codes.py",
    "src/jotgate/errors.py",
    "src/jotgate/failures.py",
    "src/jotgate/fault.py",
    "src/jotgate/mcp_refusals.py",
    "src/jotgate/quota_refusals.py",
    "src/jotgate/refusals.py",
    "src/jotgate/jose/",
    "src/jotgate/core/",
    "src/jotgate/ports.py",
    "src/jotgate/socket_ports.py",
    "src/jotgate/store_ports.py",
    "src/jotgate/services/",
    "src/jotgate/gateway/",
)


class Finding(NamedTuple):
    """What a rule found: where (`place` is the qualified function, or empty at module level) and what."""

    path: str
    line: int
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" + (f" in {self.place}" if self.place else "")


Rule = Callable[[Source], Iterator[Finding]]


def module_size(source: Source) -> Iterator[Finding]:
    """A module has at most 400 lines."""
    count = len(source.text.splitlines())
    if count > MODULE_LINES_MAX:
        yield Finding(source.path, count, "", f"{count} lines, {MODULE_LINES_MAX} are allowed")


def function_size(source: Source) -> Iterator[Finding]:
    """A function has at most 70 lines beside its docstring."""
    for place, node in _functions(source):
        count = _lines(node) - _docstring_lines(node)
        if count > FUNCTION_LINES_MAX:
            what = f"{count} lines without the docstring, {FUNCTION_LINES_MAX} are allowed"
            yield Finding(source.path, node.lineno, place, what)


def parameters(source: Source) -> Iterator[Finding]:
    """A function takes at most six parameters; `self` and `cls` are not counted."""
    for place, node in _functions(source):
        taken = node.args
        names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
        names += [argument.arg for argument in (taken.vararg, taken.kwarg) if argument is not None]
        if names[:1] in (["self"], ["cls"]):
            del names[0]
        if len(names) > PARAMETERS_MAX:
            what = f"{len(names)} parameters, {PARAMETERS_MAX} are allowed"
            yield Finding(source.path, node.lineno, place, what)


def nesting(source: Source) -> Iterator[Finding]:
    """Blocks stand at most three deep in a function; an `elif` is no deeper than its `if`."""
    for place, node in _functions(source):
        deepest, line = _deepest(node.body, 0)
        if deepest > NESTING_MAX:
            yield Finding(source.path, line, place, f"{deepest} blocks deep, {NESTING_MAX} are allowed")


def no_global(source: Source) -> Iterator[Finding]:
    """No function rebinds a module's names."""
    for place, node in _placed(source):
        if isinstance(node, ast.Global):
            yield Finding(source.path, node.lineno, place, "`global`")


def no_broad_except(source: Source) -> Iterator[Finding]:
    """Nothing catches everything: no bare except, no Exception, no BaseException, and no suppress of them."""
    for place, node in _placed(source):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _is_broad(node.type)):
            yield Finding(source.path, node.lineno, place, "broad `except`")
        if isinstance(node, ast.Call) and _name(node.func) == "suppress" and any(map(_is_broad, node.args)):
            yield Finding(source.path, node.lineno, place, "broad `suppress`")


def no_local_import(source: Source) -> Iterator[Finding]:
    """Imports stand at the top, where a reader and the import contracts see them."""
    for place, node in _placed(source):
        if place and isinstance(node, ast.Import | ast.ImportFrom):
            yield Finding(source.path, node.lineno, place, "import inside a function")


def no_any(source: Source) -> Iterator[Finding]:
    """Rings 0 and 1 know the type of everything."""
    if not source.path.startswith(_RINGS_0_AND_1):
        return
    for place, node in _placed(source):
        if isinstance(node, ast.Name | ast.Attribute) and _name(node) == "Any":
            yield Finding(source.path, node.lineno, place, "`Any`")


def no_mock(source: Source) -> Iterator[Finding]:
    """Tests use real implementations; nothing imports a mocking library."""
    for place, node in _placed(source):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if any(f"{name}.".startswith(("mock.", "unittest.mock.")) for name in _imported(node)):
            yield Finding(source.path, node.lineno, place, "a mocking library")


def no_sleep(source: Source) -> Iterator[Finding]:
    """Tests wait for what they wait for; only `sleep(0)`, which gives way, is not a guess."""
    if not source.path.startswith(("tests/", "src/jotgate/testing/")):
        return
    slept = {"sleep"} | set(_renamed_sleeps(source))
    for place, node in _placed(source):
        if not isinstance(node, ast.Call) or _name(node.func) not in slept:
            continue
        if not (len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0):
            yield Finding(source.path, node.lineno, place, "a sleep")


def docstring(source: Source) -> Iterator[Finding]:
    """A module says in its first line what it is for; an empty `__init__` has nothing to say."""
    if source.path.endswith("/__init__.py") and not source.tree.body:
        return
    if not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "", "no module docstring")


def empty_init(source: Source) -> Iterator[Finding]:
    """A package's `__init__` holds no code, so that importing one module imports no other."""
    if not source.path.endswith("/__init__.py"):
        return
    code = source.tree.body[1:] if ast.get_docstring(source.tree) else source.tree.body
    if code:
        yield Finding(source.path, code[0].lineno, "", "code in __init__")


def no_print(source: Source) -> Iterator[Finding]:
    """Only commands talk on stdout."""
    if not source.path.startswith("src/"):
        return
    for place, node in _placed(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield Finding(source.path, node.lineno, place, "`print`")


def no_idle_name(source: Source) -> Iterator[Finding]:
    """A private name of a module is used in it; what is decorated may be used by its decorator."""
    words = Counter(re.findall(r"\w+", source.text))
    for node in source.tree.body:
        for name in _defined(node):
            if name.startswith("_") and not name.startswith("__") and name != "_" and words[name] == 1:
                yield Finding(source.path, node.lineno, "", f"`{name}` is used by nothing")


def frozen_structs(found: Iterable[Source]) -> Iterator[Finding]:
    """Each Struct repeats `frozen=True`: mypy refuses writes only where it stands on the class itself."""
    classes = [
        (source, node)
        for source in found
        if source.path.startswith("src/")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    ]
    structs = {"Struct"}
    while grown := {node.name for _, node in classes if _bases(node) & structs} - structs:
        structs |= grown
    for source, node in classes:
        if _bases(node) & structs and not _is_frozen(node):
            yield Finding(source.path, node.lineno, node.name, "a Struct without `frozen=True`")


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [] if node.decorator_list else [node.name]
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return [one.id for one in targets if isinstance(one, ast.Name)]


def _is_frozen(node: ast.ClassDef) -> bool:
    return any(
        keyword.arg == "frozen" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )


def _bases(node: ast.ClassDef) -> set[str]:
    return {_name(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases}


def _renamed_sleeps(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.asname for alias in node.names if alias.name == "sleep" and alias.asname)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    origin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    yield from (f"{origin}{alias.name}" for alias in node.names)


def _is_broad(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(_name(part) in _BROAD for part in parts)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_lines(node: Function) -> int:
    if ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _functions(source: Source) -> Iterator[tuple[str, Function]]:
    for place, node in _placed(source):
        if isinstance(node, Function):
            yield place, node


def _placed(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the qualified name of the function it is or stands in, empty outside of functions."""
    waiting: list[tuple[str, str, ast.AST]] = [("", "", source.tree)]
    while waiting:
        scope, place, node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            scope = f"{scope}.{node.name}" if scope else node.name
        if isinstance(node, Function):
            place = scope
        yield place, node
        waiting.extend((scope, place, child) for child in reversed(list(ast.iter_child_nodes(node))))


def _deepest(body: Iterable[ast.stmt], depth: int) -> tuple[int, int]:
    """How deep the blocks below these statements stand, and the line of the first that stands deepest."""
    deepest, line = depth, 0
    for node in body:
        if not isinstance(node, _BLOCKS):
            continue
        for below, level in _branches(node, depth + 1):
            reached = _deepest(below, level)
            reached = (reached[0], reached[1] or node.lineno)
            deepest, line = max((deepest, line), reached, key=lambda found: found[0])
    return deepest, line


def _branches(node: ast.stmt, depth: int) -> Iterator[tuple[list[ast.stmt], int]]:
    for field, value in ast.iter_fields(node):
        is_elif = isinstance(node, ast.If) and field == "orelse" and len(value) == 1
        if is_elif and isinstance(value[0], ast.If) and value[0].col_offset == node.col_offset:
            yield value, depth - 1
        elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value, depth
        elif isinstance(value, list) and value and isinstance(value[0], ast.ExceptHandler | ast.match_case):
            yield from ((branch.body, depth) for branch in value)

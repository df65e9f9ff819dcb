"""Rules about the repository as a whole: its words, and which unit tests have a module."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

# Written in pieces, so that this file does not contain what it looks for.
_HOSTS: Final = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
)
_WORKPLACE: Final = (
    "co-authored" + "-by",
    "generated " + "with",
    "issues " + "show",
    "found" + "er",
    "sub" + "agent",
    "as an " + "ai",
    "claude" + " code",
)

FORBIDDEN: Final = (
    ("a machine's path", re.compile(r"(?<![\w.~}\])-])/(?:work|root)(?=/|\b(?![\w-]))")),
    ("a machine's path", re.compile("/" + "tmp/(?:prompt|contract)")),
    ("a package index", re.compile("|".join(map(re.escape, _HOSTS)), re.IGNORECASE)),
    (
        "a package index",
        re.compile(r"^\s*--(?:extra-)?(?:index-url|find-links|trusted-host)\b", re.MULTILINE),
    ),
    ("a package index", re.compile(r"https?://[^\s\"'<>]+/simple\b", re.IGNORECASE)),
    ("the workplace", re.compile("|".join(rf"\b{word}\b" for word in _WORKPLACE), re.IGNORECASE)),
)


def foreign_words(path: str, text: str) -> Iterator[str]:
    """Each place where a file speaks of something other than jotgate."""
    for kind, pattern in FORBIDDEN:
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path}:{line}: '{found[0].strip()}' speaks of {kind}"


def strays(tests: Iterable[str], modules: Collection[str]) -> Iterator[str]:
    """Unit tests without a module.

    `tests/unit/core/test_values.py` and `test_values_ASPECT.py` belong to `src/jotgate/core/values.py` or a
    package of that name, `tests/unit/bench/` to `bench/`, and `tests/unit/tools/` to `tools/`.
    """
    known = {module.removesuffix("/__init__.py").removesuffix(".py") for module in modules}
    for path in map(PurePosixPath, tests):
        if path.name in ("__init__.py", "conftest.py"):
            continue
        folder = path.parent.relative_to("tests/unit")
        home = folder if folder.parts[:1] in {("bench",), ("tools",)} else PurePosixPath("src/jotgate") / folder
        words = path.stem.removeprefix("test_").split("_")
        names = {"_".join(words[: count + 1]) for count in range(len(words))}
        if not path.stem.startswith("test_") or not any(str(home / name) in known for name in names):
            yield f"{path}: no module in {home}/ has this name"

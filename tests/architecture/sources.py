"""The repository's own files, as the architecture and documentation tests read them."""

import ast
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]

# Five documents that are kept byte for byte; none of our rules applies to them.
FOREIGN: Final = "tests/documents/sources/"

_NOT_OURS: Final = frozenset({"build", "dist", "data", "node_modules"})


class Source(NamedTuple):
    """One Python file: `path` is relative to the repository and has forward slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The file's dotted name below `src`, or below the repository for everything else."""
        parts = self.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").split("/")
        return ".".join(parts)


def parse(path: str, text: str) -> Source:
    """A source from its text. Raises SyntaxError."""
    return Source(path, text, ast.parse(text, path))


def files() -> list[str]:
    """Every file that is tracked or would be: what git knows, or a walk where there is no git to ask."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = _walk()
    else:
        listed = iter(filter(None, found.split("\0")))
    return sorted({path for path in listed if (ROOT / path).is_file()})


def sources(*folders: str) -> Iterator[Source]:
    """The Python files below these folders, all that have some when none is named; one after the other is read."""
    below = tuple(f"{folder}/" for folder in folders or ("src", "tests", "bench", "tools", "scripts"))
    for path in files():
        if path.endswith(".py") and path.startswith(below):
            yield parse(path, (ROOT / path).read_text("utf-8"))


def _walk() -> Iterator[str]:
    for folder, names, found in os.walk(ROOT):
        names[:] = [name for name in names if not name.startswith(".") or name == ".ci"]
        names[:] = [name for name in names if name not in _NOT_OURS and name != "__pycache__"]
        for name in found:
            yield (Path(folder) / name).relative_to(ROOT).as_posix()

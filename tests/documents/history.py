"""The `not yet` list may only shrink: compare it with every version of itself that git knows."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.documents.checks import NOT_YET, read_list
from tests.documents.ledger import Document, Fault


def earlier_lists(root: Path) -> list[tuple[str, str]] | None:
    """Each committed version of the list as (commit, text), newest first; None where git cannot tell."""
    commits = _git(root, "log", "--format=%h", "--", NOT_YET)
    if commits is None:
        return None
    texts = [(commit, _git(root, "show", f"{commit}:./{NOT_YET}")) for commit in commits.split()]
    return [(commit, text) for commit, text in texts if text is not None]


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False, encoding="utf-8")
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def growth_faults(documents: Mapping[str, Document], text: str, earlier: list[tuple[str, str]]) -> list[Fault]:
    """A line that is absent from any earlier version has left the list, and does not come back."""
    named = read_list(text, documents)
    faults = []
    for commit, old in earlier:
        try:
            kept = read_list(old, documents).keys()
        except ValueError:
            continue  # a version that could not be read; make documents failed on it then
        for key in named.keys() - kept:
            line = f"line {key[1]} of document {key[0]}"
            faults.append(Fault(NOT_YET, named.pop(key), f"{line} came back: {commit} had it off the list"))
    return faults

"""The five documents and their ledger as values: which lines there are, and which entry claims them."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = "tests/documents"
KINDS: Final = ("run", "patched", "contract", "unsafe", "vendor", "prose", "not yet")
_HEADER: Final = "[[entry]]"


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong; `file` is relative to the root of the tree, `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Document(msgspec.Struct, frozen=True):
    """One of the five documents; `number` is "000" to "004", `file` is relative to the root of the tree."""

    number: str
    file: str
    lines: tuple[str, ...]

    def has(self, line: int) -> bool:
        """Whether this line (from 1) exists and holds anything but white space."""
        return 1 <= line <= len(self.lines) and bool(self.lines[line - 1].strip())

    def filled(self) -> list[int]:
        """The numbers of all lines that hold anything but white space."""
        return [line for line in range(1, len(self.lines) + 1) if self.has(line)]

    def text(self, first: int, last: int) -> str:
        """The lines `first` to `last`, both included, as they stand."""
        return "".join(line + "\n" for line in self.lines[first - 1 : last])


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[entry]]` of the ledger as written; docs/documents.md says what each field means."""

    document: str
    lines: str
    kind: str
    what: str
    test: str = ""
    why: str = ""
    patch: tuple[tuple[str, str], ...] = ()
    step: int = 0
    becomes: str = ""


class Placed(msgspec.Struct, frozen=True):
    """An entry and the line of the ledger on which it begins."""

    entry: Entry
    line: int


def read_documents(root: Path) -> dict[str, Document]:
    """All documents of the tree by number, in order of their numbers."""
    found = sorted((root / FOLDER / "sources").glob("*.txt"))
    return {path.name[:3]: read_document(root, path) for path in found}


def read_document(root: Path, path: Path) -> Document:
    """One document; only a newline ends a line, a newline at the very end begins none."""
    text = path.read_bytes().decode("utf-8", "replace")  # a source that was changed is told by its SHA-256
    return Document(
        number=path.name[:3],
        file=path.relative_to(root).as_posix(),
        lines=tuple(text.removesuffix("\n").split("\n")),
    )


def read_ledger(root: Path) -> tuple[list[Placed], list[Fault]]:
    """The entries that can be read, and a fault for each that cannot."""
    file = f"{FOLDER}/ledger.toml"
    text = (root / file).read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        return [], [Fault(file, 1, f"not TOML: {wrong}")]
    rows = table.pop("entry", [])
    starts = [number for number, line in enumerate(text.split("\n"), 1) if line.strip() == _HEADER]
    faults = [Fault(file, 1, f"'{name}' is unknown; only {_HEADER} is read") for name in table]
    if not isinstance(rows, list) or len(rows) != len(starts):
        return [], [*faults, Fault(file, 1, f"each entry begins with a line that holds {_HEADER} alone")]
    placed = []
    for line, row in zip(starts, rows, strict=True):
        try:
            placed.append(Placed(msgspec.convert(row, Entry), line))
        except msgspec.ValidationError as wrong:
            faults.append(Fault(file, line, f"the entry cannot be read: {wrong}"))
    return placed, faults


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """The pairs (first, last) of `"12-18, 20"`; a single line is a pair of itself.

    Raises:
        ValueError: the text is anything else, or a range runs backwards.
    """
    ranges = []
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
            raise ValueError(f"'{part.strip()}' is no line and no range; write '12-18, 20'")
        first, last = int(ends[0]), int(ends[-1])
        if first > last:
            raise ValueError(f"'{part.strip()}' runs backwards")
        ranges.append((first, last))
    return ranges


def write_ranges(lines: Iterable[int], document: Document) -> str:
    """The inverse of `parse_ranges`; a range bridges empty lines, and nothing else that is missing."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and not any(document.has(between) for between in range(parts[-1][1] + 1, line)):
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def entry_text(entry: Entry, document: Document) -> str:
    """The lines of an entry whose ranges are sound, as they stand, empty lines inside a range included."""
    return "".join(document.text(first, last) for first, last in parse_ranges(entry.lines))


def claimed(entry: Entry, document: Document) -> list[int]:
    """The lines of an entry whose ranges are sound; empty lines inside a range belong to nobody."""
    return [line for first, last in parse_ranges(entry.lines) for line in range(first, last + 1) if document.has(line)]

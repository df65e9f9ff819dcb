"""What must hold between the documents, their ledger and the `not yet` list, before any test is run."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.documents.ledger import (
    FOLDER,
    KINDS,
    Document,
    Entry,
    Fault,
    Placed,
    claimed,
    entry_text,
    parse_ranges,
    read_documents,
    read_ledger,
)

LEDGER: Final = f"{FOLDER}/ledger.toml"
NOT_YET: Final = f"{FOLDER}/not-yet.txt"
SUMS: Final = f"{FOLDER}/sources.sha256"

# What an entry must have beside document, lines, kind and what; `why` apart, no other field may stand there.
_NEEDED: Final = {
    "run": {"test"},
    "patched": {"test", "patch", "why"},
    "contract": {"test"},
    "unsafe": {"test", "why"},
    "vendor": {"test", "why"},
    "prose": set[str](),
    "not yet": {"step", "becomes"},
}
_ALWAYS: Final = ("document", "lines", "kind", "what")
_OPTIONAL: Final = {"why"}
_TEST: Final = re.compile(r"tests/[\w/]+\.py(::\w+)+(\[.+\])?", re.ASCII)


def all_faults(root: Path) -> tuple[dict[str, Document], list[Placed], list[Fault]]:
    """Read the tree below `root` and give its documents, entries and each fault that needs no test run."""
    documents = read_documents(root)
    placed, faults = read_ledger(root)
    faults += source_faults(root)
    faults += [fault for one in placed for fault in field_faults(one)]
    broken = [fault for one in placed for fault in range_faults(one, documents)]
    faults += broken
    # Where a range is unsound, which lines are left over is guesswork: the range is said first.
    if not broken:
        faults += cover_faults(documents, placed)
        faults += [fault for one in placed for fault in patch_faults(one, documents[one.entry.document])]
        faults += list_faults(documents, placed, (root / NOT_YET).read_text(encoding="utf-8"))
    return documents, placed, sorted(faults)


def source_faults(root: Path) -> list[Fault]:
    """Each source must have the SHA-256 that `sources.sha256` records, and none may be missing there."""
    recorded = {}
    for number, line in enumerate((root / SUMS).read_text(encoding="ascii").splitlines(), 1):
        digest, _, name = line.partition("  ")
        recorded[name] = (digest, number)
    present = {path.name: path for path in sorted((root / FOLDER / "sources").glob("*"))}
    faults = [
        Fault(SUMS, number, f"{name} is recorded and not in sources/")
        for name, (_, number) in recorded.items()
        if name not in present
    ]
    for name, path in present.items():
        file = f"{FOLDER}/sources/{name}"
        if name not in recorded:
            faults.append(Fault(file, 1, "no SHA-256 is recorded for this file in sources.sha256"))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != recorded[name][0]:
            faults.append(Fault(file, 1, "the file is not the one whose SHA-256 sources.sha256 records"))
    return faults


def field_faults(placed: Placed) -> list[Fault]:
    """The kind must be known, and the fields must be those of the kind."""
    entry = placed.entry
    if entry.kind not in KINDS:
        known = ", ".join(KINDS)
        return [Fault(LEDGER, placed.line, f"kind '{entry.kind}' is unknown; it is one of {known}")]
    needed = set(_NEEDED[entry.kind])
    if entry.kind == "not yet" and entry.becomes:
        if entry.becomes not in _NEEDED or entry.becomes in {"prose", "not yet"}:
            return [Fault(LEDGER, placed.line, f"nothing becomes '{entry.becomes}'")]
        needed |= _NEEDED[entry.becomes] - {"test"}
    given = {name for name in Entry.__struct_fields__ if getattr(entry, name)}
    missing = [name for name in (*_ALWAYS, *sorted(needed)) if name not in given]
    spare = sorted(given - needed - set(_ALWAYS) - _OPTIONAL)
    faults = [f"an entry of kind '{entry.kind}' needs the field '{name}'" for name in missing]
    faults += [f"an entry of kind '{entry.kind}' has no field '{name}'" for name in spare]
    if entry.test and not _TEST.fullmatch(entry.test):
        faults.append(f"'{entry.test}' is no test; write tests/FILE.py::test_NAME")
    if "\n" in entry.what:
        faults.append("'what' is one line")
    return [Fault(LEDGER, placed.line, text) for text in faults]


def range_faults(placed: Placed, documents: Mapping[str, Document]) -> list[Fault]:
    """The document must exist, and both ends of each range must be lines of it that hold something."""
    entry = placed.entry
    document = documents.get(entry.document)
    if document is None:
        return [Fault(LEDGER, placed.line, f"there is no document '{entry.document}'")]
    try:
        ranges = parse_ranges(entry.lines)
    except ValueError as wrong:
        return [Fault(LEDGER, placed.line, f"lines: {wrong}")]
    return [
        Fault(LEDGER, placed.line, f"line {end} of document {entry.document} {_lack(document, end)}")
        for end in dict.fromkeys(end for ends in ranges for end in ends)
        if not document.has(end)
    ]


def _lack(document: Document, line: int) -> str:
    return "is empty" if 1 <= line <= len(document.lines) else "does not exist"


def patch_faults(placed: Placed, document: Document) -> list[Fault]:
    """What a patch replaces must stand in the lines of its entry."""
    text = entry_text(placed.entry, document)
    return [
        Fault(LEDGER, placed.line, f"patch: '{old}' does not stand in these lines")
        for old, _ in placed.entry.patch
        if not old or old not in text
    ]


def cover_faults(documents: Mapping[str, Document], placed: list[Placed]) -> list[Fault]:
    """Every line that is not empty belongs to exactly one entry."""
    faults = []
    owners: dict[tuple[str, int], list[int]] = {}
    for one in placed:
        for line in claimed(one.entry, documents[one.entry.document]):
            owners.setdefault((one.entry.document, line), []).append(one.line)
    for document in documents.values():
        for line in document.filled():
            found = owners.get((document.number, line), [])
            if not found:
                faults.append(Fault(document.file, line, "no entry of ledger.toml has this line"))
            elif len(found) > 1:
                where = ", ".join(f"{LEDGER}:{number}" for number in found)
                faults.append(Fault(document.file, line, f"more than one entry has this line: {where}"))
    return faults


def not_yet_lines(documents: Mapping[str, Document], placed: list[Placed]) -> set[tuple[str, int]]:
    """Each (document, line) that an entry of kind `not yet` holds."""
    return {
        (one.entry.document, line)
        for one in placed
        if one.entry.kind == "not yet"
        for line in claimed(one.entry, documents[one.entry.document])
    }


def read_list(text: str, documents: Mapping[str, Document]) -> dict[tuple[str, int], int]:
    """Each (document, line) of a `not yet` list and the line of the list that names it.

    Raises:
        ValueError: a line of the list is not `DOCUMENT: RANGES`, or names a document that does not exist; its
            `args` are the message and the number of that line.
    """
    named: dict[tuple[str, int], int] = {}
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip() or row.startswith("#"):
            continue
        name, _, ranges = row.partition(":")
        if name not in documents:
            raise ValueError(f"there is no document '{name}'", number)
        try:
            pairs = parse_ranges(ranges)
        except ValueError as wrong:
            raise ValueError(str(wrong), number) from wrong
        lines = (line for first, last in pairs for line in range(first, last + 1))
        named.update({(name, line): number for line in lines if documents[name].has(line)})
    return named


def list_faults(documents: Mapping[str, Document], placed: list[Placed], text: str) -> list[Fault]:
    """The list names exactly the lines that the ledger has as `not yet`."""
    try:
        named = read_list(text, documents)
    except ValueError as wrong:
        message, number = wrong.args
        return [Fault(NOT_YET, number, message)]
    held = not_yet_lines(documents, placed)
    grown = [
        Fault(documents[number].file, line, f"is 'not yet', and {NOT_YET}, which only shrinks, does not name it")
        for number, line in held - named.keys()
    ]
    done = [
        Fault(NOT_YET, row, f"line {line} of document {number} is 'not yet' no longer: take it out")
        for (number, line), row in named.items()
        if (number, line) not in held
    ]
    return grown + done

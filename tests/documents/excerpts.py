"""The documents' own text for the tests that execute it, with the patches that the ledger lists."""

import textwrap
from pathlib import Path
from typing import Final

from tests.documents.ledger import Document, Entry, claimed, entry_text, read_documents, read_ledger

ROOT: Final = Path(__file__).resolve().parents[2]


def excerpt(number: str, line: int, **values: str) -> str:
    """The text of the entry that has this line of document `number`, its patch applied.

    `{name}` in the new text of a patch becomes `values[name]`: what only exists once the test runs.
    """
    document = read_documents(ROOT)[number]
    entry = _entry(document, line)
    text = entry_text(entry, document)
    for old, new in entry.patch:
        written = new
        for name, value in values.items():
            written = written.replace("{" + name + "}", value)
        text = text.replace(old, written)
    return text


def code(number: str, line: int, **values: str) -> str:
    """Only what stands between the fences of that entry, moved to the left margin."""
    inside, lines = False, []
    for row in excerpt(number, line, **values).splitlines():
        if row.lstrip().startswith("```"):
            inside = not inside
        elif inside:
            lines.append(row)
    assert lines, f"the entry with line {line} of document {number} has no fenced code"
    return textwrap.dedent("\n".join(lines)) + "\n"


def _entry(document: Document, line: int) -> Entry:
    placed, _ = read_ledger(ROOT)
    found = [
        one.entry for one in placed if one.entry.document == document.number and line in claimed(one.entry, document)
    ]
    assert len(found) == 1, f"{len(found)} entries have line {line} of document {document.number}"
    return found[0]

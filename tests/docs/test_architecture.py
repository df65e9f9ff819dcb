"""ARCHITECTURE.md and docs/operations.md say what the code says."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from jotgate.core.operations import OPERATIONS
from tests.architecture.sources import Source, files, parse, sources
from tests.docs.pages import Page, folders, pages

PLACE: Final = re.compile(r"[\w./-]+(\.py|/)")
ROW: Final = re.compile(r"^\| (?P<objects>[^|]+) \| (?P<places>[^|]+) \| [^|]+ \|$", re.MULTILINE)
CODE: Final = re.compile(r"`([^`]+)`")
MUTABLE: Final = re.compile(r"\b[Mm]utable\b")


def listed_objects(page: Page) -> dict[str, list[str]]:
    """The objects that change, each with the files that its row names."""
    return {
        name: CODE.findall(row["places"])
        for row in ROW.finditer(page.text)
        for name in CODE.findall(row["objects"])
        if name.isidentifier()
    }


def classes(source: Source) -> Iterator[ast.ClassDef]:
    """The classes of a file."""
    return (node for node in source.tree.body if isinstance(node, ast.ClassDef))


def declared_mutable(found: Iterable[Source]) -> set[str]:
    """Public classes whose own docstring says that they are mutable."""
    return {
        node.name
        for source in found
        for node in classes(source)
        if MUTABLE.search(ast.get_docstring(node) or "") and not node.name.startswith("_")
    }


def test_every_file_that_the_map_names_exists() -> None:
    """The map from concept to file is only worth something while its files are there."""
    exists = folders(files())
    places = [span.rstrip("/") for span in pages()["ARCHITECTURE.md"].spans() if PLACE.fullmatch(span)]
    assert len(places) > 20
    assert [place for place in places if not {place, f"src/jotgate/{place}"} & exists] == []


def test_every_object_that_changes_is_in_the_file_that_its_row_names() -> None:
    listed = listed_objects(pages()["ARCHITECTURE.md"])
    classes_of = {source.path.removeprefix("src/jotgate/"): names(source) for source in sources("src")}
    assert len(listed) > 10
    lost = [name for name, places in listed.items() if not any(name in classes_of.get(place, ()) for place in places)]
    assert lost == []


def test_every_class_that_says_it_is_mutable_is_listed() -> None:
    listed = listed_objects(pages()["ARCHITECTURE.md"])
    assert declared_mutable(sources("src")) - set(listed) == set()


def test_every_operation_is_in_its_page() -> None:
    text = pages()["docs/operations.md"].text
    lacking = [
        row.name for row in OPERATIONS if f"| `{row.name}` | {row.method.decode()} | `{row.path.decode()}`" not in text
    ]
    assert lacking == []


def test_a_mutable_class_is_seen() -> None:
    text = "class A:\n    'Keeps. Mutable: x.'\nclass B:\n    'Immutable.'\nclass _C:\n    'Mutable.'"
    assert declared_mutable([parse("src/jotgate/a.py", text)]) == {"A"}


def names(source: Source) -> set[str]:
    """The names of a file's classes."""
    return {node.name for node in classes(source)}

"""Pages lead somewhere: links, make targets and decisions named in them exist."""

import re
from typing import Final

import pytest

from tests.architecture.sources import ROOT, files
from tests.docs.pages import Page, dead_links, folders, pages

TARGET: Final = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
MAKE: Final = re.compile(r"\bmake ([a-z][a-z-]*)")
ADR: Final = re.compile(r"docs/adr/(\d{4}-[a-z0-9-]+\.md)")


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))


def called_targets(page: Page) -> set[str]:
    """The make targets that a page tells its reader to run: in code, not in prose."""
    return {name for code in page.blocks() + page.spans() for name in MAKE.findall(code)}


def test_links_resolve() -> None:
    known = pages()
    exists = folders(files())
    dead = [fault for page in known.values() for fault in dead_links(page, known, exists)]
    assert dead == [], "\n".join(dead)


def test_the_makefile_has_the_targets_that_every_page_names() -> None:
    named = {(page.path, name) for page in pages().values() for name in called_targets(page)}
    assert {place for place in named if place[1] not in targets()} == set()


def test_the_readme_opens_with_the_two_commands() -> None:
    """A newcomer needs these two and nothing before them."""
    assert {"serve", "test"} <= called_targets(pages()["README.md"])


def test_every_make_target_has_its_line_in_the_help_and_in_the_contributors_page() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    described = set(re.findall(r"^([a-z-]+):[^\n]*## ", text, re.MULTILINE))
    assert described == targets()
    assert described - {"help"} <= called_targets(pages()["CONTRIBUTING.md"])


def test_every_decision_is_listed_under_its_own_title() -> None:
    index = pages()["docs/adr/README.md"]
    decisions = {found[1]: path for path in pages() if (found := ADR.fullmatch(path))}
    assert set(decisions) == {link for link in index.links() if "/" not in link}
    for name, path in decisions.items():
        (title,) = pages()[path].headings(1)
        assert f"[{title}]({name})" in index.text
        assert title.startswith(f"{name[:4]} ")


@pytest.mark.parametrize("section", ["Status", "Why", "Decision", "Consequences"])
def test_every_decision_has_the_template_sections(section: str) -> None:
    lacking = [path for path, page in pages().items() if ADR.fullmatch(path) and section not in page.headings(2)]
    assert lacking == []


def test_every_page_below_docs_is_in_its_index() -> None:
    index = pages()["docs/README.md"]
    below = {path.removeprefix("docs/") for path in pages() if re.fullmatch(r"docs/[^/]+\.md", path)}
    assert below - {"README.md"} <= set(index.links())


SAMPLE: Final = Page(
    "docs/a.md",
    "# The `a` page\n\n[up](../README.md#first-run) [here](#the-a-page) [b](b.md) [out](https://x.example/)\n"
    "[no](c.md) [nor](b.md#missing) [neither](#gone) `[code](d.md)`\n\n"
    "```sh\n# not a heading\nmake serve\n```\n"
    "Then make a wish, or `make test`.\n",
)


def test_a_dead_link_is_found() -> None:
    known = {
        "docs/a.md": SAMPLE,
        "docs/b.md": Page("docs/b.md", "# B\n"),
        "README.md": Page("README.md", "## First run\n"),
    }
    assert [fault.split(": ")[1] for fault in dead_links(SAMPLE, known, folders(known))] == [
        "c.md leads nowhere",
        "b.md#missing",
        "#gone",
    ]


def test_commands_are_read_from_code_only() -> None:
    assert called_targets(SAMPLE) == {"serve", "test"}
    assert SAMPLE.headings() == ["The a page"]

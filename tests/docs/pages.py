"""Markdown pages as the documentation tests read them: headings, links and what stands in code."""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from tests.architecture.sources import FOREIGN, ROOT, files

_FENCE: Final = re.compile(r"^(`{3,}|~{3,})([^\n]*)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_HEADING: Final = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]\n]*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_NOT_IN_ANCHOR: Final = re.compile(r"[^\w\- ]")


class Page(NamedTuple):
    """One Markdown file; `path` is relative to the repository."""

    path: str
    text: str

    @property
    def prose(self) -> str:
        """The page without fenced blocks: a `#` in a shell line is no heading."""
        return _FENCE.sub("", self.text)

    def headings(self, level: int | None = None) -> list[str]:
        """The headings, all or those of one level, without the marks of code."""
        found = _HEADING.findall(self.prose)
        return [title.replace("`", "") for marks, title in found if level in (None, len(marks))]

    def anchors(self) -> set[str]:
        """The anchors of the headings, as the usual renderers make them."""
        return {_NOT_IN_ANCHOR.sub("", title.lower()).replace(" ", "-") for title in self.headings()}

    def links(self) -> list[str]:
        """Targets of the links that stay in the repository."""
        prose = _SPAN.sub("", self.prose)
        return [target for target in _LINK.findall(prose) if not _SCHEME.match(target)]

    def blocks(self, language: str | None = None) -> list[str]:
        """The contents of the fenced blocks, all or those of one language."""
        return [body for _, named, body in _FENCE.findall(self.text) if language in (None, named.strip())]

    def spans(self) -> list[str]:
        """The contents of inline code."""
        return _SPAN.findall(self.prose)


def pages() -> dict[str, Page]:
    """Every Markdown page of the repository by its path."""
    paths = [path for path in files() if path.endswith(".md") and not path.startswith(FOREIGN)]
    return {path: Page(path, (ROOT / path).read_text("utf-8")) for path in paths}


def dead_links(page: Page, known: dict[str, Page], exists: Collection[str]) -> Iterator[str]:
    """Links of a page to a file, folder or heading that is not there."""
    for link in page.links():
        target, _, anchor = link.partition("#")
        path = _resolve(page.path, target) if target else page.path
        if path not in exists and path not in known:
            yield f"{page.path}: {link} leads nowhere"
        elif anchor and path in known and anchor not in known[path].anchors():
            yield f"{page.path}: {link}: {path} has no such heading"


def folders(paths: Collection[str]) -> set[str]:
    """The paths and every folder above them."""
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents} | set(paths)


def _resolve(origin: str, target: str) -> str:
    parts: list[str] = list(PurePosixPath(origin).parent.parts)
    for part in PurePosixPath(target).parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or "."

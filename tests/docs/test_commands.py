"""The commands that pages tell their readers to type are ones that `jotgate` understands."""

import re
import shlex
from typing import Final

import pytest

from jotgate.cli import build_parser
from jotgate.errors import JotgateError
from tests.docs.pages import Page, pages

# Up to where the shell would end the command: a pipe, a redirection, a closing bracket, a comment.
COMMAND: Final = re.compile(r"(?:^|[|(;&]) *(?:\.venv/bin/)?jotgate ([^|<>()#;&\n]+)", re.MULTILINE)


def commands(page: Page) -> list[str]:
    """The arguments of each `jotgate …` in a page's shell blocks, and of those in its text that carry an option."""
    written = page.blocks("sh") + [span for span in page.spans() if " --" in span]
    return [found.strip() for code in written for found in COMMAND.findall(code)]


def is_understood(arguments: str) -> bool:
    """Whether the command line can be read; the options that print and leave count too."""
    try:
        build_parser().parse_args(shlex.split(arguments))
    except JotgateError:
        return False
    except SystemExit as left:
        return left.code == 0
    return True


def test_every_command_in_a_page_is_understood() -> None:
    found = {(page.path, command) for page in pages().values() for command in commands(page)}
    assert ("README.md", "token create --subject me") in found
    assert {place for place in found if not is_understood(place[1])} == set()


@pytest.mark.parametrize("wrong", ["token creat --subject me", "token create --sbject me", "up --port x", ""])
def test_a_wrong_command_is_not_understood(wrong: str) -> None:
    assert not is_understood(wrong)


def test_commands_are_found_where_a_shell_would_run_them() -> None:
    block = "jotgate up  # start\nx | .venv/bin/jotgate token verify\ncurl -H $(jotgate token create --subject a)\n"
    prose = "Here jotgate starts, `jotgate audit` reads, `jotgate audit tail -n 3 --json` shows.\n"
    page = Page("a.md", f"```sh\n{block}```\n```\njotgate draws\n```\n{prose}")
    assert commands(page) == ["up", "token verify", "token create --subject a", "audit tail -n 3 --json"]

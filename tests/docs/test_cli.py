"""docs/cli.md has each command and each option of the parser, and no other."""

import argparse
import re
from collections.abc import Iterator, Mapping

from jotgate.cli import build_parser
from tests.docs.pages import pages


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that run something, and the root."""
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not groups or parser.prog == "jotgate":
        yield parser
    for group in groups:
        for below in group.choices.values():
            yield from leaves(below)


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Each option as help shows it, with its value's name."""
    return {
        " ".join(filter(None, (action.option_strings[-1], action.metavar if isinstance(action.metavar, str) else "")))
        for action in parser._actions
        if action.option_strings and "--help" not in action.option_strings
    }


def sections(text: str) -> Mapping[str, str]:
    """What stands under each heading of level two."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(section: str) -> set[str]:
    """The first cells of a section's table."""
    return set(re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE))


def test_the_page_and_the_parser_say_the_same() -> None:
    wanted = {parser.prog: options(parser) for parser in leaves(build_parser())}
    found = {name: documented(text) for name, text in sections(pages()["docs/cli.md"].text).items()}
    # `inspect` takes `--data` because every command does, and reads nothing there.
    wanted["jotgate token inspect"] -= {"--data DIR"}
    assert found == wanted


def test_a_missing_option_would_be_noticed() -> None:
    parser = build_parser()
    parser.add_argument("--colour", metavar="NAME")
    assert options(parser) - documented(sections(pages()["docs/cli.md"].text)["jotgate"]) == {"--colour NAME"}

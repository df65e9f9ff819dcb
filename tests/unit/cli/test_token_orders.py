"""Lists of tokens come page by page, each asked for when the one before was read."""

from jotgate.cli.token_orders import pages
from jotgate.core.token_orders import TokenPage


def test_a_list_is_asked_for_until_a_page_is_the_last() -> None:
    told = {"": TokenPage([], "a", []), "a": TokenPage([], "b", []), "b": TokenPage([], "", [])}
    asked: list[str] = []

    def ask(after: str) -> TokenPage:
        asked.append(after)
        return told[after]

    assert list(pages(ask)) == list(told.values())
    assert asked == ["", "a", "b"]


def test_a_page_is_asked_for_when_the_one_before_was_read() -> None:
    asked: list[str] = []

    def ask(after: str) -> TokenPage:
        asked.append(after)
        return TokenPage([], "more", [])

    found = pages(ask)
    next(found)
    assert asked == [""]

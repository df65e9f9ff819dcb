"""Every code has its heading in docs/errors.md and a test that names it."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final, get_args

from jotgate.errors import ClaimFault, Code, JotgateError, TokenError
from tests.architecture.sources import Source, parse, sources
from tests.docs.pages import Page, pages

SECTIONS: Final = ("Means", "Happens when", "Do")
CATALOGUES: Final = ("tests/docs/", "tests/architecture/")


def classes(base: type[JotgateError] = JotgateError) -> Iterator[type[JotgateError]]:
    """Every class of the error tree that has a code of its own."""
    for below in base.__subclasses__():
        if "code" in vars(below):
            yield below
        yield from classes(below)


def entries(page: Page) -> dict[str, str]:
    """The text below each heading of level three."""
    parts = re.split(r"^### `([a-z0-9_]+)`[^\n]*$", page.text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named_codes(found: Iterable[Source]) -> set[Code]:
    """The codes that tests name: as `Code.X`, as a whole string, or after `error` in a longer one."""
    named: set[Code] = set()
    for source in found:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
                named |= {Code[node.attr]} if node.attr in Code.__members__ else set()
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                named |= {code for code in Code if text == code or re.search(rf"error {code}\b", text)}
    return named


def test_every_code_belongs_to_one_class() -> None:
    assert sorted(found.code for found in classes()) == sorted(Code)


def test_every_code_has_a_heading_and_every_heading_is_a_code() -> None:
    assert sorted(entries(pages()["docs/errors.md"])) == sorted(Code)


def test_every_entry_says_what_it_means_when_it_happens_and_what_to_do() -> None:
    lacking = [
        (code, section)
        for code, text in entries(pages()["docs/errors.md"]).items()
        for section in SECTIONS
        if f"**{section}:**" not in text
    ]
    assert lacking == []


def test_every_entry_states_the_status_that_the_class_has() -> None:
    """Faults of start-up and commands are never sent over HTTP; their entries state an exit code instead."""
    page = pages()["docs/errors.md"]
    heading = dict(re.findall(r"^### `([a-z0-9_]+)` · (.+)$", page.text, re.MULTILINE))
    over_http = {found.code: str(found.status) for found in classes() if heading[found.code] != "exit code 1"}
    assert {code: heading[code] for code in over_http} == over_http


def test_the_list_of_what_is_wrong_with_tokens_is_closed() -> None:
    """Each reason is a code of its own, or with `claim_refused` a claim and one of three words."""
    page = pages()["docs/errors.md"]
    listed = re.findall(r"^### `([a-z0-9_]+)`", page.text.split("\n## ")[1], re.MULTILINE)
    assert sorted(listed) == sorted(found.code for found in classes(TokenError))
    assert set(re.findall(r"`(\w+)`", entries(page)["claim_refused"])) >= set(get_args(ClaimFault))


def test_every_refused_token_gets_advice_that_fits_its_issuer() -> None:
    """`jotgate token create` makes no token of another issuer."""
    advice = {found: found.foreign_hint for found in classes(TokenError) if issubclass(found, TokenError)}
    assert [found for found, hint in advice.items() if not hint or "token create" in hint] == []


def test_every_code_is_named_by_a_test() -> None:
    tests = [source for source in sources("tests") if not source.path.startswith(CATALOGUES)]
    # `jotgate.testing.issuer` lists each wrong token with the code that refuses it; tests throw all of them.
    unnamed = sorted(set(Code) - named_codes([*tests, *sources("src/jotgate/testing")]))
    assert unnamed == [], ", ".join(unnamed)


def test_a_code_counts_only_where_it_is_meant() -> None:
    def named(text: str) -> set[Code]:
        return named_codes([parse("tests/a.py", text)])

    assert named("assert error.code is Code.TOKEN_EXPIRED") == {Code.TOKEN_EXPIRED}
    assert named("assert body['code'] == 'token_expired'") == {Code.TOKEN_EXPIRED}
    assert named("assert b'error token_expired:' in out") == {Code.TOKEN_EXPIRED}
    assert named("'a sentence that says internal things'") == set()
    assert named("# token_expired") == set()
    assert named("Code.NO_SUCH") == set()

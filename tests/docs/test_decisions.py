"""docs/decisions.md has the settings of paths, the fields that are read and answered, and examples that are sound."""

import tomllib

from jotgate.core.config_reader import parse
from jotgate.core.decision_entries import PathEntry, compile_decisions
from jotgate.core.decision_questions import EXT_AUTHZ, FORWARD_AUTH, NGINX, read_question
from jotgate.core.decisions import IDENTITY_FIELDS, STATUS_FIELD
from tests.docs.pages import Page, pages
from tests.docs.test_configuration import defaults, documented


def page() -> Page:
    return pages()["docs/decisions.md"]


def test_the_first_lines_say_what_cannot_be_metered() -> None:
    begin = page().text.split("\n\n")[1].replace("\n", " ")
    assert "tokens and money cannot be metered" in begin
    assert "calls at once cannot be counted" in begin


def test_the_settings_of_a_path_stand_there_with_their_defaults() -> None:
    section = page().text.partition("\n## Paths\n")[2].partition("\n## ")[0]
    assert documented(section) == defaults(PathEntry)


def test_what_is_answered_is_named() -> None:
    spans = page().spans()
    assert [name for name in (*IDENTITY_FIELDS, STATUS_FIELD) if name not in spans] == []


def test_each_row_of_what_is_asked_names_the_fields_that_are_read() -> None:
    rows = [line.split("|") for line in page().text.splitlines() if line.startswith("| ") and "X-Forwarded-For" in line]
    fields = [[cell.strip().strip("`") for cell in row[2:-1]] for row in rows]
    assert [row[0] for row in fields] == [
        FORWARD_AUTH.decode(),
        f"{FORWARD_AUTH.decode()}?{NGINX.decode()}",
        f"{EXT_AUTHZ.decode()}` and the path",
    ]
    for (_, method, uri, host, chain), style in zip(fields[:2], ("forwarded", "nginx"), strict=True):
        headers = {
            method.lower().encode(): b"PUT",
            uri.lower().encode(): b"/a?b",
            host.lower().encode(): b"api.example",
            chain.lower().encode(): b"192.0.2.1",
        }
        found = read_question("nginx" if style == "nginx" else "forwarded", b"GET", (FORWARD_AUTH, b""), headers)
        assert (found.method, found.path, found.query, found.host) == (b"PUT", b"/a", b"b", "api.example")


def test_the_examples_are_sound() -> None:
    found = [compile_decisions(parse(tomllib.loads(example)).decisions) for example in page().blocks("toml")]
    assert None not in found
    first = found[0]
    assert first is not None
    assert [one.name for one in first.paths] == ["everything", "reports", "health"]

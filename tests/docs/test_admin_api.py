"""docs/admin-api.md has each route of the admin API, as its table has it, and no other."""

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from jotgate.control.admin.application import PREFIX
from jotgate.control.admin.guard import scope_of
from jotgate.control.admin.openapi import statuses_of
from jotgate.control.admin.reading import LIMIT_MAX
from jotgate.control.admin.routes import ROUTES
from jotgate.control.admin.shapes import AdminRoute, Window
from jotgate.core.problem_details import ProblemDetail
from tests.docs.pages import Page, pages

_ROW = re.compile(r"^\| `(?:GET|POST|PUT|PATCH|DELETE) .*$", re.MULTILINE)


def rows_of(routes: Iterable[AdminRoute]) -> Iterator[str]:
    """The rows of the page's tables."""
    for route in routes:
        marks = [
            "pages" if route.paged else "",
            "`If-Match`" if route.guarded else "",
            "shows a secret once" if route.secret else "",
            *(f"`{one.name}`" for one in route.filters),
        ]
        notes = ", ".join(filter(None, marks))
        yield f"| `{route.method} {route.path}` | `{scope_of(route)}` | {route.status} | {route.summary} | {notes} |"


def page() -> Page:
    """The page."""
    return pages()["docs/admin-api.md"]


def test_the_page_and_the_table_have_the_same_routes() -> None:
    assert _ROW.findall(page().text) == list(rows_of(ROUTES))


def test_the_page_says_what_the_code_does() -> None:
    text = page().text
    assert f"`{PREFIX}`" in text
    assert f"from 1 to {LIMIT_MAX}, {Window().limit} unless it is given" in text
    assert [name for name in ProblemDetail.__struct_fields__ if f"`{name}`" not in text] == []


def test_every_status_of_the_api_is_in_the_page() -> None:
    statuses = {status for route in ROUTES for status in (route.status, *statuses_of(route))} | {404, 405}
    lacking = [status for status in sorted(statuses) if f"| {status} " not in page().text]
    assert lacking == []
    assert all(HTTPStatus(status) for status in statuses)

"""A refusal is told in the words of the path, and as a problem detail to who asks for one."""

import json

import pytest

from jotgate.core.dialects import render_at, wants_details
from jotgate.errors import TokenExpired


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"application/problem+json", True),
        (b"application/json, application/problem+json", True),
        (b"Application/Problem+JSON;q=0.5, text/html", True),
        (b"application/json;q=0.4,application/problem+json;q=0.5", True),
        (b"application/json, application/problem+json;q=0.9", False),
        (b"application/problem+json;q=0", False),
        (b"application/problem+json; Q=0.000", False),
        (b"*/*", False),
        (b"application/*", False),
        (b"application/json", False),
        (b"text/event-stream", False),
        (b"application/problem+jsonx", False),
        (b"\xff;;,,q=", False),
        (b"", False),
    ],
)
def test_problem_details_are_for_who_names_them(accept: bytes, wanted: bool) -> None:
    assert wants_details(accept) is wanted


def test_oauth_clients_get_their_own_object_whatever_they_accept() -> None:
    problem = render_at(b"/oauth/token", TokenExpired("late"), accept=b"application/problem+json")
    assert "error_description" in json.loads(problem.body)


def test_who_asks_for_nothing_gets_the_error_object() -> None:
    problem = render_at(b"/v1/models", TokenExpired("late"), accept=b"*/*")
    assert json.loads(problem.body)["error"]["code"] == "token_expired"

"""Renders a refusal as the prompt-chaining API does."""

import msgspec

from jotgate.core.problems import Problem, challenge_of, further_lines
from jotgate.errors import JotgateError


def render_detail(error: JotgateError, request_id: str) -> Problem:  # noqa: ARG001 - a Dialect
    """The refusal as that system's callers read it (`core.problems.Dialect`)."""
    lines = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
    challenge = challenge_of(error)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    return Problem(error.status, lines + further_lines(error), msgspec.json.encode({"detail": error.message}))

"""Rendered refusals as responses of control."""

from starlette.responses import Response

from jotgate.core.problems import Problem


def problem_response(problem: Problem) -> Response:
    """The status, header lines and body of a refusal."""
    response = Response(problem.body, problem.status)
    for line in problem.lines.decode("latin-1").removesuffix("\r\n").split("\r\n"):
        name, _, value = line.partition(": ")
        response.headers[name] = value
    return response

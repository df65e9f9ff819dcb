"""Which dialect a refusal is told in: it belongs to the path that was asked, whoever refuses."""

from typing import Final

from jotgate.core.oauth_problems import render_oauth
from jotgate.core.problems import Problem, render
from jotgate.errors import JotgateError

_OAUTH: Final = b"/oauth/"


def render_at(path: bytes, error: JotgateError, request_id: str = "", resource_metadata: str = "") -> Problem:
    """The refusal of a request for this path, as it was sent; see `core.problems.render`.

    OAuth clients read the object of RFC 6749 s5.2 and nothing else, also where their form never reached an endpoint.
    """
    if path.startswith(_OAUTH):
        return render_oauth(error)
    return render(error, request_id, resource_metadata)

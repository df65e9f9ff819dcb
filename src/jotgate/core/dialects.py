"""Which dialect a refusal is told in: it belongs to the path that was asked, whoever refuses."""

import re
from typing import Final

from jotgate.core.oauth_problems import render_oauth
from jotgate.core.problem_details import PROBLEM_TYPE, render_details
from jotgate.core.problems import Problem, render
from jotgate.errors import JotgateError

_OAUTH: Final = b"/oauth/"
_JSON: Final = "application/json"
_WEIGHT: Final = re.compile(r";[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*(?:;|\Z)", re.IGNORECASE)


def render_at(
    path: bytes, error: JotgateError, request_id: str = "", resource_metadata: str = "", accept: bytes = b""
) -> Problem:
    """The refusal of a request for this path, as it was sent; see `core.problems.render`.

    OAuth clients read the object of RFC 6749 s5.2 and nothing else, also where their form never reached an endpoint.
    Others get a problem detail (RFC 9457) if their field Accept names that type.
    """
    if path.startswith(_OAUTH):
        return render_oauth(error)
    if accept and wants_details(accept):
        return render_details(error, request_id, resource_metadata)
    return render(error, request_id, resource_metadata)


def wants_details(accept: bytes) -> bool:
    """Whether a field Accept (RFC 9110 s12.5.1) names problem details, and prefers no other JSON to them.

    A range with an asterisk names nothing: who sends one takes what has always come.
    """
    weights = {PROBLEM_TYPE: 0.0, _JSON: 0.0}
    for item in accept.decode("latin-1").split(","):
        name = item.partition(";")[0].strip().lower()
        if name in weights:
            weight = _WEIGHT.search(item)
            weights[name] = 1.0 if weight is None else float(weight[1])
    return weights[PROBLEM_TYPE] > 0 and weights[PROBLEM_TYPE] >= weights[_JSON]

"""Which dialect a refusal is told in: it belongs to the path that was asked, whoever refuses."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from jotgate.core.api_gateway import API_GATEWAY
from jotgate.core.api_gateway_problems import render_code
from jotgate.core.calls import Request
from jotgate.core.coze_proxy import COZE_PROXY
from jotgate.core.coze_proxy_problems import render_coze
from jotgate.core.decisions import DECISIONS
from jotgate.core.kong_auth import KONG_AUTH
from jotgate.core.kong_auth_problems import render_kong
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.mcp_daemon_problems import render_daemon
from jotgate.core.mcp_problems import render_mcp
from jotgate.core.mcp_servers import is_mcp
from jotgate.core.oauth_problems import render_oauth
from jotgate.core.problem_details import PROBLEM_TYPE, render_details
from jotgate.core.problems import Dialect, Problem, render
from jotgate.core.prompt_chain import PROMPT_CHAIN
from jotgate.core.prompt_chain_problems import render_detail
from jotgate.errors import JotgateError

_OAUTH: Final = b"/oauth/"
_JSON: Final = "application/json"
_WEIGHT: Final = re.compile(r";[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*(?:;|\Z)", re.IGNORECASE)


OF_FACES: Final[Mapping[str, Dialect]] = {
    PROMPT_CHAIN: render_detail,
    API_GATEWAY: render_code,
    COZE_PROXY: render_coze,
    KONG_AUTH: render_kong,
    MCP_DAEMON: render_daemon,
    DECISIONS: render,
}
"""The dialect of each face, by its name: whatever is refused there is told in it."""


def render_at(
    path: bytes,
    error: JotgateError,
    request_id: str = "",
    resource_metadata: str = "",
    accept: bytes = b"",
    *,
    face: str = "",
) -> Problem:
    """The refusal of a request for this path, as it was sent; see `core.problems.render`.

    `face` is `Request.face`: each has a dialect of its own, for all its paths.

    OAuth clients read the object of RFC 6749 s5.2 and nothing else, also where their form never reached an endpoint.
    Others get a problem detail (RFC 9457) if their field Accept names that type.
    """
    if face:
        return OF_FACES[face](error, request_id)
    if path.startswith(_OAUTH):
        return render_oauth(error)
    if is_mcp(path):
        return render_mcp(error, request_id, resource_metadata)
    if accept and wants_details(accept):
        return render_details(error, request_id, resource_metadata)
    return render(error, request_id, resource_metadata)


def render_for(request: Request, error: JotgateError, resource_metadata: str = "", scopes: str = "") -> Problem:
    """The refusal of this request, in the dialect of its path; a JSON-RPC request is answered under its id.

    `scopes` are what somebody needs at least who comes there without a good token.
    """
    if is_mcp(request.path) and not request.face:
        identity = Raw(request.message_id) if request.message_id else None
        return render_mcp(error, request.request_id, resource_metadata, identity, scopes)
    accept = request.headers.get(b"accept", b"")
    return render_at(request.path, error, request.request_id, resource_metadata, accept, face=request.face)


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

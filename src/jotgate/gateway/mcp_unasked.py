"""Shows what a server says on a stream without a request: of what is no answer to anything, what the caller may have.

A server says again there, behind `Last-Event-ID`, what it has answered on another stream, and to which request nobody
can tell. So a result is judged by what is in it, as if it had been asked for now with the token that reads the stream.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from jotgate.core.mcp_messages import encode
from jotgate.core.mcp_operations import find_method
from jotgate.core.mcp_pins import Known
from jotgate.core.mcp_problems import error_member
from jotgate.core.mcp_reader import Members, find_list
from jotgate.core.mcp_tools import read_tools
from jotgate.errors import ControlStale, PermissionRefused, UpstreamTorn
from jotgate.gateway.mcp_access import Access, permit_method, show_tools

_TOOLS: Final = "tools"
_METHODS: Final[Mapping[str, str]] = {
    _TOOLS: "tools/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "contents": "resources/read",
    "prompts": "prompts/list",
    "messages": "prompts/get",
    "completion": "completion/complete",
}
"""The member by which a result is known, and what it is the answer to. That of a tool has none of them."""


def show_unasked(access: Access, known: Known, result: Members) -> Members:
    """What stands in place of such a result: itself, tools sifted, or the error that asking for it would get.

    `known` are the server's tools; what they are is not learned here, since it may be an old list that is said again.

    Raises:
        UpstreamTorn: its list of tools is none.
    """
    try:
        for member, method in _METHODS.items():
            row = find_method(method) if member in result else None
            if row is not None:
                permit_method(access, row)
    except (PermissionRefused, ControlStale) as refusal:
        return {"error": error_member(refusal, access.request.request_id)}
    if _TOOLS in result:
        items = find_list(result[_TOOLS])
        if items is None:
            raise UpstreamTorn("the server's list of tools is none")
        tools, _ = read_tools(access.server, items)
        result = {**result, _TOOLS: encode([Raw(tool.definition) for tool in show_tools(access, tools, known)])}
    return {"result": encode(result)}

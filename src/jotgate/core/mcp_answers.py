"""What a server's message is for the caller: under its id, in its era, with what it is shown of lists.

Most answers pass as they come, and nothing here is asked. What is decoded here is encoded again member by member, so
that whatever a server adds of its own crosses too.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from jotgate.core.mcp_eras import CACHEABLE, Conversation, to_legacy_result, to_stateless_result
from jotgate.core.mcp_reader import Members, find_members, read_message_of_server
from jotgate.errors import UpstreamTorn

Translation = Literal["none", "to-stateless", "to-legacy", "to-shared"]
"""Into which era an answer is put; `to-shared`: it stays in the older one, and comes of a session of many callers."""
Sift = Callable[[Raw], Raw]
"""Takes the items of a list and gives back those that the caller is shown."""
Unasked = Callable[[Members], Members]
"""Takes the members of a result of which nobody knows the request; gives back what stands in place of `result`."""

_PRIVATE: Final = Raw(b'"private"')
_SOON: Final = Raw(b"0")
_INPUT: Final = b'"input_required"'
_NEEDS_INPUT: Final = Raw(
    b'{"code":-32603,"message":"this tool asks its caller for something, which clients of the stateless revision alone '
    b'can be asked: use one that speaks 2026-07-28"}'
)
_encode: Final = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True):
    """A request that a server makes of its client, in the older era, which nobody is there to answer."""

    identity: Raw


class Rewriting(Struct, frozen=True):
    """How the answers to one request are rewritten.

    It was sent under the id `sent` and comes back under `identity`; so does its progress under `sent_token` and
    `token`. `server` is who answers, where the era is another. `listing` is the member of a result that `sift` shows a
    part of. Where `unasked` is there, what comes may be the answer to any request of the session.
    """

    method: str
    identity: Raw | None = None
    sent: Raw | None = None
    token: Raw | None = None
    sent_token: Raw | None = None
    translation: Translation = "none"
    server: Conversation | None = None
    listing: str = ""
    sift: Sift | None = None
    unasked: Unasked | None = None
    stateless: bool = False


def rewrite(data: bytes, how: Rewriting) -> bytes | Asked | None:
    """One message of a server for the caller; None: it is not for the caller.

    Raises:
        UpstreamTorn: it is no message.
    """
    members = read_message_of_server(data)
    if members is None:
        raise UpstreamTorn("the server's answer is no JSON-RPC message")
    if "method" in members:
        return _of_server(members, how)
    if "result" in members:
        result = find_members(members["result"]) or {}
        found = _result(result, how) if how.unasked is None else how.unasked(result)
        members = {**{name: raw for name, raw in members.items() if name != "result"}, **found}
    if how.identity is not None:
        members["id"] = how.identity
    return _encode(members)


def _of_server(members: Members, how: Rewriting) -> bytes | Asked | None:
    """A notification, or a request of the server's own."""
    translated = how.translation != "none"
    if "id" in members:
        return Asked(members["id"]) if translated else _encode(members)
    if how.sent is None:
        return _encode(members)  # It is on the stream of this request alone, and is about it.
    method = bytes(members["method"])
    if method == b'"notifications/progress"' and how.token is not None and "params" in members:
        params = find_members(members["params"]) or {}
        if params.get("progressToken") == how.sent_token:
            return _encode({**members, "params": Raw(_encode({**params, "progressToken": how.token}))})
    return None


def _result(result: Members, how: Rewriting) -> Members:
    """The members that stand in place of `result`."""
    if how.translation == "to-legacy":
        if bytes(result.get("resultType", b"")) == _INPUT:
            return {"error": _NEEDS_INPUT}
        result = to_legacy_result(result)
    elif how.translation == "to-stateless":
        result = to_stateless_result(how.method, result, how.server)
    if how.sift is not None and how.listing in result:
        result = {**result, how.listing: how.sift(result[how.listing])}
    if how.stateless and how.method in CACHEABLE and bytes(result.get("resultType", b"")) != _INPUT:
        # Whoever holds another token may not have it: what the server says of caches is not known to be so here.
        result = {"ttlMs": _SOON, **result, "cacheScope": _PRIVATE}
    return {"result": Raw(_encode(result))}

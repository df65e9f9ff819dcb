"""Begins sessions of MCP clients of the older era: with the server itself, or with jotgate where it has none.

Only the server can say whether it begins sessions, so it is asked what the client asks. One that does not is stateless,
and jotgate holds the session in its place.
"""

from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.calls import Outbound
from jotgate.core.mcp_eras import Conversation, agreed_version, initialized
from jotgate.core.mcp_messages import Message, write_message
from jotgate.core.mcp_sessions import NONCE_BYTES, Session, seal_session
from jotgate.errors import McpMalformed, UpstreamFailed, UpstreamRefused
from jotgate.gateway.mcp_asking import Reply, ask, read_version
from jotgate.gateway.mcp_lines import legacy_passed
from jotgate.gateway.mcp_means import Means, later, tell_body
from jotgate.gateway.mcp_talk import Talk
from jotgate.gateway.plain_answers import Opened
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.ports import Caller, Running

_REFUSED: Final = frozenset({401, 403, 407})
_FAILED: Final = 500
_NOTHING: Final = Raw(b"{}")
_CLIENT_BYTES_MAX: Final = 2_048
_encode: Final = msgspec.json.Encoder().encode


class Openings:
    """Those of one worker. What changes stands in `means`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def begin(self, talk: Talk) -> Running:
        """Answer `initialize`."""
        return later(self._means, talk.opened, talk.caller, self._begin(talk))

    async def _begin(self, talk: Talk) -> Running | None:
        peer = talk.peer
        if peer.server.era != "2026-07-28" and not peer.refuses_sessions:
            reply = await self._ask(talk)
            if reply.result is not None:
                self._pass(talk, reply)
                return None
            if peer.server.era == "initialize":
                raise UpstreamFailed("the server does not begin a session, and its settings say that it does")
        conversation = await peer.converse(talk.place, talk.asker)
        if conversation.era != "stateless":
            raise UpstreamFailed("the server did not begin a session for this client")
        peer.refuses_sessions = True
        open_own(self._means, talk.opened, talk.caller, talk.message, conversation, server=talk.server.name)
        return None

    async def _ask(self, talk: Talk) -> Reply:
        lines = legacy_passed(talk.opened.request, "")
        outbound = Outbound("mcp", b"POST", b"", lines, write_message(talk.message))
        reply = await ask(talk.place, talk.asker, outbound, talk.server.message_bytes)
        if reply.status in _REFUSED:
            raise UpstreamRefused(
                "the server refused jotgate's own credential",
                hint="Its operator must mend the server's credential",
            )
        if reply.status >= _FAILED and reply.error_code is None:
            raise UpstreamFailed("the server fails when a session is begun")
        return reply

    def _pass(self, talk: Talk, reply: Reply) -> None:
        """Tell the client what the server said, and of the session that it gave."""
        version = read_version(reply.result or {})
        lines = b""
        if reply.session:
            lines = _session_line(self._means, talk.opened, Session(version, reply.session), talk.server.name)
        tell_body(self._means, talk.opened, talk.caller, _encode(reply.message), lines)


def open_own(
    means: Means, opened: Opened, caller: Caller, message: Message, conversation: Conversation, *, server: str
) -> None:
    """Begin a session that is jotgate's own. Raises McpMalformed for an `initialize` that is none."""
    try:
        asked = msgspec.json.decode(message.params.get("protocolVersion", b""), type=str)
    except msgspec.DecodeError:
        raise McpMalformed(RPC_INVALID_PARAMS, "'params' has no 'protocolVersion'", param="params") from None
    version = agreed_version(asked)
    client = message.params.get("clientInfo", _NOTHING)
    session = Session(version, client=client if len(bytes(client)) <= _CLIENT_BYTES_MAX else _NOTHING)
    body = _encode({"jsonrpc": "2.0", "id": message.id, "result": initialized(conversation, version)})
    tell_body(means, opened, caller, body, _session_line(means, opened, session, server))


def _session_line(means: Means, opened: Opened, session: Session, server: str) -> bytes:
    key = opened.world.snapshot.mcp.session_key
    if key is None:
        return b""
    nonce = means.entropy.random_bytes(NONCE_BYTES)
    return b"Mcp-Session-Id: %b\r\n" % seal_session(session, key, nonce, opened.principal, server)

"""One message of an MCP client, what it is about, and how it is said to its server in the era that this one is of."""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.mcp_answers import Rewriting, Sift
from jotgate.core.mcp_eras import CACHEABLE, LISTEN, LISTINGS, Conversation, Era, to_legacy_meta, to_stateless_meta
from jotgate.core.mcp_messages import Message, encode, write_message, write_name
from jotgate.core.mcp_params import param_lines_of
from jotgate.core.mcp_servers import McpServer
from jotgate.core.mcp_sessions import Session
from jotgate.core.policies import ALLOW, Allow
from jotgate.gateway.mcp_asking import Asker
from jotgate.gateway.mcp_lines import base_lines, legacy_passed, param_lines, stateless_passed
from jotgate.gateway.mcp_peers import Peer, session_lines, stateless_lines
from jotgate.gateway.mcp_relay import Plan
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.world import Place
from jotgate.ports import Caller

_encode: Final = msgspec.json.Encoder().encode
_NOTHING: Final = Raw(b"{}")
_DECLINED: Final = {"code": -32601, "message": "the clients of this gateway are not asked"}


class Talk(Struct, frozen=True, kw_only=True):
    """One message and all that is known of it. `session` None: it is in none that the server, or jotgate, has given.

    `sift` shows a part of a list of tools. `tool` is what the server itself calls the tool that is called.
    """

    opened: Opened
    caller: Caller
    server: McpServer
    place: Place
    peer: Peer
    message: Message
    era: Era
    session: Session | None = None
    allowed: Allow = ALLOW
    sift: Sift | None = None
    tool: str = ""

    @property
    def asker(self) -> Asker:
        """On whose behalf the server is asked."""
        return Asker(self.opened.principal, self.opened.request)

    @property
    def identity(self) -> Raw | None:
        """The id that its answer has."""
        return self.message.id


def plan_passed(talk: Talk, settled: Plan) -> Plan:
    """The message as it was read, for a server of its own era. `settled` is what all plans of the gateway share."""
    message, request = talk.message, talk.opened.request
    if talk.era == "stateless":
        lines = stateless_passed(request)
    else:
        lines = legacy_passed(request, "" if talk.session is None else talk.session.upstream)
    return msgspec.structs.replace(
        settled,
        body=write_message(message),
        lines=lines,
        identity=message.id,
        how=_sifting(talk),
        waits=message.method == LISTEN,
    )


def plan_renamed(talk: Talk, settled: Plan) -> Plan:
    """A stateless call of a tool by the name that its own server has for it."""
    message, request = talk.message, talk.opened.request
    lines = base_lines(request) + stateless_lines(message.method, write_name(talk.tool)) + param_lines(request)
    return msgspec.structs.replace(
        settled, body=write_message(message, name=encode(talk.tool)), lines=lines, identity=message.id
    )


def plan_to_legacy(talk: Talk, conversation: Conversation, settled: Plan, send: Callable[[bytes, bytes], None]) -> Plan:
    """A stateless message in the session that callers share with a server of the older era.

    `send` says something to the server in that session of which no answer is waited for.
    """
    message = talk.message
    sent, token = talk.peer.next_id(), message.progress_token
    meta = to_legacy_meta(message.meta)
    if token is not None:
        meta["progressToken"] = sent
    params = {name: raw for name, raw in message.params.items() if name != "_meta"}
    if talk.tool:
        params["name"] = encode(talk.tool)
    if meta:
        params["_meta"] = encode(meta)
    lines = session_lines(conversation)
    how = Rewriting(
        method=message.method,
        identity=message.id,
        sent=sent,
        token=token,
        sent_token=sent,
        translation="to-stateless" if talk.era == "stateless" else "to-shared",
        server=conversation,
        listing=LISTINGS.get(message.method, ""),
        sift=talk.sift,
        stateless=talk.era == "stateless",
    )
    return msgspec.structs.replace(
        settled,
        body=_encode({"jsonrpc": "2.0", "id": sent, "method": message.method, "params": params}),
        lines=base_lines(talk.opened.request) + lines,
        identity=message.id,
        how=how,
        declines=partial(_decline, send, lines),
        cancels=partial(_cancel, send, lines, sent),
    )


def plan_to_stateless(talk: Talk, settled: Plan) -> Plan:
    """A message of jotgate's own session with a client of the older era, for a stateless server."""
    message = talk.message
    client = _NOTHING if talk.session is None else talk.session.client
    meta = to_stateless_meta(message.meta, client, _NOTHING)
    name = talk.tool or message.name
    changed = {"name": encode(name)} if talk.tool else {}
    arguments = message.params.get("arguments")
    lines = stateless_lines(message.method, write_name(name) if name else b"")
    if arguments is not None:
        lines += param_lines_of(talk.peer.definition(name), arguments)
    how = Rewriting(
        method=message.method,
        translation="to-legacy",
        listing=LISTINGS.get(message.method, ""),
        sift=talk.sift,
    )
    return msgspec.structs.replace(
        settled,
        body=write_message(message, **changed, _meta=encode(meta)),
        lines=base_lines(talk.opened.request) + lines,
        identity=message.id,
        how=how,
    )


def _sifting(talk: Talk) -> Rewriting | None:
    method, stateless = talk.message.method, talk.era == "stateless"
    if talk.sift is None and not (stateless and method in CACHEABLE):
        return None
    return Rewriting(method=method, listing=LISTINGS.get(method, ""), sift=talk.sift, stateless=stateless)


def _decline(send: Callable[[bytes, bytes], None], lines: bytes, identity: Raw) -> None:
    send(lines, _encode({"jsonrpc": "2.0", "id": identity, "error": _DECLINED}))


def _cancel(send: Callable[[bytes, bytes], None], lines: bytes, sent: Raw) -> None:
    params = {"requestId": sent, "reason": "the caller has gone away"}
    send(lines, _encode({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))

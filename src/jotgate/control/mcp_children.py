"""Answers workers for the MCP servers that are children of control, as if each were a server at a URL.

A child of the older era has one session, which all callers share: the bridge began it, and a worker that asks for one
is told of that.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import msgspec
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from jotgate.core.mcp_children import HEAD
from jotgate.core.mcp_eras import INITIALIZE
from jotgate.core.mcp_events import event_of
from jotgate.core.mcp_messages import TORN_FIELD, Message, read_message
from jotgate.core.mcp_problems import error_body
from jotgate.core.mcp_reader import Members, find_members, find_number
from jotgate.errors import JotgateError, McpMethodUnknown, UpstreamTorn
from jotgate.services.mcp_bridge import Bridge, ChildGone

_OF_EDGE: Final = b"x-jotgate-peer"
_SESSION: Final = b"mcp-session-id"
_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final = (b"content-type", b"text/event-stream")
_STATUS_OF: Final = {-32601: 404, -32602: 400, -32020: 400, -32021: 400, -32022: 400}
_encode: Final = msgspec.json.Encoder().encode


def children_mount(find: Callable[[str], Bridge | None]) -> Mount:
    """Where workers ask for children. What the edge passes on finds nothing there."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        fields = dict(scope["headers"])
        bridge = None if _OF_EDGE in fields else find(path[len(HEAD) :])
        if bridge is None:
            await _whole(send, 404, b"")
            return
        message: Message | None = None
        try:
            body = await _read(receive)
            message = read_message(body) if scope["method"] == "POST" else None
            await bridge.ready()
            await _answer(bridge, scope["method"], message, fields, (receive, send))
        except JotgateError as error:
            identity = None if message is None else message.id
            torn = [(TORN_FIELD, b"1")] if isinstance(error, UpstreamTorn) else []
            await _whole(send, error.status, error_body(error, identity=identity), _JSON, *torn)

    return Mount(HEAD.removesuffix("/"), app=dispatch)


async def _answer(
    bridge: Bridge, method: str, message: Message | None, fields: dict[bytes, bytes], ways: tuple[Receive, Send]
) -> None:
    receive, send = ways
    if message is not None:
        await _answer_message(bridge, message, fields, receive, send)
    elif method == "GET" and bridge.greeting is not None:
        if fields.get(_SESSION) == bridge.session.encode():
            await _stream(bridge.news(), receive, send, at_once=True)
        else:
            await _whole(send, 404, b"")
    else:
        await _whole(send, 405, b"")


async def _answer_message(
    bridge: Bridge, message: Message, fields: dict[bytes, bytes], receive: Receive, send: Send
) -> None:
    session = (_SESSION, bridge.session.encode())
    if bridge.greeting is None and message.method == INITIALIZE:
        raise McpMethodUnknown("the server is stateless, and begins no session")
    if bridge.greeting is not None and message.method == INITIALIZE:
        body = _encode({"jsonrpc": "2.0", "id": message.id, "result": bridge.greeting})
        await _whole(send, 200, body, _JSON, session)
    elif bridge.greeting is not None and fields.get(_SESSION) != session[1]:
        await _whole(send, 404, b"")
    elif message.is_request:
        await _stream(bridge.ask(message), receive, send)
    else:
        await _whole(send, 202, b"")  # No caller's words change what the child takes its client for.


async def _stream(lines: AsyncGenerator[bytes, None], receive: Receive, send: Send, *, at_once: bool = False) -> None:
    """Send what comes, as JSON if it is one answer and nothing before; end it when nobody reads it any more.

    `at_once`: it is a stream, whatever comes.
    """
    sending = asyncio.ensure_future(_send_all(lines, send, at_once=at_once))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not sending.done():
            sending.cancel()
        await asyncio.wait({sending})
    if not sending.cancelled() and (fault := sending.exception()) is not None:
        raise fault


async def _send_all(lines: AsyncGenerator[bytes, None], send: Send, *, at_once: bool) -> None:
    streams = at_once
    if at_once:
        await _begin_stream(send)
    try:
        async for line in lines:
            answer = find_members(line) or {}
            if not streams and "method" not in answer:
                await _whole(send, _status_of(answer), line, _JSON)
                return
            if not streams:
                await _begin_stream(send)
            streams = True
            await send({"type": "http.response.body", "body": event_of(line), "more_body": True})
    except (ChildGone, UpstreamTorn):
        if not streams:
            raise
        return  # The stream breaks off, as the answer has.
    finally:
        await lines.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _begin_stream(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [_EVENTS]})
    await send({"type": "http.response.body", "body": b"", "more_body": True})


def _status_of(answer: Members) -> int:
    """The status of a whole answer, as a stateless server has it."""
    code = find_number((find_members(answer.get("error")) or {}).get("code"))
    return 200 if code is None else _STATUS_OF.get(code, 200)


async def _read(receive: Receive) -> bytes:
    pieces = []
    while True:
        event = await receive()
        pieces.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(pieces)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _whole(send: Send, status: int, body: bytes, *fields: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*fields, length]})
    await send({"type": "http.response.body", "body": body})

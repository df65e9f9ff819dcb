"""A scripted upstream of the Realtime API and of the Responses API over WebSockets: it keeps what it was sent.

`session.created` comes first. Each `response.create` is answered with a few events and the usage that its text asks for
(`use:IN,OUT`), or none (`mute`), or is refused (`refuse`), or begun and never done (`hold`).
`input_audio_buffer.commit` has it begin a response by itself, as after the end of an utterance.
Of the Responses API it answers each `response.create` likewise, and goes on from those of the same connection alone.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

_MUTE: Final = "mute"
_REFUSE: Final = "refuse"
_HOLD: Final = "hold"


class RealtimeUpstream:
    """The upstream. `refuse` is a status that handshakes are answered."""

    def __init__(self) -> None:
        self.port = 0
        self.refuse = 0
        self.handshakes: list[Request] = []
        self.heard: list[dict[str, Any]] = []
        self.live: set[ServerConnection] = set()

    def look(self, connection: ServerConnection, request: Request) -> Response | None:
        """Take a handshake down, and refuse it where that is asked for."""
        self.handshakes.append(request)
        return connection.respond(self.refuse, '{"error":{"message":"no"}}') if self.refuse else None

    async def talk(self, connection: ServerConnection) -> None:
        """One connection."""
        self.live.add(connection)
        try:
            if connection.request is not None and connection.request.path.startswith("/v1/responses"):
                await self._talk_responses(connection)
                return
            await self._say(connection, "session.created", session={"object": "realtime.session"})
            async for message in connection:
                event = json.loads(message)
                self.heard.append(event)
                if event["type"] == "response.create":
                    await self._respond(connection, event.get("response", {}))
                elif event["type"] == "input_audio_buffer.commit":
                    await self._respond(connection, {})
                elif event["type"] == "session.update":
                    await self._say(connection, "session.updated", session=event["session"])
        except ConnectionClosed:
            pass
        finally:
            self.live.discard(connection)

    async def _talk_responses(self, connection: ServerConnection) -> None:
        made: list[str] = []
        async for message in connection:
            event = json.loads(message)
            self.heard.append(event)
            previous = event.get("previous_response_id")
            if event.get("instructions") == _REFUSE or (previous is not None and previous not in made):
                await self._say(connection, "error", status=400, error={"code": "previous_response_not_found"})
                continue
            made.append(f"resp_{len(self.heard)}")
            response = {"id": made[-1], "object": "response", "model": event["model"], "output": []}
            await self._say(connection, "response.created", response={**response, "status": "in_progress"})
            await self._say(connection, "response.output_text.delta", delta="Hello")
            done = {**response, "status": "completed", **_usage_of(event)}
            await self._say(connection, "response.completed", response=done)

    async def _respond(self, connection: ServerConnection, wanted: dict[str, Any]) -> None:
        if wanted.get("instructions") == _REFUSE:
            await self._say(connection, "error", error={"code": "conversation_already_has_active_response"})
            return
        await self._say(connection, "response.created", response={"id": "resp_1", "status": "in_progress"})
        await self._say(connection, "response.output_text.delta", delta="Hello")
        if wanted.get("instructions") == _HOLD:
            return
        done = {"id": "resp_1", "status": "completed", **_usage_of(wanted)}
        await self._say(connection, "response.done", response=done)

    async def _say(self, connection: ServerConnection, kind: str, **members: Any) -> None:
        await connection.send(json.dumps({"type": kind, "event_id": "event_1", **members}))


def _usage_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """What a response that is done has of the tokens that it is to use."""
    text = wanted.get("instructions", "")
    if text == _MUTE:
        return {}
    tokens_in, tokens_out = map(int, text[4:].split(",")) if text.startswith("use:") else (7, 5)
    return {"usage": {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}}


@asynccontextmanager
async def realtime_upstream() -> AsyncIterator[RealtimeUpstream]:
    """It listens on loopback."""
    upstream = RealtimeUpstream()
    async with serve(upstream.talk, "127.0.0.1", 0, process_request=upstream.look, compression=None) as server:
        upstream.port = next(iter(server.sockets)).getsockname()[1]
        yield upstream

"""The service behind Kong's stand-in: the chat completions of document 002, which takes down whatever gets to it."""

import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from jotgate.testing.kong_told import CHAT_PATH, ROUTE_PATH, KongTold
from jotgate.testing.kong_values import Reached
from jotgate.testing.kong_wire import headers_of, method_of
from jotgate.testing.upstream import Answer, Received, Step, UpstreamServer, chunked, unary

_PATHS: Final = (CHAT_PATH, CHAT_PATH.removeprefix(ROUTE_PATH))
_PIECES: Final = ("You ", "said: ")


class ChatUpstream(UpstreamServer):
    """The service. It trusts whoever gets to it, as a service behind a gateway does."""

    def __init__(self, kong: KongTold, *, host: str = "127.0.0.1") -> None:
        super().__init__(host=host)
        self._kong = kong

    def asked(self, request: Received) -> Answer:
        self.requests.append(request)
        method = method_of(request)
        self._kong.reached.append(Reached(method, request.target, headers_of(request), request.body))
        path = request.target.partition("?")[0]
        if path not in _PATHS:
            return _no(404, "Not Found")
        if method == "OPTIONS":
            return unary(b"{}")
        if method != "POST":
            return _no(405, "Method Not Allowed")
        try:
            asked = msgspec.json.decode(request.body, type=dict[str, Any])
            said = asked["messages"][-1]["content"]
        except (msgspec.DecodeError, LookupError, TypeError):
            return _no(400, "The body is no chat completion.")
        if asked.get("model") not in self._kong.models:
            return _no(404, f"The model `{asked.get('model')}` does not exist.")
        return _stream(asked["model"], str(said)) if asked.get("stream") is True else _whole(asked["model"], str(said))


def _opening(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-kong", "object": kind, "created": int(time.time()), "model": model}


def _whole(model: str, said: str) -> Answer:
    message = {"role": "assistant", "content": "".join((*_PIECES, said))}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    return unary(_json({**_opening("chat.completion", model), "choices": [choice], "usage": usage}))


def _stream(model: str, said: str) -> Answer:
    return chunked(*_events(model, said))


def _events(model: str, said: str) -> Iterator[Step]:
    opening = _opening("chat.completion.chunk", model)
    for piece in (*_PIECES, said):
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        yield b"data: %b\n\n" % _json({**opening, "choices": [choice]})
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield b"data: %b\n\ndata: [DONE]\n\n" % _json({**opening, "choices": [last]})


def _no(status: int, message: str) -> Answer:
    return unary(_json({"error": {"message": message, "type": "invalid_request_error", "code": None}}), status)


def _json(members: object) -> bytes:
    return msgspec.json.encode(members)

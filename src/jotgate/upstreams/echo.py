"""The built-in upstream: says back what it was told, so that a first call needs no provider and no key.

Speaks the OpenAI shapes of chat.completions, completions and embeddings, unary and streamed. A token is a word here:
a run of characters between white space.
"""

import asyncio
import base64
import hashlib
import struct
from collections import deque
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.ports import Clock, UpstreamEvents

EMBEDDING_DIMENSIONS: Final = 16
_JSON: Final = [(b"content-type", b"application/json")]
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class _Part(Struct, frozen=True):
    type: str = ""
    text: str = ""


class _Message(Struct, frozen=True):
    role: str = ""
    content: str | list[_Part] | None = None


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class _Ask(Struct, frozen=True):
    """The members that echo reads; the gateway has checked `model` and `stream`."""

    model: str
    messages: list[_Message] = []
    prompt: str | list[str] = ""
    input: str | list[str] = ""
    encoding_format: str = "float"
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None


_decode: Final = msgspec.json.Decoder(_Ask).decode
_encode: Final = msgspec.json.Encoder().encode


class _Replay:
    """One answer on its way (ports.UpstreamExchange): piece after piece, each in its own turn of the event loop."""

    def __init__(self, head: ResponseHead, pieces: list[bytes], events: UpstreamEvents) -> None:
        self._head: ResponseHead | None = head
        self._pieces = deque(pieces)
        self._events: UpstreamEvents | None = events
        self._paused = False
        self._scheduled = False

    def schedule(self) -> None:
        """Send the next piece when the loop comes round."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    def abort(self) -> None:
        self._events = None

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.schedule()

    def _step(self) -> None:
        self._scheduled = False
        if self._events is None or self._paused or not self._pieces:
            return
        head, self._head = self._head, None
        piece = self._pieces.popleft()
        self._events.received(head, piece, not self._pieces)
        if self._pieces:
            self.schedule()


class EchoUpstream:
    """Answers calls in process (ports.UpstreamPort)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> _Replay:
        """Answer the call; events come in later turns of the loop."""
        try:
            ask = _decode(outbound.body)
            pieces = _answer(ask, outbound.operation, int(self._clock.now_s()))
        except (msgspec.DecodeError, RecursionError) as fault:
            replay = _unary(400, _refusal(str(fault)), events)
        else:
            streams = bool(ask.stream) and outbound.operation != "embeddings"
            head = ResponseHead(200, _EVENTS, None)
            replay = _Replay(head, pieces, events) if streams else _unary(200, pieces[0], events)
        replay.schedule()
        return replay


def _unary(status: int, body: bytes, events: UpstreamEvents) -> _Replay:
    return _Replay(ResponseHead(status, _JSON, len(body)), [body], events)


def _refusal(what: str) -> bytes:
    error = {"message": what, "type": "invalid_request_error", "param": None, "code": "request_malformed"}
    return _encode({"error": error})


def _answer(ask: _Ask, operation: str, created: int) -> list[bytes]:
    if operation == "embeddings":
        return [_embeddings(ask)]
    chat = operation == "chat.completions"
    said = _last_words(ask) if chat else _joined(ask.prompt)
    heard = sum(len(_text(message.content).split()) for message in ask.messages) if chat else len(said.split())
    words = said.split(" ")
    limit = ask.max_completion_tokens or ask.max_tokens
    cut = limit is not None and limit < len(words)
    words = words[:limit] if cut else words
    usage = {"prompt_tokens": heard, "completion_tokens": len(words), "total_tokens": heard + len(words)}
    finish = "length" if cut else "stop"
    if ask.stream:
        kind = "chat.completion.chunk" if chat else "text_completion"
        return _stream(ask, _envelope(ask, kind, created), words, finish, usage)
    text = " ".join(words)
    choice: dict[str, object] = {"index": 0, "finish_reason": finish, "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    envelope = _envelope(ask, "chat.completion" if chat else "text_completion", created)
    return [_encode(envelope | {"choices": [choice], "usage": usage})]


def _stream(
    ask: _Ask, envelope: dict[str, object], words: list[str], finish: str, usage: dict[str, int]
) -> list[bytes]:
    chat = envelope["object"] == "chat.completion.chunk"

    def event(choice: dict[str, object] | None, extra: dict[str, object]) -> bytes:
        choices = [] if choice is None else [{"index": 0, "logprobs": None, **choice}]
        return b"data: %b\n\n" % _encode(envelope | {"choices": choices} | extra)

    def delta(text: str, *, first: bool) -> dict[str, object]:
        role = {"role": "assistant"} if first else {}
        return {"delta": role | {"content": text}} if chat else {"text": text}

    texts = [word if number == 0 else " " + word for number, word in enumerate(words)]
    pieces = [event(delta(text, first=number == 0) | {"finish_reason": None}, {}) for number, text in enumerate(texts)]
    last: dict[str, object] = {"delta": {}} if chat else {"text": ""}
    pieces.append(event(last | {"finish_reason": finish}, {}))
    if ask.stream_options is not None and ask.stream_options.include_usage:
        pieces.append(event(None, {"usage": usage}))
    return [*pieces, b"data: [DONE]\n\n"]


def _envelope(ask: _Ask, kind: str, created: int) -> dict[str, object]:
    return {"id": f"echo-{created:x}", "object": kind, "created": created, "model": ask.model}


def _embeddings(ask: _Ask) -> bytes:
    texts = [ask.input] if isinstance(ask.input, str) else ask.input
    rows = [
        {"object": "embedding", "index": number, "embedding": _vector(text, ask.encoding_format)}
        for number, text in enumerate(texts)
    ]
    count = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return _encode({"object": "list", "model": ask.model, "data": rows, "usage": usage})


def _vector(text: str, encoding: str) -> list[float] | str:
    """A vector that depends on the text alone: its SHA-256, read as numbers from -1 to 1."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    floats = [word / 32_768 - 1 for (word,) in struct.iter_unpack(">H", digest)]
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{EMBEDDING_DIMENSIONS}f", *floats)).decode("ascii")
    return floats


def _last_words(ask: _Ask) -> str:
    return next((_text(message.content) for message in reversed(ask.messages) if message.role == "user"), "")


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return " ".join(part.text for part in content if part.type == "text")
    return content or ""


def _joined(prompt: str | list[str]) -> str:
    return prompt if isinstance(prompt, str) else " ".join(prompt)

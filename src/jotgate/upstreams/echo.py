"""The built-in upstream: says back what it was told, so that a first call needs no provider and no key.

Speaks the OpenAI shapes of chat.completions, completions and embeddings, unary and streamed. A token is a word here:
a run of characters between white space. It takes bodies of at most 256 KiB and makes each event when its turn comes:
it must not keep a worker from its other callers.
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.ports import Clock, Stopping, UpstreamEvents

EMBEDDING_DIMENSIONS: Final = 16
BODY_BYTES_MAX: Final = 262_144
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
    input: str | list[str | int | list[int]] = ""
    encoding_format: str = "float"
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None


_decode: Final = msgspec.json.Decoder(_Ask).decode
_encode: Final = msgspec.json.Encoder().encode


class _Replay:
    """One answer on its way (ports.UpstreamExchange): piece after piece, each in its own turn of the event loop."""

    def __init__(self, head: ResponseHead, pieces: Iterator[bytes], events: UpstreamEvents) -> None:
        self._head: ResponseHead | None = head
        self._pieces = pieces
        self._piece = next(pieces, None)
        self._events: UpstreamEvents | None = events
        self._paused = False
        self._scheduled = False

    @property
    def written(self) -> bool:
        return True

    def schedule(self) -> None:
        """Send the next piece when the loop comes round."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    def abort(self) -> None:
        self._events = None

    def stop(self) -> Stopping:
        self.abort()  # What is not told is not made.
        return "over"

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.schedule()

    def _step(self) -> None:
        self._scheduled = False
        piece = self._piece
        if self._events is None or self._paused or piece is None:
            return
        head, self._head = self._head, None
        self._piece = next(self._pieces, None)
        self._events.received(head, piece, self._piece is None)
        if self._piece is not None:
            self.schedule()


class EchoUpstream:
    """Answers calls in process (ports.UpstreamPort)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> _Replay:
        """Answer the call; events come in later turns of the loop."""
        replay = self._replay(outbound, events)
        replay.schedule()
        return replay

    def _replay(self, outbound: Outbound, events: UpstreamEvents) -> _Replay:
        if len(outbound.body) > BODY_BYTES_MAX:
            return _unary(413, _refusal(f"the echo model takes bodies of at most {BODY_BYTES_MAX} bytes"), events)
        try:
            ask = _decode(outbound.body)
        except (msgspec.DecodeError, RecursionError) as fault:
            return _unary(400, _refusal(f"the echo model does not take this body: {fault}"), events)
        created = int(self._clock.now_s())
        if outbound.operation == "embeddings":
            return _unary(200, _embeddings(ask), events)
        answer = _Answer.to(ask, chat=outbound.operation == "chat.completions")
        if ask.stream:
            return _Replay(ResponseHead(200, _EVENTS, None), _stream(ask, answer, created), events)
        return _unary(200, _whole(ask, answer, created), events)


def _unary(status: int, body: bytes, events: UpstreamEvents) -> _Replay:
    return _Replay(ResponseHead(status, _JSON, len(body)), iter((body,)), events)


def _refusal(what: str) -> bytes:
    error = {"message": what, "type": "invalid_request_error", "param": None, "code": "request_malformed"}
    return _encode({"error": error})


class _Answer(Struct, frozen=True):
    """What echo has to say."""

    chat: bool
    words: list[str]
    finish: str
    usage: dict[str, int]

    @classmethod
    def to(cls, ask: _Ask, *, chat: bool) -> "_Answer":
        """The last words that the user said, or the prompt, cut to the tokens asked for."""
        said = _last_words(ask) if chat else _joined(ask.prompt)
        heard = sum(len(_text(message.content).split()) for message in ask.messages) if chat else len(said.split())
        words = said.split(" ")
        limit = ask.max_completion_tokens or ask.max_tokens
        cut = limit is not None and limit < len(words)
        words = words[:limit] if cut else words
        usage = {"prompt_tokens": heard, "completion_tokens": len(words), "total_tokens": heard + len(words)}
        return cls(chat, words, "length" if cut else "stop", usage)


def _whole(ask: _Ask, answer: _Answer, created: int) -> bytes:
    text = " ".join(answer.words)
    choice: dict[str, object] = {"index": 0, "finish_reason": answer.finish, "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": text}} if answer.chat else {"text": text}
    envelope = _envelope(ask, "chat.completion" if answer.chat else "text_completion", created)
    return _encode(envelope | {"choices": [choice], "usage": answer.usage})


def _stream(ask: _Ask, answer: _Answer, created: int) -> Iterator[bytes]:
    envelope = _envelope(ask, "chat.completion.chunk" if answer.chat else "text_completion", created)

    def event(choice: dict[str, object]) -> bytes:
        return b"data: %b\n\n" % _encode(envelope | {"choices": [{"index": 0, "logprobs": None, **choice}]})

    for number, word in enumerate(answer.words):
        text = word if number == 0 else " " + word
        role = {"role": "assistant"} if number == 0 else {}
        said: dict[str, object] = {"delta": role | {"content": text}} if answer.chat else {"text": text}
        yield event(said | {"finish_reason": None})
    nothing: dict[str, object] = {"delta": {}} if answer.chat else {"text": ""}
    yield event(nothing | {"finish_reason": answer.finish})
    if ask.stream_options is not None and ask.stream_options.include_usage:
        yield b"data: %b\n\n" % _encode(envelope | {"choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def _envelope(ask: _Ask, kind: str, created: int) -> dict[str, object]:
    return {"id": f"echo-{created:x}", "object": kind, "created": created, "model": ask.model}


def _embeddings(ask: _Ask) -> bytes:
    texts = [ask.input] if isinstance(ask.input, str) else [_as_text(item) for item in ask.input]
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


def _as_text(item: str | int | list[int]) -> str:
    """An input of token numbers is echoed as the text of those numbers."""
    if isinstance(item, list):
        return " ".join(map(str, item))
    return str(item)


def _joined(prompt: str | list[str]) -> str:
    return prompt if isinstance(prompt, str) else " ".join(prompt)

"""Reads what upstreams answer to the steps of a chain, and writes the chain's own answer in the shapes of OpenAI."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.audit import StepUse
from jotgate.core.sse import UNKNOWN, Usage
from jotgate.core.stream_counts import said_in

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""What a step may answer at most that is not passed on as it comes."""
_EVENT_BYTES_MAX: Final = 1024 * 1024
_END: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_END_BYTES_MAX: Final = 4
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_DONE: Final = b"[DONE]"
_NANODOLLARS: Final = 1_000_000_000


class _Part(Struct, frozen=True):
    type: str = ""
    text: str = ""


class _Message(Struct, frozen=True):
    content: str | list[_Part] | None = None


class _Choice(Struct, frozen=True):
    message: Raw
    finish_reason: str | None = None


class _Answer(Struct, frozen=True):
    choices: list[_Choice]
    usage: Usage | None = None


class _Error(Struct, frozen=True):
    type: str | int | None = None
    code: str | int | None = None


class _Refusal(Struct, frozen=True):
    error: _Error


class _Ending(Struct, frozen=True):
    finish_reason: str | None = None


class _Event(Struct, frozen=True):
    choices: list[Raw] | None = None
    usage: Usage | None = None
    error: Raw | None = None


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_refusal: Final = msgspec.json.Decoder(_Refusal).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_ending: Final = msgspec.json.Decoder(_Ending).decode
_encode: Final = msgspec.json.Encoder().encode


class Said(Struct, frozen=True):
    """What an upstream has answered to a step: the text, the whole message, and what it used."""

    text: str
    message: Raw
    finish: str
    usage: Usage


def read_answer(body: bytes) -> Said | None:
    """An upstream's whole answer; None for what is no chat completion."""
    try:
        answer = _decode_answer(body)
        choice = answer.choices[0]
        content = _decode_message(choice.message).content
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        return None
    text = "".join(part.text for part in content) if isinstance(content, list) else content or ""
    return Said(text, Raw(bytes(choice.message)), choice.finish_reason or "stop", answer.usage or UNKNOWN)


def read_error(body: bytes) -> str:
    """The words by which an upstream calls its refusal: `type` and `code`. Its message may hold what callers said."""
    try:
        error = _decode_refusal(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return " ".join(one for one in (error.type, error.code) if isinstance(one, str) and _WORD.fullmatch(one))


def said_by(text: str, said: Said) -> Said:
    """The same answer with another text."""
    return Said(text, Raw(_encode({"role": "assistant", "content": text})), said.finish, said.usage)


class Told(Struct, frozen=True):
    """What a piece of a stream has said: choices that are to be passed on, and how many bytes were generated in them.

    `fault`: it told an error, or what is no stream of chat completions.
    """

    choices: tuple[Raw, ...] = ()
    size: int = 0
    fault: bool = False


class EventReader:
    """Reads the stream of a step (WHATWG HTML s9.2). Mutable: the event that is not whole, the usage told last.

    `done`: its end was told. `whole`: so it was, or why the answer ends; a stream without either broke off.
    """

    __slots__ = ("_open", "done", "usage", "whole")

    def __init__(self) -> None:
        self._open = b""
        self.done = False
        self.whole = False
        self.usage = UNKNOWN

    def take(self, piece: bytes) -> Told:
        """Take the next bytes."""
        text = self._open + piece if self._open else piece
        searched = max(0, len(self._open) - _END_BYTES_MAX)
        choices: list[Raw] = []
        begin = size = 0
        for found in _END.finditer(text, searched):
            data = _data(text[begin : found.end()])
            begin = found.end()
            if not data or self.done:
                continue
            if data == _DONE:
                self.done = self.whole = True
                continue
            event = _read_event(data)
            if event is None or event.error is not None:
                return Told(tuple(choices), size, fault=True)
            self.usage = event.usage or self.usage
            if event.choices:
                choices += event.choices
                self.whole = self.whole or any(map(_says_why, event.choices))
                size += said_in(event.choices)
        self._open = text[begin:]
        return Told(tuple(choices), size, fault=len(self._open) > _EVENT_BYTES_MAX)


def _says_why(choice: Raw) -> bool:
    try:
        return _decode_ending(choice).finish_reason is not None
    except msgspec.DecodeError:
        return False


def _read_event(data: bytes) -> _Event | None:
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _data(event: bytes) -> bytes:
    """The data of an event (WHATWG HTML s9.2.6): that of its lines, joined."""
    return b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))


class Envelope(Struct, frozen=True):
    """What stands around all that one answer says. `created` is in seconds since the epoch."""

    id: str
    created: int
    model: str

    def whole(self, said: Said, uses: Sequence[StepUse]) -> bytes:
        """The answer as one JSON object."""
        choice = {"index": 0, "message": said.message, "finish_reason": said.finish, "logprobs": None}
        return _encode({**self._members("chat.completion"), "choices": [choice], "usage": usage_of(uses)})

    def event(self, choices: Sequence[Raw]) -> bytes:
        """An event of the stream with these choices."""
        return b"data: %b\n\n" % _encode({**self._members("chat.completion.chunk"), "choices": choices})

    def events(self, said: Said) -> bytes:
        """The events of an answer that is there as a whole."""
        first = {"index": 0, "delta": said.message, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": said.finish}
        return b"".join(self.event([Raw(_encode(one))]) for one in (first, last))

    def ending(self, uses: Sequence[StepUse], *, tells_usage: bool) -> bytes:
        """The last events of the stream."""
        if not tells_usage:
            return b"data: [DONE]\n\n"
        usage = _encode({**self._members("chat.completion.chunk"), "choices": [], "usage": usage_of(uses)})
        return b"data: %b\n\ndata: [DONE]\n\n" % usage

    def _members(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_of(uses: Sequence[StepUse]) -> dict[str, object]:
    """What an answer says of its usage: sums, and what each step has used. Costs stand there where they are known."""
    found: dict[str, object] = {**_tokens(total_usage(uses))}
    if (cost := total_cost(uses)) is not None:
        found["cost_usd"] = cost / _NANODOLLARS
    if any(use.estimated for use in uses):
        found["estimated"] = True
    return {**found, "steps": [_of_step(use) for use in uses]}


def _of_step(use: StepUse) -> dict[str, object]:
    found: dict[str, object] = {"name": use.step, **_tokens(Usage(use.tokens_in, use.tokens_out))}
    return found if use.cost is None else {**found, "cost_usd": use.cost / _NANODOLLARS}


def _tokens(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def total_usage(uses: Iterable[StepUse]) -> Usage:
    """The tokens of all steps."""
    tokens = [(use.tokens_in, use.tokens_out) for use in uses]
    return Usage(sum(one for one, _ in tokens), sum(one for _, one in tokens))


def total_cost(uses: Iterable[StepUse]) -> int | None:
    """What all steps cost, in nanodollars; None where the price of one is not known."""
    costs = [use.cost for use in uses]
    return None if None in costs else sum(one for one in costs if one is not None)

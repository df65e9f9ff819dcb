"""Writes an answer of Coze in the shapes of OpenAI: piece by piece for a stream, or gathered to one completion.

A stream begins with the role, has one id, and ends with why it ends; its usage stands in an event of its own where that
was asked for, and always in a whole answer. What OpenAI has no place for stands in the member `coze`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

GATHERED_BYTES_MAX: Final = 4 * 1024 * 1024
"""A whole answer has no more characters than this; a stream has no bound."""

_encode: Final = msgspec.json.Encoder().encode
_DONE: Final = b"data: [DONE]\n\n"


class Envelope(Struct, frozen=True):
    """What stands around all that one answer says. `created` is in seconds since the epoch."""

    id: str
    created: int
    model: str


class ToolAsked(Struct, frozen=True):
    """A tool that the caller is to run: `arguments` is JSON in text."""

    call_id: str
    name: str
    arguments: str


class Tokens(Struct, frozen=True):
    """What was used, as Coze counted it."""

    input: int
    output: int

    def told(self) -> dict[str, int]:
        """The member `usage`."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
        }


class Reply:
    """One answer on its way. Mutable: what was told or gathered of it.

    What it returns is to be passed on at once: nothing, while a whole answer is gathered. `overlong`: more was gathered
    than a whole answer may have.
    """

    __slots__ = ("_begun", "_calls", "_envelope", "_reasoning", "_size", "_streams", "_tells_usage", "_text")

    def __init__(self, envelope: Envelope, *, streams: bool, tells_usage: bool) -> None:
        self._envelope = envelope
        self._streams = streams
        self._tells_usage = tells_usage
        self._begun = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolAsked] = []
        self._size = 0

    @property
    def streams(self) -> bool:
        """Whether it is told as it comes."""
        return self._streams

    @property
    def begun(self) -> bool:
        """Whether something was told that cannot be taken back."""
        return self._begun

    @property
    def overlong(self) -> bool:
        """Whether too much was gathered."""
        return self._size > GATHERED_BYTES_MAX

    def restart(self) -> None:
        """Forget what was gathered: the answer is told anew, as a whole."""
        self._text.clear()
        self._reasoning.clear()
        self._calls.clear()
        self._size = 0

    def text(self, piece: str) -> bytes:
        """A piece of the answer's text."""
        if not piece:
            return b""
        if self._streams:
            return self._delta({"content": piece})
        self._size += len(piece)
        self._text.append(piece)
        return b""

    def reasoning(self, piece: str) -> bytes:
        """A piece of what the model thought before it answered."""
        if not piece:
            return b""
        if self._streams:
            return self._delta({"reasoning_content": piece})
        self._size += len(piece)
        self._reasoning.append(piece)
        return b""

    def tools(self, calls: Sequence[ToolAsked]) -> bytes:
        """Tools that the caller is to run."""
        if not self._streams:
            self._calls += calls
            return b""
        told = [{"index": index, **_call(one)} for index, one in enumerate(calls)]
        return self._delta({"tool_calls": told})

    def end(self, finish: str, tokens: Tokens | None, more: Mapping[str, object] | None = None) -> bytes:
        """The rest, which ends the answer. `more` are the members of `coze`; `tokens` None: Coze told none."""
        if self._streams:
            return self._ending(finish, tokens, more)
        message: dict[str, object] = {"role": "assistant", "content": "".join(self._text) or None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._calls:
            message["tool_calls"] = [_call(one) for one in self._calls]
        elif message["content"] is None:
            message["content"] = ""
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        answer: dict[str, object] = {**self._members("chat.completion"), "choices": [choice]}
        if tokens is not None:
            answer["usage"] = tokens.told()
        if more:
            answer["coze"] = more
        return _encode(answer)

    def _delta(self, delta: dict[str, object]) -> bytes:
        first = b"" if self._begun else self._event({"role": "assistant", "content": ""})
        self._begun = True
        return first + self._event(delta)

    def _ending(self, finish: str, tokens: Tokens | None, more: Mapping[str, object] | None) -> bytes:
        first = b"" if self._begun else self._event({"role": "assistant", "content": ""})
        self._begun = True
        told = first + self._event({}, finish, more)
        if self._tells_usage and tokens is not None:
            told += b"data: %b\n\n" % _encode(
                {**self._members("chat.completion.chunk"), "choices": [], "usage": tokens.told()}
            )
        return told + _DONE

    def _event(
        self, delta: Mapping[str, object], finish: str | None = None, more: Mapping[str, object] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {**self._members("chat.completion.chunk"), "choices": [choice]}
        if more:
            event["coze"] = more
        return b"data: %b\n\n" % _encode(event)

    def _members(self, kind: str) -> dict[str, object]:
        envelope = self._envelope
        return {"id": envelope.id, "object": kind, "created": envelope.created, "model": envelope.model}


def _call(one: ToolAsked) -> dict[str, object]:
    return {"id": one.call_id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}

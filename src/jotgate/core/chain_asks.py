"""What a caller asks of a chain, and the bodies in which its steps are asked of upstreams."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.chain_ask_checks import fault_of
from jotgate.core.chain_prompts import Conversation, read_conversation
from jotgate.core.chain_schemas import as_json
from jotgate.core.chains import ChainStep
from jotgate.core.routes import CeilingField

_CHAT: Final = "chat.completions"
_CEILINGS: Final = ("max_completion_tokens", "max_tokens")
_OF_THE_CHAIN: Final = frozenset({"model", "messages", "stream", "stream_options", "n", *_CEILINGS})
"""Members of the caller's body that the last step does not get as they are."""


class _Options(Struct, frozen=True):
    include_usage: bool | None = None


class _Asked(Struct, frozen=True):
    """The members that a chain reads; the gateway has checked `model` and `stream`."""

    model: str
    stream: bool | None = None
    stream_options: _Options | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


_decode_asked: Final = msgspec.json.Decoder(_Asked).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


class Ask(Struct, frozen=True):
    """A call of a chain. `ceiling` is the caller's for the answer; None: it set none.

    `passed_on` are the members that the last step gets as they came.
    """

    model: str
    stream: bool
    tells_usage: bool
    ceiling: int | None
    conversation: Conversation
    passed_on: dict[str, Raw]


class AskRefused(ValueError):
    """A call that no chain takes: why, for its caller; `param` is the member at fault, empty: it is the call itself."""

    def __init__(self, why: str, param: str = "") -> None:
        super().__init__(why)
        self.param = param


def read_ask(operation: str, body: bytes) -> Ask:
    """What a body asks, whose members are all looked at that a step may be refused for. Raises AskRefused."""
    if operation != _CHAT:
        raise AskRefused("a chain answers chat completions alone")
    members = _decode_members(body)
    fault = fault_of(members)
    if fault is not None:
        raise AskRefused(fault.why, fault.param)
    asked = _decode_asked(body)
    conversation = read_conversation(members.get("messages"))
    assert conversation is not None, "its messages were looked at"
    stated = [one for one in (asked.max_tokens, asked.max_completion_tokens) if one is not None]
    return Ask(
        model=asked.model,
        stream=bool(asked.stream),
        tells_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
        ceiling=min(stated, default=None),
        conversation=conversation,
        passed_on={name: raw for name, raw in members.items() if name not in _OF_THE_CHAIN},
    )


class StepBody(Struct, frozen=True):
    """How a step is asked. `ceiling` is in tokens of output."""

    text: bytes
    ceiling: int
    streams: bool


def write_step(
    step: ChainStep, messages: Sequence[Raw], model: str, field: CeilingField, *, answers: Ask | None = None
) -> StepBody:
    """The body in which a step is asked of an upstream that knows its model by this name.

    `field` is where that upstream takes the ceiling of its output. `answers` is the caller's ask where this is the
    last step: what the caller says of how to answer is said of it.
    """
    body: dict[str, object] = {} if answers is None else dict(answers.passed_on)
    streams = answers is not None and answers.stream and step.streamed
    ceiling = step.max_tokens
    if answers is not None and answers.ceiling is not None:
        ceiling = min(ceiling, answers.ceiling)
    body |= {"model": model, "messages": messages, field: ceiling}
    if step.temperature is not None:
        body.setdefault("temperature", step.temperature)
    if step.schema is not None and step.asks_for == "json_schema":
        schema = {"name": step.name, "schema": as_json(step.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif step.schema is not None and step.asks_for == "json_object":
        body["response_format"] = {"type": "json_object"}
    if streams:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return StepBody(_encode(body), ceiling, streams)


def repair_messages(messages: Sequence[Raw], said: str, request: str) -> list[Raw]:
    """The messages of a step whose output is asked for again: what it said, and what is wrong with that."""
    more = ({"role": "assistant", "content": said}, {"role": "user", "content": request})
    return [*messages, *(Raw(_encode(one)) for one in more)]

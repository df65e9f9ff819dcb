"""Fills the prompts of chains, and makes the messages of a step: its prompt, and the whole conversation of the caller.

A prompt is text with places such as `{{analyze.intent}}`. Places are filled once, all together: what is put in is not
looked at again, whoever wrote it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.chain_schemas import Json, Schema, as_json
from jotgate.core.faults import advice

REQUEST: Final = "request"
"""The place of the last words of the caller's user."""
INSTRUCTIONS: Final = "instructions"
"""The place of the system messages that the conversation begins with."""
SCHEMA: Final = "schema"
"""The place of the JSON Schema of the step's own output."""

_OWN: Final = (REQUEST, INSTRUCTIONS, SCHEMA)
_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_.]*)\s*\}\}")
_SYSTEM: Final = frozenset({"system", "developer"})

_encode: Final = msgspec.json.Encoder().encode
_decode_conversation: Final = msgspec.json.Decoder(list[Raw]).decode


class _Part(Struct, frozen=True):
    type: str = ""
    text: str = ""


class _Message(Struct, frozen=True):
    role: str
    content: str | list[_Part] | None = None


_decode_message: Final = msgspec.json.Decoder(_Message).decode


class Conversation(Struct, frozen=True):
    """What the caller said. `instructions` are the system messages it begins with; `messages` are all others, raw.

    `request` is what the user said last.
    """

    instructions: str
    request: str
    messages: tuple[Raw, ...]


class Output(Struct, frozen=True):
    """What a step has answered: its text, and what that is as JSON where the step has a schema."""

    text: str
    value: Json = None
    structured: bool = False

    def find(self, path: Sequence[str]) -> Json:
        """The member at a path; the whole for none. None: there is no such member."""
        found: Json = self.value if self.structured else self.text
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


def read_conversation(messages: Raw | None) -> Conversation | None:
    """The conversation in a body; None for one that no model would take."""
    try:
        raw = [] if messages is None else _decode_conversation(messages)
        read = [_decode_message(one) for one in raw]
    except (msgspec.DecodeError, RecursionError):
        return None
    if not read:
        return None
    first = next((index for index, one in enumerate(read) if not _instructs(one)), len(read))
    request = next((_text(one) for one in reversed(read) if one.role == "user"), "")
    return Conversation("\n\n".join(map(_text, read[:first])), request, tuple(raw[first:]))


def write_messages(prompt: str, conversation: Conversation) -> list[Raw]:
    """The messages of a step: one of the system, with its filled prompt, and the conversation behind it."""
    system = Raw(_encode({"role": "system", "content": prompt}))
    return [system, *conversation.messages]


def fill(prompt: str, conversation: Conversation, outputs: Mapping[str, Output], schema: Schema | None) -> str:
    """The prompt with its places filled. System messages that it has no place for follow behind it."""

    def put(found: re.Match[str]) -> str:
        name, *path = found[1].split(".")
        if name == REQUEST:
            return conversation.request
        if name == INSTRUCTIONS:
            return conversation.instructions
        if name == SCHEMA:
            return "" if schema is None else _encode(as_json(schema)).decode()
        return _written(outputs[name].find(path))

    filled = _PLACE.sub(put, prompt)
    if conversation.instructions and INSTRUCTIONS not in places_of(prompt):
        filled = f"{filled.rstrip()}\n\n{conversation.instructions}"
    return filled


def places_of(prompt: str) -> list[str]:
    """The places in a prompt, as they stand there."""
    return [found[1] for found in _PLACE.finditer(prompt)]


def check_prompt(prompt: str, before: Mapping[str, Schema | None], *, structured: bool) -> list[str]:
    """What is wrong with a prompt, behind its path: empty, or a place that nothing fills.

    `before` are the schemas of the steps that come before it, None for those that answer with text; `structured`: the
    step itself has one.
    """
    if not prompt.strip():
        return ["is empty; write what the step is to do"]
    names = [*before, *(one for one in _OWN if one != SCHEMA or structured)]
    faults = []
    for place in dict.fromkeys(places_of(prompt)):
        name, *path = place.split(".")
        if name not in names or (path and name in _OWN):
            faults.append(f"has a place {{{{{place}}}}}, which nothing fills; {advice(place, names)}")
        elif path and (missing := _unknown_member(before[name], path)):
            faults.append(f"has a place {{{{{place}}}}}, and {missing}")
    return faults


def _unknown_member(schema: Schema | None, path: Iterable[str]) -> str:
    """Why there is no member at a path; empty when there may be one."""
    for name in path:
        if schema is None or schema.kind != "object":
            return f"there is no '{name}' in what has no members"
        if name not in schema.members:
            return "" if not schema.closed and not schema.members else f"its schema has no '{name}'"
        schema = schema.members[name]
    return ""


def _written(value: Json) -> str:
    return value if isinstance(value, str) else _encode(value).decode()


def _instructs(message: _Message) -> bool:
    """Whether it is text of the system: what else such a message holds has to stay as it is."""
    content = message.content
    texts = not isinstance(content, list) or all(part.type == "text" for part in content)
    return message.role in _SYSTEM and texts


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return " ".join(part.text for part in message.content if part.type == "text")
    return message.content or ""

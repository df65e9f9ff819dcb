"""What a body can cost at most, and the body as a metered call sends it: with a ceiling, and asking for its usage.

Input is bounded from above by the bytes of the text, since a token is at least one byte of it. The data of an image or
of sound counts for a stated cap in place of its bytes, where its part is exactly one. How much an upstream's own
template adds is not known; that is debt, if it is ever more.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import Body
from jotgate.core.routes import CeilingField, MeteringRules
from jotgate.errors import RequestMalformed

COUNT_MAX: Final = 2**31 - 1
"""No figure of a call is taken for more than this."""
USUAL_COMPLETION: Final = 16
"""The ceiling of a completion that names none, as the API has it: `completions` alone."""

_CHAT: Final = "chat.completions"
_COMPLETIONS: Final = "completions"
_CEILINGS: Final[Mapping[str, tuple[CeilingField, ...]]] = {
    _CHAT: ("max_completion_tokens", "max_tokens"),
    _COMPLETIONS: ("max_tokens",),
}
_TEXT_PARTS: Final = frozenset({"type", "text", "refusal", "cache_control", "prompt_cache_breakpoint"})
_DATA: Final = {"image_url": "url", "input_audio": "data"}
"""Parts that are an image or sound: the type, also the name of the member with its data, and where it stands there."""
_TRUE: Final = Raw(b"true")


class _Message(Struct, frozen=True):
    content: Raw = Raw(b"null")


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


_decode_count: Final = msgspec.json.Decoder(int | None).decode
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode
_decode_items: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_options: Final = msgspec.json.Decoder(_StreamOptions).decode
_encode: Final = msgspec.json.Encoder().encode


class Measure(Struct, frozen=True):
    """What a call can use at most, in tokens.

    It makes `answers` answers of at most `each` tokens of output; `each` None: neither its caller nor the way it is
    sent says how many, which only a stream may do. `tells_usage`: its caller sees the event that carries the usage.
    """

    input_tokens: int
    answers: int
    each: int | None
    streams: bool = False
    tells_usage: bool = True

    @property
    def output_tokens(self) -> int | None:
        """All output, None: nobody knows."""
        return None if self.each is None else min(self.answers * self.each, COUNT_MAX)


def measure(body: Body, operation: str, rules: MeteringRules) -> Measure:
    """What a call with this body can use at most.

    Raises:
        RequestMalformed: a member that decides it is not such as the API has it.
    """
    input_tokens = _bound_input(body, operation, rules) * rules.passes + rules.hidden_input
    fields = _CEILINGS.get(operation)
    if fields is None:
        return Measure(input_tokens, 0, 0)
    answers = max(1, _count(body, "n") or 1)
    if operation == _COMPLETIONS:
        answers = max(answers, _count(body, "best_of") or 1) * _prompts(body.members.get("prompt"))
    stated = [ceiling for field in fields if (ceiling := _ceiling(body, field)) is not None]
    each = max(stated, default=None)
    if each is None and not body.stream:
        each = usual_ceiling(operation, rules)
    return Measure(input_tokens, min(answers, COUNT_MAX), each, body.stream, not body.stream or _tells_usage(body))


def usual_ceiling(operation: str, rules: MeteringRules) -> int:
    """The ceiling of an answer whose caller names none."""
    return min(rules.output_ceiling, USUAL_COMPLETION) if operation == _COMPLETIONS else rules.output_ceiling


def metered_body(body: Body, operation: str, each: int | None, field: CeilingField) -> Body:
    """The body as it is sent: no answer may have more than `each` tokens of output, and a stream tells its usage.

    `each` None leaves the ceiling to the caller. `field` is where the upstream takes one that the caller did not set.
    A ceiling below zero is left out: some servers take it for none, whatever stands beside it.
    """
    changed: dict[str, Raw] = {}
    fields = _CEILINGS.get(operation)
    if fields is None:
        return body
    void = {name for name in fields if (_count(body, name) or 0) < 0}
    if each is not None:
        stated = {name: ceiling for name in fields if (ceiling := _ceiling(body, name)) is not None}
        if not stated:
            stated = {field if operation == _CHAT else fields[0]: each}
        changed = {name: Raw(_encode(min(ceiling, each))) for name, ceiling in stated.items()}
    if body.stream and not _tells_usage(body):
        options = body.members.get("stream_options")
        changed["stream_options"] = Raw(_encode({**_members_of(options), "include_usage": _TRUE}))
    if not changed and not void:
        return body
    kept = {name: raw for name, raw in body.members.items() if name not in void} if void else body.members
    members = {**kept, **changed}
    return Body(members, _encode(members), body.model, body.stream)


def _bound_input(body: Body, operation: str, rules: MeteringRules) -> int:
    bound = len(body.compact)
    messages = body.members.get("messages")
    if operation != _CHAT or messages is None:
        return min(bound, COUNT_MAX)
    try:
        contents = [bytes(one.content) for one in _decode_messages(messages)]
    except (msgspec.DecodeError, RecursionError):
        return min(bound, COUNT_MAX)  # Nobody takes such messages.
    for content in contents:
        if content.startswith(b"["):
            bound += _of_parts(content, rules)
    return min(bound, COUNT_MAX)


def _of_parts(content: bytes, rules: MeteringRules) -> int:
    """What the parts of a message count for beyond their bytes; less than none where a part's data is no text."""
    beyond = 0
    for item in _decode_items(content):
        part = bytes(item)
        if not part.startswith(b"{"):
            continue
        members = _decode_members(part)
        kind = _text(members.get("type"))
        data = _data_bytes(members.get(kind), kind)
        if data:
            beyond += (rules.image_tokens if kind == "image_url" else rules.audio_tokens) - data
        elif members.keys() - _TEXT_PARTS or kind not in ("", "text", "refusal"):
            beyond += max(rules.image_tokens, rules.audio_tokens) * _most_things(members)
    return beyond


def _data_bytes(raw: Raw | None, kind: str) -> int:
    """How many bytes the data of an image or of sound has; 0: this is none, as far as anybody knows."""
    name = _DATA.get(kind)
    if name is None or raw is None or not bytes(raw).startswith(b"{"):
        return 0
    data = bytes(_decode_members(raw).get(name, b""))
    return len(data) if data.startswith(b'"') else 0


def _most_things(members: Mapping[str, Raw]) -> int:
    """How many things a part that nobody knows may hold: each item of its lists may be one."""
    lists = (bytes(raw) for raw in members.values() if bytes(raw).startswith(b"["))
    return max(1, sum(len(_decode_items(one)) for one in lists))


def _prompts(prompt: Raw | None) -> int:
    """How many prompts a completion has: each is answered by itself. A list of numbers is one, in tokens."""
    text = b"" if prompt is None else bytes(prompt)
    if not text.startswith(b"["):
        return 1
    return max(1, sum(bytes(item)[:1] in (b'"', b"[") for item in _decode_items(text)))


def _ceiling(body: Body, name: str) -> int | None:
    """What the caller says; less than nothing stands for no ceiling, as some servers have it."""
    found = _count(body, name)
    return None if found is None or found < 0 else found


def _count(body: Body, name: str) -> int | None:
    raw = body.members.get(name)
    if raw is None:
        return None
    try:
        found = _decode_count(raw)
    except msgspec.DecodeError:
        raise RequestMalformed(f"'{name}' is not a whole number", param=name) from None
    return None if found is None else min(found, COUNT_MAX)


def _tells_usage(body: Body) -> bool:
    options = body.members.get("stream_options")
    try:
        return options is not None and _decode_options(options).include_usage is True
    except msgspec.DecodeError:
        if bytes(options or b"") == b"null":
            return False
        raise RequestMalformed("'stream_options' is not an object as the API has it", param="stream_options") from None


def _members_of(options: Raw | None) -> dict[str, Raw]:
    return {} if options is None or bytes(options) == b"null" else _decode_members(options)


def _text(raw: Raw | None) -> str:
    try:
        return "" if raw is None else _decode_text(raw)
    except msgspec.DecodeError:
        return "?"

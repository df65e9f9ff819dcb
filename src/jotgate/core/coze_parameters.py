"""What of an OpenAI chat completion Coze can be told, what it can do without, and what a caller would miss.

A bot and a workflow are set up at Coze: how they sample, which tools they have and what form their answers take stands
there. So a parameter is used, or left out where the answer is what was asked for all the same (`IGNORED`), or refused.
A member that nobody knows is refused too. `docs/coze.md` has the list.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.errors import RequestMalformed

EXTENSION: Final = "coze"
"""The member of a body that says what only Coze knows: `Extension`."""

USED: Final = frozenset({"model", "messages", "stream", "stream_options", "metadata", EXTENSION})
IGNORED: Final = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "seed",
        "service_tier",
        "store",
        "temperature",
        "top_p",
        "user",
        "verbosity",
    }
)
"""Left out, whatever they say. They ask for a manner, for economy, or for bookkeeping at OpenAI."""

REFUSED: Final[Mapping[str, tuple[object, ...]]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "web_search_options": (),
}
"""Refused, but for null and these values, which ask for nothing that Coze would not do anyway."""

METADATA_MAX: Final = 16
_KEY_MAX: Final = 64
_VALUE_MAX: Final = 512

_HINT: Final = "Leave it out: bots and workflows have it set up at Coze"
_decode: Final = msgspec.json.Decoder().decode
_decode_metadata: Final = msgspec.json.Decoder(dict[str, str] | None).decode


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Extension(Struct, frozen=True, forbid_unknown_fields=True):
    """What a body's member `coze` may say.

    `parameters` go to a workflow beside `input`, or to the workflow behind a bot; a value is any JSON.
    `custom_variables` fill in the variables of a bot's prompt. With `is_async` a workflow without `stream` is begun at
    Coze and asked for its outcome until that is there.
    """

    parameters: dict[str, Raw] = {}
    custom_variables: dict[str, str] = {}
    is_async: bool = False


class Parameters(Struct, frozen=True):
    """What a caller wants beside an answer. `tells_usage`: a stream ends with its usage."""

    tells_usage: bool = False
    metadata: dict[str, str] = {}
    extension: Extension = Extension()


_decode_options: Final = msgspec.json.Decoder(_StreamOptions | None).decode
_decode_extension: Final = msgspec.json.Decoder(Extension | None).decode


def read_parameters(members: Mapping[str, Raw]) -> Parameters:
    """What the members of a body say, all of which are looked at.

    Raises:
        RequestMalformed: one asks for what Coze cannot do, is not known, or is not of its type; `param` names it.
    """
    for name, raw in members.items():
        if name not in USED and name not in IGNORED:
            _refuse(name, raw)
    return Parameters(
        tells_usage=_tells_usage(members.get("stream_options")),
        metadata=_read_metadata(members.get("metadata")),
        extension=_read_extension(members.get(EXTENSION)),
    )


def _refuse(name: str, raw: Raw) -> None:
    """Raise for a member that asks for something."""
    if name not in REFUSED:
        raise RequestMalformed(f"'{name[:64]}' is not known to Coze upstreams", param=name[:64], hint="Leave it out")
    value = _decode(raw)
    if value is None or any(type(value) is type(one) and value == one for one in REFUSED[name]):
        return
    raise RequestMalformed(f"Coze cannot do what '{name}' asks for", param=name, hint=_HINT)


def _tells_usage(raw: Raw | None) -> bool:
    try:
        options = None if raw is None else _decode_options(raw)
    except msgspec.DecodeError:
        raise RequestMalformed("'stream_options' is not an object as the API has it", param="stream_options") from None
    return options is not None and options.include_usage is True


def _read_metadata(raw: Raw | None) -> dict[str, str]:
    try:
        found: dict[str, str] | None = None if raw is None else _decode_metadata(raw)
    except msgspec.DecodeError:
        raise RequestMalformed("'metadata' is not an object of strings", param="metadata") from None
    if found is None:
        return {}
    if len(found) > METADATA_MAX or any(len(k) > _KEY_MAX or len(v) > _VALUE_MAX for k, v in found.items()):
        raise RequestMalformed(
            f"'metadata' has more than {METADATA_MAX} members, or one whose name is longer than {_KEY_MAX} characters "
            f"or whose value is longer than {_VALUE_MAX}",
            param="metadata",
        )
    return found


def _read_extension(raw: Raw | None) -> Extension:
    try:
        return (None if raw is None else _decode_extension(raw)) or Extension()
    except msgspec.DecodeError as error:
        raise RequestMalformed(f"'{EXTENSION}' is not as it should be: {error}", param=EXTENSION) from None

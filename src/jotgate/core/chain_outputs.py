"""Looks at what a step of a chain has answered: is it the JSON that was asked for, and do gates let it through."""

from collections.abc import Iterator
from typing import Final

import msgspec

from jotgate.core.chain_prompts import Output
from jotgate.core.chain_schemas import Json, Schema, faults_of
from jotgate.core.chains import ChainStep, Gate

_FENCE: Final = "```"
_LANGUAGES: Final = frozenset({"", "json"})
_DEPTH_MAX: Final = 64
_BITS_MAX: Final = 63
_NO_OBJECT: Final = "it must be one JSON object, whole and alone"


class OutputFault(ValueError):
    """An output that is not what its schema says: `faults` are for the model, and hold nothing of the output."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def read_output(text: str, schema: Schema | None) -> Output:
    """The output in a step's answer. One of JSON may stand in a fence of Markdown. Raises OutputFault.

    What it holds can be written again, and compared: it is no deeper than other steps' prompts can bear, and its whole
    numbers have at most 63 bits.
    """
    if schema is None:
        return Output(text)
    value = _decoded(text)
    faults = [fault] if (fault := _unbearable(value)) else faults_of(value, schema)
    if faults:
        raise OutputFault(faults)
    return Output(text, value, structured=True)


def _decoded(text: str) -> Json:
    for candidate in _candidates(text):
        try:
            found: Json = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            continue
        return found
    raise OutputFault([_NO_OBJECT])


def _candidates(text: str) -> Iterator[str]:
    """Where the JSON may be: the whole text, or a fence. A text in the JSON may have fences too: the last one ends it.

    Nothing is looked at more often than a few times, whatever a model makes up: a worker has other callers.
    """
    yield text.strip()
    opened = text.find(_FENCE)
    begin = text.find("\n", opened) + 1
    if opened < 0 or not begin or text[opened + len(_FENCE) : begin].strip().lower() not in _LANGUAGES:
        return
    last, first = text.rfind(_FENCE), text.find(_FENCE, begin)
    for end in dict.fromkeys((last, first)):
        if end >= begin:
            yield text[begin:end].strip()


def _unbearable(value: Json) -> str:
    """What is wrong with a value, whatever its schema: deeper, or with longer numbers, than can be gone on with."""
    left: list[tuple[Json, int]] = [(value, 1)]
    while left:
        one, depth = left.pop()
        if isinstance(one, int) and one.bit_length() > _BITS_MAX:
            return "its whole numbers must have at most 18 digits"
        if isinstance(one, dict | list):
            if depth > _DEPTH_MAX:
                return f"it must be nested no deeper than {_DEPTH_MAX}"
            left += [(inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one)]
    return ""


def repair_request(fault: OutputFault) -> str:
    """What the model is told of an output that was not what its schema says."""
    return f"That was not what was asked for: {fault}. Answer again, with the JSON object alone."


def closed_gate(step: ChainStep, output: Output) -> str:
    """Why a step's gates do not let its output through; empty: they do. Nothing of a text is told."""
    return next((f"step '{step.name}': {why}" for gate in step.gates if (why := _why_closed(gate, output))), "")


def _why_closed(gate: Gate, output: Output) -> str:
    value = output.find([] if not gate.member else gate.member.split("."))
    named = f"'{gate.member}'" if gate.member else "its output"
    if gate.not_empty and (value is None or (isinstance(value, str | list | dict) and not _holds(value))):
        return f"{named} is empty"
    if gate.one_of and value not in gate.one_of:
        return f"{named} is not one of {', '.join(gate.one_of)}"
    if gate.at_least is None and gate.at_most is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{named} is no number"
    if gate.at_least is not None and not value >= gate.at_least:
        return f"{named} is {value:g}, and at least {gate.at_least:g} is wanted"
    if gate.at_most is not None and not value <= gate.at_most:
        return f"{named} is {value:g}, and at most {gate.at_most:g} is wanted"
    return ""


def _holds(value: str | list[Json] | dict[str, Json]) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)

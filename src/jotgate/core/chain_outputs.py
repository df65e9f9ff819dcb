"""Looks at what a step of a chain has answered: is it the JSON that was asked for, and do gates let it through."""

import re
from typing import Final

import msgspec

from jotgate.core.chain_prompts import Output
from jotgate.core.chain_schemas import Json, Schema, faults_of
from jotgate.core.chains import ChainStep, Gate

_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL | re.IGNORECASE)


class OutputFault(ValueError):
    """An output that is not what its schema says: `faults` are for the model, and hold nothing of the output."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def read_output(text: str, schema: Schema | None) -> Output:
    """The output in a step's answer. One of JSON may stand in a fence of Markdown. Raises OutputFault."""
    if schema is None:
        return Output(text)
    fenced = _FENCED.search(text)
    try:
        value: Json = msgspec.json.decode(fenced[1] if fenced else text.strip())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise OutputFault(["it must be one JSON object, whole and alone"]) from None
    faults = faults_of(value, schema)
    if faults:
        raise OutputFault(faults)
    return Output(text, value, structured=True)


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

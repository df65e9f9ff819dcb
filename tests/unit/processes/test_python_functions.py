"""Functions as tools: the schema that a signature is, and what is held against it."""

import json
from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from msgspec import Raw

from jotgate.processes.python_functions import UnfitFunction, tool_of
from jotgate.sdk.tools import ToolCaller

ANN = ToolCaller("iss", "ann", "user")


class Place(msgspec.Struct):
    street: str


def send(to: Place, kind: Literal["a", "b"], *, copies: int = 1, note: str | None = None, who: ToolCaller) -> None:
    """Send something.

    In two paragraphs.
    """


def plain(anything, more=7):  # type: ignore[no-untyped-def]
    return anything


def test_a_signature_is_a_schema() -> None:
    tool = tool_of("send", send)
    definition = json.loads(tool.definition)
    assert (definition["name"], definition["description"]) == ("send", "Send something.\n\nIn two paragraphs.")
    schema = definition["inputSchema"]
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["to", "kind"], False)
    assert schema["properties"]["to"] == {"$ref": "#/$defs/Place"}
    assert schema["$defs"]["Place"]["properties"] == {"street": {"type": "string"}}
    assert (sorted(schema["properties"]), tool.caller) == (["copies", "kind", "note", "to"], "who")
    assert json.loads(tool_of("plain", plain).definition)["inputSchema"]["required"] == ["anything"]


def test_arguments_are_what_the_annotations_say_and_defaults_are_the_functions_own() -> None:
    tool = tool_of("send", send)
    found = tool.read(Raw(b'{"to": {"street": "x"}, "kind": "a", "note": null}'), ANN)
    assert found == {"to": Place("x"), "kind": "a", "note": None, "who": ANN}
    assert tool_of("plain", plain).read(Raw(b'{"anything": [1]}'), ANN) == {"anything": [1]}
    for wrong in (
        b'{"kind": "a"}',
        b'{"to": {"street": 1}, "kind": "a"}',
        b'{"to": {"street": ""}, "kind": "c"}',
        b'{"to": {"street": ""}, "kind": "a", "who": {"subject": "root"}}',
        b'{"to": {"street": ""}, "kind": "a", "copies": "1"}',
        b"[]",
        b"{",
    ):
        with pytest.raises(msgspec.DecodeError):
            tool.read(Raw(wrong), ANN)


def of_position(one: int, /) -> None:
    """Nobody can name its argument."""


def of_any(**more: int) -> None:
    """Nobody knows its arguments."""


def of_unknown(one: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821 - that is the fault
    """Its annotation is none."""


def of_code(one: Callable[[], None]) -> None:
    """No JSON is a function."""


@pytest.mark.parametrize("function", [of_position, of_any, of_unknown, of_code, Place, 7, None])
def test_what_can_be_no_tool_is_told(function: object) -> None:
    with pytest.raises(UnfitFunction):
        tool_of("t", function)

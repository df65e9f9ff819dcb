"""What a step has answered is read strictly, and gates let through what they say."""

import pytest

from jotgate.core.chain_outputs import OutputFault, closed_gate, read_output, repair_request
from jotgate.core.chain_prompts import Output
from jotgate.core.chain_schemas import Json, read_schema, write_json
from jotgate.core.chains import ChainStep, Gate

_SCHEMA = read_schema({"type": "object", "required": ["a"], "properties": {"a": {"type": "number"}}})


@pytest.mark.parametrize(
    "text",
    ['{"a":1}', ' {"a": 1}\n', '```json\n{"a":1}\n```', 'Here:\n```\n{"a":1}\n```\nDone.', '```JSON\n{"a":1}```'],
)
def test_json_may_stand_alone_or_in_a_fence(text: str) -> None:
    assert read_output(text, _SCHEMA).value == {"a": 1}


@pytest.mark.parametrize("text", ["", "no", '{"a":1', '{"a":1} and more', '{"a":"1"}', "{}", "[" * 5_000, '{"a":NaN}'])
def test_what_is_not_the_json_asked_for_is_no_output(text: str) -> None:
    with pytest.raises(OutputFault) as refused:
        read_output(text, _SCHEMA)
    assert refused.value.faults
    assert str(refused.value) in repair_request(refused.value)


def test_a_text_in_the_json_may_have_fences_of_its_own() -> None:
    schema = read_schema({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}})
    value: Json = {"a": "Write:\n```python\nprint(1)\n```\nand run it"}
    for text in (
        f"```json\n{write_json(value)}\n```",
        f"Here:\n```\n{write_json(value)}\n```\nDone.",
        write_json(value),
    ):
        assert read_output(text, schema).value == value


def test_the_first_fence_counts_where_another_one_follows() -> None:
    assert read_output('```json\n{"a":1}\n```\nIn Python:\n```python\nprint(1)\n```', _SCHEMA).value == {"a": 1}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["```" + "\n" * 200_000, "```json\n" + " " * 200_000, "```\n" * 50_000 + "``"])
def test_what_a_model_repeats_without_end_is_looked_at_in_no_time(text: str) -> None:
    with pytest.raises(OutputFault):
        read_output(text, _SCHEMA)


@pytest.mark.parametrize(
    ("inner", "why"),
    [
        ("[" * 64 + "]" * 64, "deeper"),
        ("[" * 900 + "]" * 900, "deeper"),
        ("1" + "0" * 19, "digits"),
        ("-1" + "0" * 400, "digits"),
    ],
)
def test_what_cannot_be_gone_on_with_is_a_fault_and_no_accident(inner: str, why: str) -> None:
    with pytest.raises(OutputFault, match=why):
        read_output(f'{{"a":1,"b":{inner}}}', _SCHEMA)


def test_what_was_read_can_be_written_again() -> None:
    found = read_output(f'{{"a":1,"b":{"[" * 62 + "]" * 62},"c":{2**63 - 1}}}', _SCHEMA)
    assert found.value is not None
    assert read_output(write_json(found.value), _SCHEMA).value == found.value


def test_without_a_schema_the_text_is_the_output() -> None:
    assert read_output('{"a":1}', None) == Output('{"a":1}')


def step(*gates: Gate) -> ChainStep:
    return ChainStep("work", "m", "", (), gates=gates)


@pytest.mark.parametrize(
    ("gate", "value", "why"),
    [
        (Gate("a", not_empty=True), {"a": "x"}, ""),
        (Gate("a", not_empty=True), {"a": 0}, ""),
        (Gate("a", not_empty=True), {"a": False}, ""),
        (Gate("a", not_empty=True), {"a": " \n"}, "'a' is empty"),
        (Gate("a", not_empty=True), {"a": []}, "'a' is empty"),
        (Gate("a", not_empty=True), {"a": None}, "'a' is empty"),
        (Gate("a", not_empty=True), {}, "'a' is empty"),
        (Gate("a.b", not_empty=True), {"a": {"b": "x"}}, ""),
        (Gate("a.b", not_empty=True), {"a": "b"}, "'a.b' is empty"),
        (Gate("a", at_least=0.5), {"a": 0.5}, ""),
        (Gate("a", at_least=0.5), {"a": 0.25}, "'a' is 0.25, and at least 0.5 is wanted"),
        (Gate("a", at_least=0.5), {"a": "1"}, "'a' is no number"),
        (Gate("a", at_least=0), {"a": True}, "'a' is no number"),
        (Gate("a", at_least=0.5), {}, "'a' is no number"),
        (Gate("a", at_most=1), {"a": 2}, "'a' is 2, and at most 1 is wanted"),
        (Gate("a", one_of=("x", "y")), {"a": "y"}, ""),
        (Gate("a", one_of=("x", "y")), {"a": "the secret"}, "'a' is not one of x, y"),
        (Gate(not_empty=True), {}, "its output is empty"),
    ],
)
def test_a_gate_says_why_it_is_closed_and_quotes_no_text(gate: Gate, value: Json, why: str) -> None:
    output = Output("", value, structured=True)
    assert closed_gate(step(gate), output) == (f"step 'work': {why}" if why else "")


def test_all_gates_must_be_open_and_a_text_has_gates_too() -> None:
    assert closed_gate(step(Gate(not_empty=True)), Output("x")) == ""
    assert closed_gate(step(Gate(not_empty=True)), Output(" ")) == "step 'work': its output is empty"
    both = step(Gate("a", at_least=0), Gate("a", at_most=1))
    assert "at most 1" in closed_gate(both, Output("", {"a": 3}, structured=True))
    assert closed_gate(step(), Output("")) == ""

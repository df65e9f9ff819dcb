"""The part of JSON Schema that chains understand: what is read, what is refused, what a value is told."""

import msgspec
import pytest

from jotgate.core.chain_schemas import Json, Schema, SchemaFault, as_json, faults_of, read_schema, stand_in

_PERSON = {
    "type": "object",
    "description": "somebody",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "share": {"type": "number", "maximum": 0.5},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "pets": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "here": {"type": "boolean"},
        "gone": {"type": "null"},
    },
}


def test_a_schema_is_the_same_when_it_is_written_again() -> None:
    read = read_schema(_PERSON)
    assert read_schema(as_json(read)) == read
    assert as_json(read)["properties"]["name"] == {"type": "string", "minLength": 1, "maxLength": 5}  # type: ignore[index, call-overload] # JSON


def test_whole_numbers_stay_whole_on_the_way_to_a_worker() -> None:
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(read_schema(_PERSON)), type=Schema)
    written = msgspec.json.encode(as_json(read))
    assert b'"minLength":1,"maxLength":5' in written
    assert b'"maximum":0.5' in written
    assert b".0" not in written


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ([], ""),
        ({}, ".type"),
        ({"type": ["string", "null"]}, ".type"),
        ({"type": "text"}, ".type"),
        ({"type": "string", "pattern": "a"}, ".pattern"),
        ({"type": "object", "$ref": "#/x"}, ".$ref"),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "email"}}}, ".properties.a.format"),
        ({"type": "object", "properties": {"a": 3}}, ".properties.a"),
        ({"type": "object", "properties": []}, ".properties"),
        ({"type": "object", "required": ["a"]}, ".required"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, ".additionalProperties"),
        ({"type": "string", "minimum": 1}, ".minimum"),
        ({"type": "number", "minimum": True}, ".minimum"),
        ({"type": "string", "minLength": 1.5}, ".minLength"),
        ({"type": "string", "minLength": -1}, ".minLength"),
        ({"type": "number", "minimum": 2, "maximum": 1}, ""),
        ({"type": "string", "enum": []}, ".enum"),
        ({"type": "string", "enum": [1]}, ".enum"),
        ({"type": "array", "items": {"type": "x"}}, ".items.type"),
        ({"type": "string", "title": 1}, ".title"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(schema: object, where: str) -> None:
    with pytest.raises(SchemaFault) as refused:
        read_schema(schema)
    assert refused.value.where == where
    assert refused.value.what


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(20):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaFault):
        read_schema(schema)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"name": "Ann"}, []),
        ({"name": "Ann", "age": 3, "share": 0.5, "kind": "b", "pets": ["x"], "here": False, "gone": None}, []),
        ({"name": "Ann", "age": 3.0}, []),
        ([], ["it must be of type object"]),
        ({}, ["'name' is missing"]),
        ({"name": ""}, ["'name' must have at least 1 characters"]),
        ({"name": "Annabel"}, ["'name' must have at most 5 characters"]),
        ({"name": 1}, ["'name' must be of type string"]),
        ({"name": "Ann", "age": 3.5}, ["'age' must be of type integer"]),
        ({"name": "Ann", "age": True}, ["'age' must be of type integer"]),
        ({"name": "Ann", "age": -1}, ["'age' must be at least 0"]),
        ({"name": "Ann", "share": 0.6}, ["'share' must be at most 0.5"]),
        ({"name": "Ann", "kind": "c"}, ['\'kind\' must be one of ["a","b"]']),
        ({"name": "Ann", "pets": []}, ["'pets' must have at least 1 items"]),
        ({"name": "Ann", "pets": ["x", 2]}, ["'pets[1]' must be of type string"]),
        ({"name": "Ann", "here": 1, "gone": 0}, ["'here' must be of type boolean", "'gone' must be of type null"]),
    ],
)
def test_a_value_is_told_what_is_wrong_with_it(value: Json, faults: list[str]) -> None:
    assert faults_of(value, read_schema(_PERSON)) == faults


def test_members_that_nobody_asked_for_are_named_by_those_that_may_be() -> None:
    schema = read_schema({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "null"}}})
    assert faults_of({"secret": 1}, schema) == ["it must have no members but a"]


def test_no_more_is_told_than_can_be_read() -> None:
    schema = read_schema({"type": "array", "items": {"type": "string"}})
    assert len(faults_of([1] * 100, schema)) == 8


def test_a_stand_in_is_what_the_schema_says() -> None:
    schema = read_schema(_PERSON)
    made = stand_in(schema, "hello there")
    assert faults_of(made, schema) == []
    assert made == {
        "name": "hello",
        "age": 150,
        "share": 0.5,
        "kind": "a",
        "pets": ["hello there"],
        "here": True,
        "gone": None,
    }
    assert stand_in(read_schema({"type": "string", "minLength": 3}), "") == "..."
    assert stand_in(read_schema({"type": "number", "minimum": 7}), "") == 7
    assert stand_in(read_schema({"type": "array"}), "x") == []

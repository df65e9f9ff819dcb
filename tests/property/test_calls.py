"""Property: a body is sent on with the meaning that a strict reader gives it, or is refused."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.calls import read_body, write_body
from jotgate.errors import RequestMalformed

_text = st.text(st.characters(codec="utf-8"), max_size=12)
_scalars = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | _text
)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3))
_space = st.sampled_from(["", "", " ", "\t", "\r\n", " \n "])
_models = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_others = st.dictionaries(_text.filter(lambda name: name not in ("model", "stream", "store")), _values, max_size=4)


@st.composite
def _written(draw: st.DrawFn, members: Sequence[tuple[str, object]]) -> bytes:
    """The members as JSON with white space and escapes wherever they may be."""
    parts = []
    for name, value in members:
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()):
            key = '"' + "".join(f"\\u{unit:04x}" for unit in _utf16(name)) + '"'
        content = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(1)))
        parts.append(f"{draw(_space)}{key}{draw(_space)}:{draw(_space)}{content}{draw(_space)}")
    return f"{draw(_space)}{{{','.join(parts)}}}{draw(_space)}".encode()


def _utf16(text: str) -> list[int]:
    units = text.encode("utf-16-be")
    return [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]


@given(st.data(), _others, _models, _models)
def test_a_body_keeps_its_meaning_and_its_order(
    data: st.DataObject, others: dict[str, object], model: str, name: str
) -> None:
    members = data.draw(st.permutations([*others.items(), ("model", model), ("store", True)]))
    body = read_body(data.draw(_written(members)))
    sent = json.loads(write_body(body, name))
    assert body.model == model
    assert list(sent) == [key for key, _ in members]
    assert sent == dict(members) | {"model": name, "store": False}


@given(st.data(), _others, _models)
def test_a_member_that_stands_twice_is_always_refused(
    data: st.DataObject, others: dict[str, object], model: str
) -> None:
    members: list[tuple[str, object]] = [*others.items(), ("model", model)]
    name, _ = data.draw(st.sampled_from(members))
    members.insert(data.draw(st.integers(0, len(members))), (name, data.draw(_values)))
    raw = data.draw(_written(members))
    with pytest.raises(RequestMalformed):
        read_body(raw)


@given(st.binary(max_size=80) | st.text('{}[]":,\\ ux0a1model', max_size=60).map(str.encode))
def test_no_bytes_bring_anything_but_a_body_or_a_refusal(raw: bytes) -> None:
    try:
        body = read_body(raw)
    except RequestMalformed:
        return
    assert json.loads(raw)["model"] == body.model
    assert read_body(body.compact).compact == body.compact

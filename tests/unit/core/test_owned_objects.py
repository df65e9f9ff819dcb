"""Whose an object is: a text per person, and what its name may be."""

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core.owned_objects import (
    DATA_BYTES_MAX,
    NAME_BYTES_MAX,
    DropObject,
    FindObject,
    ListObjects,
    ObjectKey,
    ObjectOrder,
    PutObject,
    owner_of,
)
from jotgate.core.principals import Principal
from jotgate.errors import CommandError

ANN = Principal("https://i.example", "ann", "cli", "jti", "kid", frozenset({"ai"}), None, 9.0, 0.0, tenant="acme")
KEY = ObjectKey("coze.conversation", "coze", owner_of(ANN), "label")


def test_an_owner_is_known_by_issuer_tenant_and_subject_alone() -> None:
    assert owner_of(ANN) == owner_of(replace(ANN, client_id="other", token_id="other", scopes=frozenset(), kid="k"))
    others = (
        replace(ANN, subject="bob"),
        replace(ANN, tenant=""),
        replace(ANN, issuer="https://other.example"),
        replace(ANN, tenant="acmea", subject="nn"),
        replace(ANN, tenant="acm", subject="eann"),
    )
    assert len({owner_of(one) for one in (ANN, *others)}) == len(others) + 1


def test_an_owner_says_nothing_of_who_it_is() -> None:
    name = owner_of(ANN)
    assert len(name) == 43
    assert "ann" not in name
    assert owner_of(replace(ANN, subject="\ud800")) != owner_of(replace(ANN, subject="\ud801"))


def test_a_label_of_128_characters_of_any_kind_is_a_name() -> None:
    name = "\U0001f600" * 128
    assert len(name.encode()) == NAME_BYTES_MAX
    assert replace(KEY, name=name).is_storable


@pytest.mark.parametrize(
    "wrong", [{"name": "n" * 513}, {"name": "a\0"}, {"name": "\ud800"}, {"place": "p" * 257}, {"kind": "\u2603" * 100}]
)
def test_a_name_that_no_store_would_take_is_none_that_an_object_can_have(wrong: dict[str, str]) -> None:
    key = replace(KEY, **wrong)
    assert not key.is_storable
    with pytest.raises(CommandError):
        PutObject(key, b"", 1)


def test_an_object_that_is_too_large_is_refused() -> None:
    PutObject(KEY, b"x" * DATA_BYTES_MAX, 1)
    with pytest.raises(CommandError):
        PutObject(KEY, b"x" * (DATA_BYTES_MAX + 1), 1)


@pytest.mark.parametrize(
    "order",
    [FindObject(KEY, 5), PutObject(KEY, b"\x00\xff", 5, 1), ListObjects("k", "p", "o", 3), DropObject(KEY, 2)],
    ids=lambda order: type(order).__name__,
)
def test_an_order_crosses_the_bus_as_it_is(order: ObjectOrder) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=ObjectOrder) == order

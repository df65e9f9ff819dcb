"""`[[quotas]]`: what is read, and what is said of entries with faults."""

from typing import Any

import pytest

from jotgate.core import quota_reader
from jotgate.core.config_reader import parse, read
from jotgate.core.quotas import Limit, Quota
from jotgate.errors import ConfigurationError


def faults(*entries: Any) -> list[tuple[str, str]]:
    return list(read({"quotas": list(entries)}).faults)


def entry(**members: Any) -> dict[str, Any]:
    return {"name": "a", "limit": "5 requests/day", **members}


def test_entries_are_read_with_their_defaults() -> None:
    (found,) = quota_reader.compile_quotas(parse({"quotas": [entry()]}).quotas)
    assert found.quota == Quota("a", Limit("requests", 5, "day"), ("principal",))
    (found,) = quota_reader.compile_quotas(parse({"quotas": [entry(limit="5 USD/lifetime", per=[])]}).quotas)
    assert found.quota == Quota("a", Limit("cost", 5_000_000_000), ())


@pytest.mark.parametrize(
    ("members", "path", "why"),
    [
        ({"limit": "5 calls"}, "limit", "counts no unit that there is"),
        ({"limit": "5 calls"}, "limit", 'Write one such as "1000 requests/day"'),
        ({"limit": 5}, "limit", 'must be a limit in quotes, such as "1000 requests/day"'),
        ({"limit": "5 requests"}, "limit", "would never come again; add /day or /month, or say /lifetime"),
        ({"name": "a b"}, "name", "1 to 64 letters, digits"),
        ({"name": "a\n"}, "name", "1 to 64 letters, digits"),
        ({"per": ["user"]}, "per", 'must be a list of "token", "principal"'),
        ({"per": ["model", "model"]}, "per", "names a level twice"),
        ({"subjects": []}, "subjects", "a list of 1 to 1000 texts"),
        ({"subjects": ["a*b"]}, "subjects", "a * stands for the rest of a name at its end alone"),
        ({"models": [" a"]}, "models", "without spaces around them"),
        ({"operations": ["chat"]}, "operations", "which is no operation"),
        ({"model": ["a"]}, "model", "is not a setting; did you mean 'models'?"),
    ],
)
def test_a_fault_names_its_place_and_what_to_write(members: dict[str, Any], path: str, why: str) -> None:
    (found,) = faults(entry(**members))
    assert found[0] == f"quotas[0].{path}"
    assert why in found[1]


def test_what_is_missing_is_told() -> None:
    assert faults({}) == [
        ("quotas[0].name", "is missing; write 1 to 64 letters, digits, '.', '_' or '-'"),
        ("quotas[0].limit", 'is missing; write a limit in quotes, such as "1000 requests/day"'),
    ]
    assert read({"quotas": {"name": "a"}}).faults[0][1].endswith("must be tables, each headed [[quotas]]")


def test_each_name_stands_once() -> None:
    assert faults(entry(), entry()) == [("quotas[1].name", "is 'a' as in quotas[0]; each name stands once")]


def test_there_are_not_more_than_can_be_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota_reader, "QUOTAS_MAX", 1)
    monkeypatch.setattr(quota_reader, "MEMBERS_MAX", 2)
    many = [entry(name=name, models=["a", "b"]) for name in "ab"]
    assert [path for path, _ in faults(*many)] == ["quotas", "quotas"]


def test_a_token_may_have_a_limit_for_all_its_life_without_more_words() -> None:
    assert faults(entry(limit="5 requests", per=["token"]), entry(name="b", limit="4 concurrent")) == []


def test_no_configuration_comes_of_a_fault() -> None:
    with pytest.raises(ConfigurationError):
        parse({"quotas": [entry(limit="5")]})

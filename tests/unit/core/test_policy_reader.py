"""`[[policies]]`: what may be said, and what each fault tells its owner."""

import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from jotgate.core.policy_checks import MEMBERS_MAX, POLICIES_MAX, compile_policy, write_policy
from jotgate.core.policy_entries import DAYS, PolicyEntry
from jotgate.core.policy_reader import read_kept, read_policies
from jotgate.core.policy_values import Policy, Window

ALL = """
[[policies]]
name = "all"
effect = "allow"
subjects = ["a", "b*"]
clients = ["c"]
tenants = ["d"]
roles = ["e"]
issuers = ["f"]
actors = ["g"]
scopes = ["h"]
operations = ["chat*", "embeddings"]
routes = ["i"]
models = ["*"]
tools = ["j"]
binding = "dpop"
addresses = ["10.0.0.0/8", "::1"]
times = [{ days = ["tue", "mon"], begin = "22:00", end = "06:00", zone = "Europe/Berlin" }, {}]
token_age = { over = "1m", under = "1h" }
ended_tokens = "finish"
stale = "allow"
payloads = "record"
"""


def read(text: str) -> tuple[Mapping[str, PolicyEntry], dict[str, str]]:
    """The entries of a document, and its faults by path."""
    faults: list[tuple[str, str]] = []
    entries = read_policies(tomllib.loads(text).get("policies", []), faults)
    return entries, dict(faults)


def faults_of(more: str, effect: str = "allow") -> dict[str, str]:
    """The faults of an entry with these settings, by their names."""
    _, faults = read(f'[[policies]]\nname = "n"\neffect = "{effect}"\n{more}')
    return {path.removeprefix("policies[0]").removeprefix("."): fault for path, fault in faults.items()}


def test_everything_that_may_be_said_is_read_and_kept_as_it_was() -> None:
    entries, faults = read(ALL)
    assert faults == {}
    (entry,) = entries.values()
    assert compile_policy(entry, "store") == Policy(
        name="all",
        effect="allow",
        origin="store",
        subjects=("a", "b*"),
        clients=("c",),
        tenants=("d",),
        roles=("e",),
        issuers=("f",),
        actors=("g",),
        scopes=("h",),
        operations=("chat*", "embeddings"),
        routes=("i",),
        models=("*",),
        tools=("j",),
        binding="dpop",
        addresses=("10.0.0.0/8", "::1"),
        times=(Window((0, 1), 1_320, 360, "Europe/Berlin"), Window(tuple(range(7)), 0, 1_440, "UTC")),
        older_s=60,
        younger_s=3_600,
        ended_tokens="finish",
        stale=True,
        payloads=True,
    )
    assert read_kept(write_policy(entry)) == entry
    assert len(DAYS) == 7


def test_every_member_of_an_entry_stands_in_the_test_above() -> None:
    said = tomllib.loads(ALL)["policies"][0]
    assert {field.name for field in msgspec.structs.fields(PolicyEntry)} - said.keys() == {"reason"}


def test_a_plain_entry_speaks_of_everything() -> None:
    entries, faults = read('[[policies]]\nname = "n"\neffect = "deny"\nreason = "No."\n')
    assert faults == {}
    assert compile_policy(entries["policies[0]"], "file") == Policy(name="n", effect="deny", reason="No.")


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ('subject = ["a"]', "subject", "did you mean 'subjects'?"),
        ("subjects = []", "subjects", "must be a list of 1 to 1000 texts"),
        ('subjects = "a"', "subjects", "must be a list of 1 to 1000 texts"),
        ('subjects = [""]', "subjects", "write 1 to 256 characters"),
        ('subjects = [" a"]', "subjects", "without spaces around them"),
        ('subjects = ["a\\u0000"]', "subjects", "that print"),
        ('models = ["a*b"]', "models", "at its end alone"),
        ('models = ["**"]', "models", "at its end alone"),
        ('operations = ["chat.completion"]', "operations", "did you mean 'chat.completions'?"),
        ('operations = ["x*"]', "operations", "is no operation"),
        ('addresses = ["10.0.0.1/8"]', "addresses", "no bits behind the prefix"),
        ('addresses = ["office"]', "addresses", "addresses or networks"),
        ('addresses = ["::ffff:127.0.0.0/104"]', "addresses", 'write "127.0.0.0/8"'),
        ('addresses = ["::ffff:192.0.2.1"]', "addresses", 'write "192.0.2.1/32"'),
        ('addresses = ["fe80::1%eth0"]', "addresses", "without what stands from the % on"),
        ("addresses = []", "addresses", "1 to 1000 addresses"),
        ("times = []", "times", "1 to 100 tables"),
        ("times = [{ days = [] }]", "times[0].days", "a list of days"),
        ('times = [{ days = ["monday"] }]', "times[0].days", "a list of days"),
        ('times = [{}, { begin = "8:00" }]', "times[1].begin", "a time of day"),
        ('times = [{ begin = "24:00" }]', "times[0].begin", "a day begins at 00:00"),
        ('times = [{ end = "24:30" }]', "times[0].end", "a day ends at 24:00"),
        ('times = [{ begin = "08:00", end = "08:00" }]', "times[0].end", "leave out both"),
        ('times = [{ zone = "../etc/passwd" }]', "times[0].zone", "a time zone"),
        ('times = [{ zones = "UTC" }]', "times[0].zones", "did you mean 'zone'?"),
        ("token_age = {}", "token_age", "says nothing"),
        ('token_age = { over = "1h", under = "1h" }', "token_age", "what no token can be"),
        ('token_age = { over = "1 h" }', "token_age.over", "a duration"),
        ('token_age = { over = "1h\\n" }', "token_age.over", "a duration"),
        ('binding = "tls"', "binding", '"none", "dpop", "mtls" or "any"'),
        ('stale = "yes"', "stale", '"refuse" or "allow"'),
        ('payloads = "all"', "payloads", '"omit" or "record"'),
        ('ended_tokens = "end"', "ended_tokens", '"cut" or "finish"'),
        ('reason = "Because"', "reason", "nobody would be told"),
    ],
)
def test_each_fault_names_its_place_and_its_remedy(more: str, where: str, what: str) -> None:
    faults = faults_of(more)
    assert list(faults) == [where]
    assert what in faults[where]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ('scopes = ["ai"]', "scopes"),
        ('ended_tokens = "cut"', "ended_tokens"),
        ('stale = "refuse"', "stale"),
        ('payloads = "omit"', "payloads"),
        ('reason = "a\\u0007b"', "reason"),
    ],
)
def test_what_a_policy_that_denies_may_not_say(more: str, where: str) -> None:
    assert list(faults_of(more, "deny")) == [where]


@pytest.mark.parametrize("name", ["", "a b", "a\\n", "é", "x" * 65])
def test_a_name_is_plain(name: str) -> None:
    assert "policies[0].name" in read(f'[[policies]]\nname = "{name}"\neffect = "allow"\n')[1]


def test_a_name_stands_once() -> None:
    one = '[[policies]]\nname = "n"\neffect = "allow"\n'
    assert read(one + one)[1] == {"policies[1].name": "is 'n' as in policies[0]; each name stands once"}


def test_a_set_is_not_larger_than_a_worker_takes_at_one_go() -> None:
    def faults_of_many(count: int, names: int) -> list[tuple[str, str]]:
        subjects = [f"s{number}" for number in range(names)]
        faults: list[tuple[str, str]] = []
        read_policies([{"name": f"p{n}", "effect": "allow", "subjects": subjects} for n in range(count)], faults)
        return faults

    assert faults_of_many(POLICIES_MAX, 1) == faults_of_many(MEMBERS_MAX // 1_000, 1_000) == []
    assert [path for path, _ in faults_of_many(POLICIES_MAX + 1, 1)] == ["policies"]
    assert [path for path, _ in faults_of_many(MEMBERS_MAX // 1_000 + 1, 1_000)] == ["policies"]
    assert [path for path, _ in faults_of_many(1, 1_001)] == ["policies[0].subjects"]


@pytest.mark.parametrize("value", [{}, "x", 1, [1]])
def test_what_is_no_list_of_tables_is_a_fault(value: Any) -> None:
    faults: list[tuple[str, str]] = []
    assert read_policies(value, faults) == {}
    assert len(faults) == 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"name":"n"}', b'{"name":"n","effect":"allow","later":1}'])
def test_what_the_store_has_and_cannot_be_read_is_none(content: bytes) -> None:
    assert read_kept(content) is None

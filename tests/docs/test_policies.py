"""The examples of docs/policies.md are sound, and mean what stands beside them."""

import tomllib
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from jotgate.core.circumstances import Circumstances
from jotgate.core.config_reader import parse
from jotgate.core.lineage import Confirmation
from jotgate.core.policies import Allow, Decision
from jotgate.core.policy_checks import compile_policy
from jotgate.core.policy_values import SHIPPED, PolicySet
from jotgate.core.principals import Principal
from jotgate.services.policy_decisions import open_policies
from jotgate.stores.zones import read_zones
from tests.callers import principal
from tests.docs.pages import pages

ALIASES = frozenset({"small", "large-1"})


def examples() -> list[str]:
    """The blocks of the page, in its order."""
    return pages()["docs/policies.md"].blocks("toml")


def decide(example: str, whose: Principal, model: str, when: str, address: str = "192.0.2.7") -> Decision:
    """What an example decides of a chat completion."""
    entries = parse(tomllib.loads(example)).policies
    zones, faults = read_zones({str(index): entry for index, entry in enumerate(entries)})
    assert faults == []
    found = open_policies(PolicySet(tuple(compile_policy(one, "file") for one in entries), zones), ALIASES)
    now_s = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
    whose = replace(whose, issued_at_s=now_s) if whose.issued_at_s is None else whose
    return found.decide(whose, "chat.completions", model, Circumstances(address, now_s))


def test_every_example_is_sound_and_all_can_stand_in_one_file() -> None:
    found = examples()
    assert len(found) == 5
    assert len(parse(tomllib.loads("".join(found))).policies) == sum(one.count("[[policies]]") for one in found)


def test_the_shipped_one_is_what_the_page_writes_out() -> None:
    (entry,) = parse(tomllib.loads(examples()[0])).policies
    assert replace(compile_policy(entry, "file"), origin="shipped") == SHIPPED


@pytest.mark.parametrize(
    ("role", "model", "when", "address", "allowed"),
    [
        ("contractor", "small", "2027-01-04T08:00", "192.0.2.7", True),  # Monday, 09:00 in Berlin
        ("contractor", "small", "2027-01-04T06:59", "192.0.2.7", False),
        ("contractor", "small", "2027-01-04T17:00", "192.0.2.7", False),
        ("contractor", "small", "2027-07-05T06:00", "192.0.2.7", True),  # in summer an hour earlier
        ("contractor", "small", "2027-01-03T08:00", "192.0.2.7", False),  # Sunday
        ("contractor", "small", "2027-01-04T08:00", "198.51.100.1", False),
        ("contractor", "large-1", "2027-01-04T08:00", "192.0.2.7", False),
        ("employee", "large-1", "2027-01-03T03:00", "198.51.100.1", True),
        ("", "small", "2027-01-04T08:00", "192.0.2.7", False),
    ],
)
def test_contractors_and_employees(role: str, model: str, when: str, address: str, allowed: bool) -> None:
    whose = replace(principal(), roles=frozenset(filter(None, (role,))))
    assert isinstance(decide(examples()[1], whose, model, when, address), Allow) is allowed


def test_proof_for_the_large_model_and_a_new_token_every_day() -> None:
    when = "2027-01-04T08:00"
    bound = replace(principal(), confirmation=Confirmation("jkt", "x"))
    assert isinstance(decide(examples()[2], bound, "large-1", when), Allow)
    assert isinstance(decide(examples()[2], principal(), "small", when), Allow)
    assert decide(examples()[2], principal(), "large-1", when).policy == "proof-for-large"
    old = replace(bound, issued_at_s=0.0)
    assert decide(examples()[2], old, "small", when).policy == "day-old"


def test_batch_jobs() -> None:
    job = replace(principal(), client_id="nightly-7")
    assert decide(examples()[3], job, "small", "2027-01-04T23:00") == Allow("batch", "finish", stale=True)
    assert decide(examples()[3], job, "small", "2027-01-05T05:59") == Allow("batch", "finish", stale=True)
    assert not isinstance(decide(examples()[3], job, "small", "2027-01-05T06:00"), Allow)
    assert not isinstance(decide(examples()[3], principal(), "small", "2027-01-04T23:00"), Allow)

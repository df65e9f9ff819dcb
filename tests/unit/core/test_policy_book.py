"""The policies of file and store as one set, and what becomes of one that cannot be read."""

from collections.abc import Mapping

from jotgate.core.policy_book import clashes, put_together, views_of, warn_of
from jotgate.core.policy_checks import write_policy
from jotgate.core.policy_entries import PolicyEntry, WindowEntry
from jotgate.core.policy_values import KeptPolicies, PolicyRecord

FILE = (PolicyEntry(name="z", effect="allow"), PolicyEntry(name="a", effect="deny"))
BERLIN = PolicyEntry(name="b", effect="deny", times=(WindowEntry(zone="Europe/Berlin"), WindowEntry()))


def find(name: str, known: Mapping[str, bytes]) -> bytes | None:
    """The zones of a machine that has one."""
    return b"" if name == "UTC" else known.get(name) or {"Europe/Berlin": b"rules"}.get(name)


def kept(*entries: PolicyEntry, damaged: bool = False) -> KeptPolicies:
    """What the store has."""
    records = [PolicyRecord(one.name, write_policy(one), 3, 7) for one in entries]
    return KeptPolicies(3, (*records, *[PolicyRecord("d", b'{"name":"d","later":1}', 3)] * damaged))


def test_those_of_the_file_come_first_each_in_their_order() -> None:
    found = put_together(FILE, {}, kept(BERLIN, PolicyEntry(name="0", effect="allow")), find)
    assert [(one.name, one.origin) for one in found.policies.policies] == [
        ("z", "file"),
        ("a", "file"),
        ("b", "store"),
        ("0", "store"),
    ]
    assert found.policies.zones == {"Europe/Berlin": b"rules"}
    assert found.unreadable == ()


def test_one_that_cannot_be_read_denies_everything() -> None:
    found = put_together((), {}, kept(FILE[0], damaged=True), find)
    last = found.policies.policies[-1]
    assert (found.unreadable, last.effect, last.depends) == (("d",), "deny", False)
    assert not any(getattr(last, name) for name in ("subjects", "models", "operations", "addresses", "times"))


def test_so_does_one_whose_zone_is_not_known_here() -> None:
    nowhere = PolicyEntry(name="n", effect="allow", times=(WindowEntry(zone="Nowhere/Atall"),))
    found = put_together((), {}, kept(nowhere), find)
    assert found.unreadable == ("n",)
    assert [(one.effect, one.times) for one in found.policies.policies] == [("deny", ())]


def test_a_name_of_the_configuration_is_refused_for_the_store() -> None:
    assert [path for path, _ in clashes({"policies[4]": BERLIN, "policies[5]": FILE[0]}, FILE)] == ["policies[5].name"]


def test_people_are_shown_all_of_them_or_the_shipped_one() -> None:
    (shipped,) = views_of((), KeptPolicies(0, ()), ())
    assert (shipped.name, shipped.origin) == ("as-the-token-says", "shipped")
    views = views_of(FILE, kept(BERLIN, damaged=True), {"d"})
    assert [(one.name, one.settings is None, one.faults != []) for one in views] == [
        ("z", False, False),
        ("a", False, False),
        ("b", False, False),
        ("d", True, True),
    ]
    assert (views[2].version, views[2].created_at_s) == (3, 7)


def test_a_set_that_allows_nothing_is_worth_a_warning_and_an_empty_one_is_none() -> None:
    assert warn_of(FILE) == warn_of(()) == []
    assert len(warn_of(FILE[1:])) == 1

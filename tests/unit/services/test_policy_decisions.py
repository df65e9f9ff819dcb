"""What policies say of a principal is remembered, for that principal and that kind of call alone."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.policies import Allow, Deny, Policies, Verdict
from jotgate.core.policy_values import Policy, PolicySet, Window
from jotgate.core.principals import Principal
from jotgate.services.policy_decisions import PolicyDesk, build_desk, open_policies
from jotgate.stores.zones import find_zone
from tests.callers import NOW_S, principal

ALIASES: Final = frozenset({"a", "b"})
POLICIES: Final = (
    Policy(name="no-b", effect="deny", models=("b",)),
    Policy(name="away", effect="deny", addresses=("10.0.0.0/8",)),
    Policy(name="rest", effect="allow"),
)


class Counting(Policies):
    """Counts how often a verdict is found. Mutable: that."""

    def __init__(self) -> None:
        super().__init__(POLICIES, ALIASES, {})
        self.found = 0

    def verdict(self, principal: Principal, operation: str, model: str) -> Verdict:
        self.found += 1
        return super().verdict(principal, operation, model)


@pytest.fixture
def policies() -> Counting:
    return Counting()


def decide(desk: PolicyDesk, whose: Principal, model: str = "a", address: str = "192.0.2.1") -> Allow | Deny:
    return desk.decide(whose, "chat.completions", model, address, NOW_S)


def test_a_verdict_is_found_once_for_each_kind_of_call(policies: Counting) -> None:
    desk, alice = PolicyDesk(policies, ALIASES, 100), principal()
    for _ in range(3):
        assert decide(desk, alice) == Allow("rest")
        assert decide(desk, alice, "b") == Deny("policy", "", "no-b")
        assert desk.decide(alice, "embeddings", "a", "192.0.2.1", NOW_S) == Allow("rest")
    assert policies.found == 3


def test_the_address_counts_on_each_call(policies: Counting) -> None:
    desk, alice = PolicyDesk(policies, ALIASES, 100), principal()
    assert decide(desk, alice) == Allow("rest")
    assert decide(desk, alice, address="10.0.0.1") == Deny("policy", "", "away")
    assert decide(desk, alice) == Allow("rest")
    assert policies.found == 1


def test_another_principal_is_another_even_where_it_is_equal(policies: Counting) -> None:
    desk, alice = PolicyDesk(policies, ALIASES, 100), principal()
    decide(desk, alice)
    assert decide(desk, replace(alice, scopes=frozenset())) == Deny("scope", "chat.completions")
    decide(desk, replace(alice))
    assert policies.found == 3


def test_names_that_callers_make_up_are_not_remembered(policies: Counting) -> None:
    desk, alice = PolicyDesk(policies, ALIASES, 100), principal()
    for _ in range(2):
        decide(desk, alice, "made-up")
    assert policies.found == 2
    decide(desk, alice)
    decide(desk, alice, "made-up")
    decide(desk, alice)
    assert policies.found == 4


def test_so_many_principals_are_remembered_those_that_called_last(policies: Counting) -> None:
    desk = PolicyDesk(policies, ALIASES, 4)
    callers = [principal(subject=f"s{number}") for number in range(4)]
    for one in callers:
        decide(desk, one)
    decide(desk, callers[3])
    decide(desk, callers[2])
    assert policies.found == 4
    decide(desk, principal(subject="new"))
    decide(desk, callers[0])
    assert policies.found == 6


def test_of_one_principal_so_many_kinds_of_call() -> None:
    aliases = frozenset(f"m{number}" for number in range(200))
    desk, alice = PolicyDesk(Policies(POLICIES, aliases, {}), aliases, 4), principal()
    for alias in sorted(aliases):
        assert decide(desk, alice, alias) == Allow("rest")


def test_without_policies_nobody_is_asked() -> None:
    assert build_desk(PolicySet(), ALIASES, 4) is None
    assert build_desk(PolicySet(POLICIES), ALIASES, 4) is not None


def test_a_set_that_crossed_the_bus_has_the_clocks_of_its_zones() -> None:
    rules = find_zone("Europe/Berlin", {})
    assert rules
    morning = Policy(name="morning", effect="allow", times=(Window((0,), 480, 540, "Europe/Berlin"),))
    noon = Policy(name="utc", effect="allow", times=(Window((0,), 720, 780, "UTC"),))
    found = open_policies(PolicySet((morning, noon), {"Europe/Berlin": rules}), ALIASES)
    desk = PolicyDesk(found, ALIASES, 4)
    monday_s = 1_799_020_800.0  # 2027-01-04T00:00:00Z
    decided = [
        desk.decide(principal(), "chat.completions", "a", "", monday_s + 3_600 * hour + 1_800) for hour in (6, 7, 12)
    ]
    assert decided == [Deny("policy"), Allow("morning"), Allow("utc")]

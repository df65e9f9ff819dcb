"""Conditions of policies: what fits, what is at the edge, what cannot be known; and that their number costs nothing."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Final

import pytest

from jotgate.core.circumstances import Circumstances
from jotgate.core.conditions import Conditions
from jotgate.core.policies import Policies
from jotgate.core.policy_values import Policy, Window
from tests.callers import principal

_NOON_S: Final = datetime(2027, 1, 4, 12, tzinfo=UTC).timestamp()  # a Monday
_OPEN: Final = Window((0,), 480, 1_080, "UTC")
_CLOSED: Final = Window((1,), 480, 1_080, "UTC")


def deny(**members: object) -> Policy:
    return Policy(name="p", effect="deny", **members)  # type: ignore[arg-type]


def fits(policy: Policy, address: str = "192.0.2.1", age_s: float | None = 0.0, *, unknown: bool) -> bool:
    """Whether one policy fits, asked for between others."""
    policies = (deny(addresses=("203.0.113.0/24",)), policy, deny(older_s=10**9))
    conditions = Conditions(policies, {"UTC": UTC})
    return conditions.fit(0b010, Circumstances(address, _NOON_S), age_s, unknown=unknown) == 0b010


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("::a00:1", False),  # the number of 10.0.0.1, as an IPv6 address
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, inside: bool, unknown: bool) -> None:
    policy = deny(addresses=("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"))
    assert fits(policy, address, unknown=unknown) is inside


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("address", ["", "unix", "10.0.0.1:80", "10.0.0"])
def test_what_is_no_address_is_unknown(address: str, unknown: bool) -> None:
    assert fits(deny(addresses=("10.0.0.0/8",)), address, unknown=unknown) is unknown
    assert fits(deny(), address, unknown=unknown)


@pytest.mark.parametrize(
    ("age_s", "older_s", "younger_s", "fit"),
    [
        (59.9, 60, None, False),
        (60.0, 60, None, True),
        (59.9, None, 60, True),
        (60.0, None, 60, False),
        (90.0, 60, 120, True),
        (120.0, 60, 120, False),
        (-1.0, None, 60, True),
    ],
)
def test_an_age_is_over_from_its_bound_on_and_under_before(
    age_s: float, older_s: int | None, younger_s: int | None, fit: bool
) -> None:
    assert fits(deny(older_s=older_s, younger_s=younger_s), age_s=age_s, unknown=not fit) is fit


@pytest.mark.parametrize("unknown", [True, False])
def test_an_unknown_age_matters_only_where_one_is_asked_for(unknown: bool) -> None:
    assert fits(deny(older_s=60), age_s=None, unknown=unknown) is unknown
    assert fits(deny(younger_s=60), age_s=None, unknown=unknown) is unknown
    assert fits(deny(), age_s=None, unknown=unknown)


@pytest.mark.parametrize("unknown", [True, False])
def test_all_that_a_policy_asks_for_has_to_fit(unknown: bool) -> None:
    both = deny(addresses=("192.0.2.0/24",), times=(_OPEN,), older_s=10)
    assert fits(both, age_s=11, unknown=unknown)
    assert not fits(both, "198.51.100.1", age_s=11, unknown=unknown)
    assert not fits(both, age_s=9, unknown=unknown)
    assert not fits(deny(addresses=("192.0.2.0/24",), times=(_CLOSED,)), unknown=unknown)


def test_what_fits_follows_the_clock_and_the_caller() -> None:
    conditions = Conditions((deny(times=(_OPEN,)), deny(addresses=("192.0.2.0/24",))), {"UTC": UTC})

    def fit(address: str, at_s: float) -> int:
        return conditions.fit(0b11, Circumstances(address, at_s), None, unknown=True)

    assert fit("192.0.2.1", _NOON_S) == 0b11
    assert fit("192.0.2.1", _NOON_S + 12 * 3600) == 0b10
    assert fit("198.51.100.1", _NOON_S) == 0b01
    assert fit("192.0.2.1", _NOON_S) == 0b11


def _steps(work: Callable[[], object]) -> int:
    """How many functions are called by something."""
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "member",
    [
        lambda number: {"subjects": (f"other-{number}",)},
        lambda number: {"tenants": (f"other-{number}*",)},
        lambda number: {"subjects": ("ann",), "addresses": (f"10.{number // 256}.{number % 256}.0/24",)},
        lambda number: {"subjects": ("ann",), "older_s": 90_000 + number},
        lambda number: {"subjects": ("ann",), "times": (_CLOSED,) * (1 + number % 2)},
    ],
    ids=["names", "beginnings", "networks", "ages", "windows"],
)
def test_a_thousand_policies_cost_a_call_no_more_steps_than_ten(member: Callable[[int], dict[str, object]]) -> None:
    few, many = (_settling(tuple(deny(**member(number)) for number in range(count))) for count in (10, 1_000))
    assert many <= few + 2


def _settling(denials: tuple[Policy, ...]) -> int:
    """The steps in which a known verdict is settled, for a caller whose address has been met."""
    policies = Policies((*denials, Policy(name="rest", effect="allow")), frozenset(), {"UTC": UTC})
    caller, now = principal(subject="ann"), Circumstances("192.0.2.1", _NOON_S)
    verdict = policies.verdict(caller, "chat.completions", "m")
    policies.settle(verdict, caller, now)
    return _steps(lambda: policies.settle(verdict, caller, now))


@pytest.mark.parametrize("named", ["subjects", "tenants", "clients", "roles", "models"])
def test_a_thousand_policies_about_others_cost_a_new_caller_no_more_steps_than_ten(named: str) -> None:
    few, many = (_finding(tuple(deny(**{named: (f"o-{number}",)}) for number in range(count))) for count in (10, 1_000))
    assert many <= few + 2


def _finding(denials: tuple[Policy, ...]) -> int:
    """The steps in which it is found what policies say of a caller who is not known yet."""
    policies = Policies((*denials, Policy(name="rest", effect="allow")), frozenset(), {"UTC": UTC})
    caller = principal(subject="ann")
    policies.verdict(caller, "embeddings", "m")
    return _steps(lambda: policies.verdict(caller, "chat.completions", "m"))

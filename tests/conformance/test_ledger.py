"""The ledger: leases are granted once, closed once, posted when they run out, and never more than the limit."""

import time
from collections.abc import Callable, Iterator

import pytest

from jotgate.core.ledger import Balance, LeaseAnswer, LeaseAsk
from jotgate.core.quotas import Meter
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from tests.conformance.conftest import DATABASES
from tests.conformance.leasing import START_S, Stage, metered, of_token, rated

METER = metered()
FOREVER = float("inf")


@pytest.fixture(params=("memory", *DATABASES))
def stage(request: pytest.FixtureRequest, make_address: Callable[[str], StoreAddress]) -> Iterator[Stage]:
    """An empty store of each kind, whose clock stands still."""
    made = Stage(None if request.param == "memory" else make_address(request.param))
    yield made
    made.store.close()


def test_nothing_is_asked_of_the_ledger(stage: Stage) -> None:
    assert (stage.store.turn([]), stage.store.balances([])) == ((), ())


def test_units_are_leased_up_to_the_limit(stage: Stage) -> None:
    assert stage.ask(LeaseAsk("a", METER, want=6, least=1)) == LeaseAnswer("a", 6, 10.0, 15.0, leased=6)
    assert stage.ask(LeaseAsk("b", METER, want=6, least=1)) == LeaseAnswer("b", 4, 10.0, 15.0, leased=10)
    assert stage.ask(LeaseAsk("c", METER, want=1, least=1)) == LeaseAnswer("c", 0, leased=10)
    assert stage.balance(METER) == Balance(METER.key, leased=10)


def test_fewer_than_the_least_are_not_leased(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=7, least=1))
    assert stage.ask(LeaseAsk("b", METER, want=6, least=4)).units == 0
    assert stage.ask(LeaseAsk("c", METER, want=6, least=3)).units == 3


def test_an_ask_that_comes_again_is_granted_once(stage: Stage) -> None:
    ask = LeaseAsk("a", METER, want=6, least=1)
    first = stage.ask(ask)
    stage.clock.s += 3
    assert stage.ask(ask) == first
    assert stage.store.turn([ask, ask]) == (first, first)
    assert stage.balance(METER).leased == 6


def test_a_lease_that_is_followed_is_posted_as_far_as_it_was_spent(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    follows = LeaseAsk("b", METER, want=2, least=1, previous="a", spent=3, kept=1)
    answer = stage.ask(follows)
    assert answer == LeaseAnswer("b", 3, 10.0, 15.0, posted=3, leased=3)
    assert stage.ask(follows) == answer
    assert stage.balance(METER) == Balance(METER.key, posted=3, leased=3, left=4)


def test_what_is_kept_goes_on_where_nothing_is_left(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=10, least=1))
    assert stage.ask(LeaseAsk("b", METER, want=5, least=1, previous="a", spent=7, kept=3)).units == 3
    assert stage.balance(METER) == Balance(METER.key, posted=7, leased=3)


def test_a_lease_is_given_back_once(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    back = LeaseAsk("", METER, previous="a", spent=2)
    assert stage.ask(back) == LeaseAnswer("", 0, posted=2)
    assert stage.ask(back) == LeaseAnswer("", 0, posted=2)
    assert stage.balance(METER) == Balance(METER.key, posted=2, left=8)


def test_what_is_kept_without_a_lease_that_follows_counts_as_used(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    assert stage.ask(LeaseAsk("", METER, previous="a", spent=2, kept=1)) == LeaseAnswer("", 0, lost=True, posted=3)


def test_more_than_a_lease_has_is_debt_and_the_next_is_refused(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    assert stage.ask(LeaseAsk("b", METER, want=1, least=1, previous="a", spent=25)).units == 0
    assert stage.balance(METER) == Balance(METER.key, posted=25, debt=19)


def test_what_is_kept_beyond_what_is_left_of_a_lease_is_debt_too(stage: Stage) -> None:
    """A call used more than it had reserved, while others of the same lease run with what they have."""
    stage.ask(LeaseAsk("a", METER, want=5, least=1))
    assert stage.ask(LeaseAsk("b", METER, previous="a", spent=5, kept=2)).units == 2
    assert stage.balance(METER) == Balance(METER.key, posted=5, leased=2, left=3, debt=2)


@pytest.mark.parametrize("spent", [2**53, 10**30])
def test_an_absurd_number_does_not_break_the_ledger(stage: Stage, spent: int) -> None:
    for turn in range(3):
        stage.store.turn([LeaseAsk(f"a{turn}", metered(2**60), want=1, least=1)])
        stage.store.turn([LeaseAsk("", METER, previous=f"a{turn}", spent=spent)])
    assert stage.balance(METER).posted == 3 * 2**53


def test_a_lease_that_ran_out_is_posted_by_whoever_comes_next(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    stage.clock.s += 15
    assert stage.ask(LeaseAsk("b", METER, want=9, least=1)).units == 4  # until its not_after it is its taker's
    stage.ask(LeaseAsk("", METER, previous="b"))
    stage.clock.s += 0.001
    assert stage.ask(LeaseAsk("c", METER, want=9, least=1)) == LeaseAnswer("c", 4, 10.0, 15.0, posted=6, leased=4)
    assert stage.balance(METER) == Balance(METER.key, posted=6, leased=4, lost=6)


def test_who_comes_too_late_is_told_and_only_what_is_beyond_is_charged(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    stage.clock.s += 16
    late = LeaseAsk("b", METER, want=1, least=1, previous="a", spent=8, kept=3)
    answer = stage.ask(late)
    assert answer == LeaseAnswer("b", 1, 10.0, 15.0, lost=True, posted=8, leased=1)
    assert stage.ask(late) == answer
    assert stage.balance(METER) == Balance(METER.key, posted=8, leased=1, left=1, debt=2, lost=6)


def test_the_debt_of_a_lost_lease_is_booked_once_although_nothing_is_granted(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=10, least=1))
    stage.clock.s += 16
    late = LeaseAsk("b", METER, want=1, least=1, previous="a", spent=12)
    for _ in range(2):
        assert stage.ask(late) == LeaseAnswer("b", 0, lost=True, posted=12)


def test_what_calls_use_later_of_a_lost_lease_is_booked_when_they_have_ended(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=9, least=1))
    stage.clock.s += 16
    assert stage.ask(LeaseAsk("b", METER, previous="a", spent=2, kept=7)).lost
    ended = LeaseAsk("c", METER, previous="a", spent=2 + 11)
    for _ in range(2):
        assert stage.ask(ended) == LeaseAnswer("c", 0, lost=True, posted=13)
    assert stage.balance(METER) == Balance(METER.key, posted=13, debt=4, lost=9)


def test_who_follows_what_nobody_remembers_has_lost_it(stage: Stage) -> None:
    answer = stage.ask(LeaseAsk("b", METER, want=2, least=1, previous="a", spent=3, kept=1))
    assert answer == LeaseAnswer("b", 2, 10.0, 15.0, lost=True, leased=2)


def test_the_lease_of_another_account_is_not_followed(stage: Stage) -> None:
    other = metered(holder="iss bob")
    stage.ask(LeaseAsk("a", other, want=6, least=1))
    assert stage.ask(LeaseAsk("b", METER, previous="a", spent=3, kept=3)) == LeaseAnswer("b", 0, lost=True)
    assert stage.ask(LeaseAsk("a", METER, want=1, least=1)) == LeaseAnswer("a", 0)
    assert (stage.balance(other).leased, stage.balance(METER)) == (6, Balance(METER.key, left=10))


def test_a_limit_that_is_lowered_grants_nothing_until_less_stands(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    lowered = metered(5)
    assert lowered.key == METER.key
    assert stage.ask(LeaseAsk("b", lowered, want=1, least=1)).units == 0
    assert stage.ask(LeaseAsk("c", lowered, want=9, least=1, previous="a", spent=2)).units == 3


def test_asks_of_one_turn_are_carried_out_in_their_order(stage: Stage) -> None:
    asks = [
        LeaseAsk("a", METER, want=8, least=1),
        LeaseAsk("b", METER, want=8, least=1),
        LeaseAsk("c", METER, want=8, least=1, previous="a", spent=1),
    ]
    assert [answer.units for answer in stage.store.turn(asks)] == [8, 2, 7]


def test_calls_at_once_are_freed_and_never_posted(stage: Stage) -> None:
    slots = metered(3, "now", "concurrent")
    stage.ask(LeaseAsk("a", slots, want=2, least=1))
    assert stage.ask(LeaseAsk("b", slots, want=2, least=1)).units == 1
    assert stage.ask(LeaseAsk("c", slots, previous="a", spent=1, kept=1)) == LeaseAnswer("c", 1, 10.0, 15.0, leased=2)
    stage.clock.s += 16
    assert stage.ask(LeaseAsk("d", slots, want=9, least=1)) == LeaseAnswer("d", 3, 10.0, 15.0, leased=3)
    assert stage.ask(LeaseAsk("", slots, previous="c", spent=9)) == LeaseAnswer("", 0, lost=True, leased=3)


def test_a_lease_ends_with_its_window(stage: Stage) -> None:
    minute = metered(10, "minute")
    stage.clock.s = START_S + 55.5
    answer = stage.ask(LeaseAsk("a", minute, want=6, least=1))
    assert answer == LeaseAnswer("a", 6, 4.5, 9.5, leased=6, window_s=int(START_S), ends_s=4.5)
    stage.clock.s = START_S + 60
    follows = LeaseAsk("b", minute, want=9, least=1, previous="a", spent=2, kept=3)
    later = stage.ask(follows)
    assert later == LeaseAnswer("b", 9, 10.0, 15.0, lost=True, leased=9, window_s=int(START_S) + 60, ends_s=60.0)
    assert stage.ask(follows) == later
    stage.clock.s = START_S + 59
    assert stage.balance(minute) == Balance(
        minute.key, posted=5, left=5, window_s=int(START_S), ends_at_s=int(START_S) + 60
    )


def test_nothing_of_a_window_goes_into_the_next(stage: Stage) -> None:
    minute = metered(10, "minute")
    stage.ask(LeaseAsk("a", minute, want=10, least=1))
    stage.clock.s += 60
    assert stage.ask(LeaseAsk("b", minute, want=10, least=10)).units == 10


def test_a_day_is_that_of_the_clock_of_its_zone(stage: Stage) -> None:
    berlin = metered(10, "day", zone="Europe/Berlin")
    stage.clock.s = 1_806_188_400.0  # 2027-03-27T23:00:00Z: the day that has 23 hours begins there
    answer = stage.ask(LeaseAsk("a", berlin, want=1, least=1))
    assert (answer.window_s, answer.ends_s) == (1_806_188_400, 23 * 3_600.0)


def test_of_a_zone_that_nobody_knows_nothing_is_granted_and_others_are(stage: Stage) -> None:
    nowhere = metered(10, "day", zone="Nowhere/Land")
    asks = [LeaseAsk("a", nowhere, want=1, least=1), LeaseAsk("b", METER, want=1, least=1)]
    assert [answer.units for answer in stage.store.turn(asks)] == [0, 1]
    assert stage.store.balances([nowhere, METER]) == (Balance(nowhere.key), Balance(METER.key, leased=1, left=9))
    assert stage.store.reset_balance(nowhere) == Balance(nowhere.key)


def test_a_rate_grants_a_burst_and_then_as_time_goes_by(stage: Stage) -> None:
    rate = rated(60, 60, burst=5)
    assert stage.ask(LeaseAsk("a", rate, want=9, least=1)).units == 5
    refused = stage.ask(LeaseAsk("b", rate, want=2, least=2))
    assert (refused.units, refused.ahead_s, refused.ends_s) == (0, 5.0, FOREVER)
    stage.clock.s += 2
    assert stage.ask(LeaseAsk("b", rate, want=9, least=2)).units == 2
    assert stage.ask(LeaseAsk("c", rate, want=9, least=6)).ahead_s == 5.0


def test_units_of_a_rate_that_are_given_back_may_come_at_once(stage: Stage) -> None:
    rate = rated(60, 60, burst=5)
    stage.ask(LeaseAsk("a", rate, want=5, least=1))
    answer = stage.ask(LeaseAsk("b", rate, want=9, least=1, previous="a", spent=2, kept=1))
    assert (answer.units, answer.posted, answer.leased) == (3, 2, 3)
    stage.ask(LeaseAsk("", rate, previous="b", spent=1))
    assert stage.balance(rate) == Balance(rate.key, posted=3, left=2)


def test_a_rate_of_aeons_does_not_break_the_ledger(stage: Stage) -> None:
    rate = rated(1, 10**9, burst=2**40)
    units = stage.ask(LeaseAsk("a", rate, want=2**40, least=1)).units
    assert 1_000 < units < 2**40
    stage.ask(LeaseAsk("", rate, previous="a", spent=2**53))
    assert stage.ask(LeaseAsk("b", rate, want=1, least=1)).units == 0
    assert stage.balance(rate).debt == 2**53 - units


def test_a_debt_of_a_rate_is_waited_for(stage: Stage) -> None:
    rate = rated(60, 60, burst=5)
    stage.ask(LeaseAsk("a", rate, want=5, least=1))
    stage.ask(LeaseAsk("", rate, previous="a", spent=8))
    assert stage.ask(LeaseAsk("b", rate, want=1, least=1)).ahead_s == 8.0


def test_a_rate_says_when_more_may_come_also_to_who_keeps_something(stage: Stage) -> None:
    rate = rated(60, 60, burst=5)
    stage.ask(LeaseAsk("a", rate, want=5, least=1))
    answer = stage.ask(LeaseAsk("b", rate, want=3, least=2, previous="a", kept=5))
    assert (answer.units, answer.ahead_s) == (5, 5.0)


def test_a_reset_forgets_what_was_posted_and_leaves_what_is_leased(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=6, least=1))
    stage.ask(LeaseAsk("b", METER, want=2, least=1, previous="a", spent=9))
    before = stage.store.reset_balance(METER)
    assert before == Balance(METER.key, posted=9, leased=1, debt=3)
    assert stage.balance(METER) == Balance(METER.key, leased=1, left=9)
    assert stage.store.reset_balance(metered(holder="iss bob")) == Balance(metered(holder="iss bob").key, left=10)


def test_a_rate_is_reset_to_its_burst(stage: Stage) -> None:
    rate = rated(60, 60, burst=5)
    stage.ask(LeaseAsk("a", rate, want=5, least=1))
    stage.store.reset_balance(rate)
    stage.ask(LeaseAsk("", rate, previous="a", spent=1))
    assert stage.balance(rate).left == 5


def test_leases_that_ran_out_are_posted_without_being_asked_for(stage: Stage) -> None:
    others = [metered(holder=f"iss {number}") for number in range(5)]
    stage.store.turn([LeaseAsk(f"l{number}", meter, want=2, least=1) for number, meter in enumerate(others)])
    assert stage.store.expire_leases(10) == 0
    stage.clock.s += 16
    assert [stage.store.expire_leases(3) for _ in range(3)] == [3, 2, 0]
    assert [one.lost for one in stage.store.balances(others)] == [2] * 5
    assert stage.ask(LeaseAsk("", others[0], previous="l0")).lost


def test_closed_leases_are_forgotten_when_no_ask_comes_any_more(stage: Stage) -> None:
    stage.store.turn([LeaseAsk("a", METER, want=1, least=1), LeaseAsk("b", METER, want=1, least=1)])
    stage.ask(LeaseAsk("", METER, previous="a", spent=1))
    stage.clock.s += 74
    stage.store.expire_leases(10)
    assert stage.store.drop_leases(10) == 0
    stage.clock.s += 2
    assert stage.store.drop_leases(10) == 1
    stage.clock.s += 3_540
    assert stage.store.drop_leases(10) == 1  # it waited for its taker, who may have a debt to tell
    assert stage.balance(METER) == Balance(METER.key, posted=2, left=8, lost=1)


def test_open_leases_are_not_forgotten(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=1, least=1))
    stage.clock.s += 100_000
    assert (stage.store.drop_leases(10), stage.store.drop_windows(10)) == (0, 0)


@pytest.mark.parametrize(
    ("meter", "days"),
    [
        (metered(10, "minute"), 2),
        (metered(10, "day"), 2),
        (rated(10, 60), 2),
        (rated(1, 86_400 * 10), 12),
        (metered(10, "now", "concurrent"), 2),
        (of_token(), 400),
    ],
)
def test_accounts_are_forgotten_when_they_count_no_more(stage: Stage, meter: Meter, days: int) -> None:
    stage.ask(LeaseAsk("a", meter, want=1, least=1))
    stage.ask(LeaseAsk("", meter, previous="a", spent=1))
    stage.clock.s += (days - 1) * 86_400
    assert stage.store.drop_windows(10) == 0
    stage.clock.s += 86_400 * 1.7
    assert stage.store.drop_windows(10) == 1
    assert stage.balance(meter).left == meter.quota.limit.amount
    assert stage.ask(LeaseAsk("b", meter, want=1, least=1)).units == 1


def test_a_lease_whose_account_was_forgotten_is_forgotten_too(stage: Stage) -> None:
    minute = metered(10, "minute")
    stage.ask(LeaseAsk("a", minute, want=1, least=1))
    stage.ask(LeaseAsk("", minute, previous="a", spent=1))
    stage.clock.s += 86_400 * 2
    assert stage.store.drop_windows(10) == 1
    answer = stage.ask(LeaseAsk("b", minute, want=2, least=1, previous="a", spent=1))
    assert (answer.units, answer.lost, answer.posted) == (2, True, 0)


def test_what_a_principal_may_use_in_a_lifetime_is_never_forgotten(stage: Stage) -> None:
    stage.ask(LeaseAsk("a", METER, want=1, least=1))
    stage.ask(LeaseAsk("", METER, previous="a", spent=1))
    stage.clock.s += 86_400 * 5_000
    assert stage.store.drop_windows(10) == 0


def test_no_account_is_forgotten_of_which_something_is_leased(stage: Stage) -> None:
    minute = metered(10, "minute")
    stage.ask(LeaseAsk("a", minute, want=1, least=1))
    stage.clock.s += 86_400 * 3
    assert stage.store.drop_windows(10) == 0
    stage.store.expire_leases(10)
    assert stage.store.drop_windows(10) == 1


def test_hundreds_of_asks_are_one_turn(stage: Stage) -> None:
    many = [metered(3, holder=f"iss {number % 700}") for number in range(1_400)]
    first = stage.store.turn([LeaseAsk(f"a{number}", meter, 2, 1) for number, meter in enumerate(many)])
    assert [answer.units for answer in first] == [2] * 700 + [1] * 700
    asks = [LeaseAsk(f"b{number}", meter, 3, 1, f"a{number}", 1) for number, meter in enumerate(many)]
    later = stage.store.turn(asks)
    # The first of each account gives one back, of which it takes that one anew; the second had but one, and spent it.
    assert [answer.units for answer in later] == [1] * 700 + [0] * 700
    assert [answer.units for answer in stage.store.turn(asks)] == [1] * 700 + [0] * 700
    assert [answer.posted for answer in stage.store.turn(asks)] == [2] * 1_400


def test_without_another_clock_a_store_goes_by_its_own(store: Store) -> None:
    before_s = time.time()
    (answer,) = store.turn([LeaseAsk("a", metered(10, "day"), want=1, least=1)])
    now_s = answer.window_s + 86_400 - answer.ends_s
    assert before_s - 1 <= now_s <= time.time() + 1

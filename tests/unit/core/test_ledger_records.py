"""How long accounts are kept, and what they say to people."""

import pytest

from jotgate.core.ledger_records import MeterLabel, keep_until_s, new_account
from jotgate.core.meters import meter_of
from jotgate.core.quota_windows import ENDLESS, Window
from jotgate.core.quotas import Level, Limit, Quota

DAY_S = 86_400
NOW_S = 20_000 * DAY_S + 5


def test_an_account_says_what_it_counts() -> None:
    meter = meter_of(Quota("q", Limit("cost", 5, "day", "Europe/Berlin"), ("principal", "model")), ("iss ann", "gpt"))
    label = new_account(meter, Window(0, DAY_S), NOW_S).label
    assert label == MeterLabel("q", "cost", "day", ("principal", "model"), ("iss ann", "gpt"), "Europe/Berlin")


@pytest.mark.parametrize(("level", "days"), [("token", 400), ("principal", None), ("tenant", None)])
def test_a_lifetime_is_kept_for_good_unless_it_is_a_tokens(level: Level, days: int | None) -> None:
    meter = meter_of(Quota("q", Limit("requests", 5), (level,)), ("h",))
    kept = new_account(meter, ENDLESS, NOW_S).keep_until_s
    assert kept == (None if days is None else NOW_S - 5 + days * DAY_S)


def test_a_day_of_uses_does_not_move_how_long_an_account_is_kept() -> None:
    meter = meter_of(Quota("q", Limit("requests", 5, "rate", period_s=60)), ("h",))
    account = new_account(meter, ENDLESS, NOW_S)
    found = {keep_until_s(account, NOW_S + second) for second in range(0, DAY_S - 5, 3_600)}
    assert found == {account.keep_until_s}

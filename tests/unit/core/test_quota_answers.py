"""A refusal of a quota says which one, what of it is gone, and when there will be more."""

from math import inf

from jotgate.core.meters import meter_of
from jotgate.core.quota_answers import exceeded
from jotgate.core.quotas import Limit, Quota
from jotgate.errors import Code

NOW_S = 1_795_426_200.25
DAILY = meter_of(Quota("daily", Limit("requests", 1_000, "day")), ("h",))


def test_what_begins_anew_says_when() -> None:
    refusal = exceeded(DAILY, spent=1_000, resets_s=59.5, now_s=NOW_S)
    assert (refusal.code, refusal.status, refusal.retry_after_s) == (Code.QUOTA_EXCEEDED, 429, 60)
    assert refusal.message == (
        "the quota 'daily' has not so much left: 1000 of 1000 requests are spent or reserved, "
        "and it begins anew at 2026-11-23T09:31:00Z"
    )
    assert (refusal.standing.limit, refusal.standing.spent, refusal.standing.levels) == (1_000, 1_000, ("principal",))
    assert (refusal.standing.window_s, refusal.standing.resets_at) == (86_400, 1_795_426_260)


def test_nobody_is_told_to_wait_for_what_never_comes() -> None:
    meter = meter_of(Quota("budget", Limit("cost", 5_000_000_000)), ("h",))
    refusal = exceeded(meter, spent=4_999_999_999, resets_s=inf, now_s=NOW_S)
    assert refusal.message == (
        "the quota 'budget' has not so much left: 4.999999999 of 5.00 US dollars are spent or reserved"
    )
    assert (refusal.retry_after_s, refusal.standing.resets_at) == (0, 0)
    assert refusal.hint == "Ask the operator of this gateway for more"


def test_a_token_that_is_good_for_nothing_is_refused_in_the_words_of_the_daemon() -> None:
    nothing = meter_of(Quota("token 0 requests", Limit("requests", 0), ("token",)), ("iss jti",))
    assert exceeded(nothing, spent=0, resets_s=inf, now_s=0.0).message == "Token quota exceeded"
    for limit, per in ((Limit("requests", 1), "token"), (Limit("requests", 0), "principal")):
        other = meter_of(Quota("q", limit, (per,)), ("iss x",))  # type: ignore[arg-type]
        assert exceeded(other, spent=1, resets_s=inf, now_s=0.0).message != "Token quota exceeded"

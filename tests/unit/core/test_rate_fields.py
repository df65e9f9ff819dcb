"""What the fields of quotas say: well-formed structured fields, and what clients of OpenAI's API read."""

from math import inf

import pytest

from jotgate.core.quota_answers import told as body_of
from jotgate.core.rate_fields import openai_lines, refusal_lines, span_text
from jotgate.errors import QuotaExceeded, QuotaStanding


def standing(name: str = "daily", unit: str = "requests", **members: object) -> QuotaStanding:
    found: dict[str, object] = {"levels": ("principal",), "limit": 100, "spent": 100, "window_s": 86_400}
    found |= {"resets_s": 59.5, "resets_at": 1_795_426_260} | members
    return QuotaStanding(name=name, unit=unit, **found)  # type: ignore[arg-type]


def fields(lines: bytes) -> dict[str, str]:
    told = [line.partition(": ") for line in lines.decode("ascii").removesuffix("\r\n").split("\r\n")]
    found = {name: value for name, _, value in told}
    assert len(found) == len(told)
    return found


def refused(one: QuotaStanding, *others: QuotaStanding, retry_after_s: int = 0) -> dict[str, str]:
    return fields(refusal_lines(QuotaExceeded(one, "no", retry_after_s=retry_after_s, others=others)))


def test_all_policies_are_told_and_how_the_one_stands_that_refuses() -> None:
    found = refused(standing(), standing("all", "concurrent", limit=4, spent=1, window_s=0, resets_s=inf))
    assert found["RateLimit-Policy"] == '"daily";q=100;w=86400, "all";q=4;qu="concurrent-requests"'
    assert found["RateLimit"] == '"daily";r=0;t=60'


def test_the_refusing_quota_is_not_told_twice() -> None:
    assert refused(standing(), standing())["RateLimit-Policy"] == '"daily";q=100;w=86400'


@pytest.mark.parametrize(("retry_after_s", "told_s"), [(0, "60"), (5, "60"), (300, "300")])
def test_nobody_is_told_to_come_again_before_the_window_ends(retry_after_s: int, told_s: str) -> None:
    assert refused(standing(), retry_after_s=retry_after_s)["Retry-After"] == told_s


def test_who_would_wait_in_vain_is_not_told_to_wait() -> None:
    """Clients of OpenAI's API try again by themselves unless they are told not to."""
    found = refused(standing(resets_s=inf, resets_at=0, window_s=0))
    assert found["RateLimit"] == '"daily";r=0'
    assert found["X-Should-Retry"] == "false"
    assert not {"Retry-After", "X-RateLimit-Reset-requests"} & found.keys()


@pytest.mark.parametrize(("resets_s", "retried"), [(60.0, True), (61.0, False)])
def test_a_short_wait_is_a_clients_to_make_and_a_long_one_is_not(resets_s: float, retried: bool) -> None:
    assert ("X-Should-Retry" not in refused(standing(resets_s=resets_s))) is retried


def test_a_unit_that_is_not_registered_is_told_in_a_parameter_of_ours() -> None:
    assert refused(standing(unit="total_tokens"))["RateLimit-Policy"] == (
        '"daily";q=100;jotgate-unit="total_tokens";w=86400'
    )


def test_names_and_numbers_are_what_structured_fields_can_hold() -> None:
    found = refused(standing('a "b" \\ é', limit=10**16, spent=0))
    assert found["RateLimit"] == '"a \\"b\\" \\\\ ?";r=999999999999999;t=60'


def test_debt_leaves_nothing_and_not_less() -> None:
    found = refused(standing(spent=140))
    assert (found["RateLimit"], found["X-RateLimit-Remaining-requests"]) == ('"daily";r=0;t=60', "0")


def test_clients_of_openai_read_where_least_is_left() -> None:
    found = fields(
        openai_lines(
            (
                standing("a", limit=100, spent=10),
                standing("b", limit=1_000, spent=990, resets_s=3_600.0),
                standing("c", "total_tokens", limit=5_000, spent=1_000, resets_s=0.2),
                standing("d", "cost"),
            )
        )
    )
    assert found == {
        "X-RateLimit-Limit-requests": "1000",
        "X-RateLimit-Remaining-requests": "10",
        "X-RateLimit-Reset-requests": "1h0m0s",
        "X-RateLimit-Limit-tokens": "5000",
        "X-RateLimit-Remaining-tokens": "4000",
        "X-RateLimit-Reset-tokens": "1s",
    }


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59, "59s"), (360, "6m0s"), (86_399, "23h59m59s")])
def test_a_span_is_written_as_that_api_writes_it(seconds: int, text: str) -> None:
    assert span_text(seconds) == text


def test_a_body_tells_money_in_dollars_and_units_as_limits_are_written() -> None:
    found = body_of(standing("budget", "cost", levels=("tenant", "model"), limit=5_000_000_000, spent=1_250_000_000))
    assert (found.level, found.unit, found.limit, found.spent) == ("tenant+model", "USD", 5.0, 1.25)
    assert found.reset == "2026-11-23T09:31:00Z"
    everybody = body_of(standing(unit="total_tokens", levels=(), resets_at=0))
    assert (everybody.level, everybody.unit, everybody.reset) == ("all", "tokens", None)

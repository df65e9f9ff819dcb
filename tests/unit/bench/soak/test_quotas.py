"""Each promise about quotas is broken once, and judged to be; what keeps all of them is not."""

from collections import Counter
from collections.abc import Callable

import pytest

from bench.soak.quota_load import Crowd
from bench.soak.quota_rig import Account
from bench.soak.quotas import FIRST_AT, FULL, REQUESTS, SMALL, STREAMS, TOKENS, Pass, judge
from jotgate.testing.call_log import CallLine


def line(number: int, written: int = 10, ceiling: int | None = 20, ending: str = "complete") -> CallLine:
    return CallLine(f"r{number}", "unary", ceiling, 5, written, ending)


def good(name: str = REQUESTS) -> Pass:
    """A pass in which all requests but one were made, and one was lost."""
    lines = [line(number) for number in range(SMALL.requests - 1)]
    tokens = sum(one.tokens for one in lines)
    crowd = Crowd(counts=Counter(answered=len(lines) - 10, closed=10, quota_exceeded=64), first=SMALL.streams)
    accounts = {
        "requests": Account("requests", SMALL.requests, 0, 0, 1),
        "total_tokens": Account("total_tokens", tokens + 30, 0, 0, 30),
    }
    return Pass(name, crowd=crowd, lines=lines, accounts=accounts)


@pytest.mark.parametrize("name", [REQUESTS, TOKENS, STREAMS])
def test_what_keeps_every_promise_has_no_fault(name: str) -> None:
    found = good(name)

    judge(found, SMALL)

    assert found.faults == []


def one_request_more(found: Pass) -> None:
    found.lines = [*found.lines, line(-1), line(-2)]


def tokens_beyond_what_is_posted(found: Pass) -> None:
    found.lines = [*found.lines[1:], line(-1, written=50)]


def tokens_beyond_the_limit(found: Pass) -> None:
    found.lines = [*found.lines[1:], line(-1, written=SMALL.tokens)]


def debt(found: Pass) -> None:
    found.accounts = {
        **found.accounts,
        "total_tokens": found.accounts["total_tokens"]._replace(debt=SMALL.debt_max + 1),
    }


def a_request_of_debt(found: Pass) -> None:
    found.accounts = {**found.accounts, "requests": found.accounts["requests"]._replace(debt=1)}


def more_posted_than_there_is(found: Pass) -> None:
    found.accounts = {**found.accounts, "requests": Account("requests", SMALL.requests + 1, 0, 0, 0)}


def requests_that_nobody_could_spend(found: Pass) -> None:
    found.accounts = {**found.accounts, "requests": Account("requests", SMALL.requests - 1, 0, 0, 0)}


def no_account(found: Pass) -> None:
    found.accounts = {}


def an_answer_without_a_ceiling(found: Pass) -> None:
    found.lines = [*found.lines[1:], line(0, ceiling=None)]


def answers_of_nothing(found: Pass) -> None:
    found.lines = [line(number, ending="gone") for number in range(len(found.lines))]


def nobody_refused(found: Pass) -> None:
    del found.crowd.counts["quota_exceeded"]


@pytest.mark.parametrize(
    "break_it",
    [
        one_request_more,
        tokens_beyond_what_is_posted,
        tokens_beyond_the_limit,
        debt,
        a_request_of_debt,
        more_posted_than_there_is,
        requests_that_nobody_could_spend,
        no_account,
        an_answer_without_a_ceiling,
        answers_of_nothing,
        nobody_refused,
    ],
)
def test_what_breaks_a_promise_is_a_fault(break_it: Callable[[Pass], None]) -> None:
    found = good()
    break_it(found)

    judge(found, SMALL)

    assert found.faults != []


def test_the_full_scenario_forgives_no_debt() -> None:
    assert FULL.debt_max == 0
    assert FIRST_AT == 0.9


def test_a_stream_that_is_refused_early_is_a_fault() -> None:
    found = good(STREAMS)
    found.crowd.first = SMALL.streams // 2

    judge(found, SMALL)

    assert found.faults != []


def test_what_streams_were_sold_and_nobody_was_charged_is_a_fault() -> None:
    found = good(STREAMS)
    account = found.accounts["total_tokens"]
    found.accounts = {"total_tokens": account._replace(posted=found.sold - 1, debt=0)}

    judge(found, SMALL)

    assert any("are posted" in fault for fault in found.faults)

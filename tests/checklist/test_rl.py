"""Rows RL-01 to RL-06 of the token checklist (draft-ietf-httpapi-ratelimit-headers-11): what a spent quota answers."""

import json
import re
from typing import Any, Final

import pytest

from jotgate.core.problem_details import render_details
from jotgate.core.quotas import Level, Limit, Quota, Unit, WindowKind
from jotgate.errors import AttemptsThrottled, JotgateError, QuotaUnavailable
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.metering import MeteredStage

UNARY: Final = b'{"model":"a"}'
ANSWER: Final = b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}'
UNITS: Final = frozenset({"requests", "content-bytes", "concurrent-requests"})
_TYPES: Final = "https://iana.org/assignments/http-problem-types#"

# RFC 9651 s3.1, as far as these fields need it: a list of strings, whose parameters are integers and strings.
_STRING: Final = r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
_PARAMETER: Final = re.compile(rf";([a-z*][a-z0-9_.*-]*)=(?:(-?[0-9]{{1,15}})(?![0-9.])|{_STRING})")
_ITEM: Final = re.compile(_STRING + r"((?:;[a-z*][a-z0-9_.*-]*=[^;, ]+)*)")


def items(value: str) -> dict[str, dict[str, int | str]]:
    """The items of a field, with their parameters; a field that is malformed fails the test."""
    found: dict[str, dict[str, int | str]] = {}
    for text in re.split(r"[ \t]*,[ \t]*", value):
        item = _ITEM.fullmatch(text)
        assert item is not None, text
        parameters = list(_PARAMETER.finditer(item[2]))
        assert "".join(one[0] for one in parameters) == item[2], text
        found[item[1]] = {one[1]: one[3] if one[2] is None else int(one[2]) for one in parameters}
    return found


def quota(name: str, unit: Unit, amount: int, window: WindowKind, *per: Level, period_s: int = 0) -> Quota:
    return Quota(name, Limit(unit, amount, window, period_s=period_s), per or ("principal",))


def spend(*quotas: Quota, calls: int = 3) -> RecordingCaller:
    """The answer to a call beyond these quotas."""
    stage = MeteredStage(*quotas)
    caller, _ = stage.begin(UNARY)
    for _ in range(calls):
        if caller.status == 429:
            break
        if stage.one.exchanges and not caller.status:
            stage.one.last.answer(200, ANSWER)
        caller, _ = stage.begin(UNARY)
    assert caller.status == 429
    return caller


EACH: Final = [
    quota("rpm", "requests", 1, "minute"),
    quota("rpd", "requests", 1, "day"),
    quota("once", "requests", 1, "lifetime"),
    quota("tokens", "total_tokens", 20, "hour"),
    quota("in", "input_tokens", 20, "month"),
]


@pytest.mark.parametrize("one", EACH, ids=lambda one: one.name)
def test_RL_01_a_policy_has_its_quota_and_its_window_and_a_registered_unit(one: Quota) -> None:
    policies = items(spend(one).headers["ratelimit-policy"])
    assert policies.keys() == {one.name}
    found = policies[one.name]
    assert found["q"] == one.limit.amount
    assert found.get("qu", "requests") in UNITS
    assert ("w" in found) is (one.limit.window != "lifetime")
    assert int(found.get("w", 1)) > 0
    assert "pk" not in found


def test_RL_01_calls_at_once_have_a_unit_of_their_own() -> None:
    stage = MeteredStage(quota("slots", "concurrent", 1, "now"))
    stage.begin(UNARY)
    caller, _ = stage.begin(UNARY)
    stage.tick(14)
    assert items(caller.headers["ratelimit-policy"]) == {"slots": {"q": 1, "qu": "concurrent-requests"}}


def test_RL_02_the_service_limit_says_what_is_left_and_until_when() -> None:
    found = items(spend(EACH[0]).headers["ratelimit"])
    assert found["rpm"]["r"] == 0
    assert 0 < int(found["rpm"]["t"]) <= 60


def test_RL_02_what_never_comes_again_has_no_window() -> None:
    assert items(spend(EACH[2]).headers["ratelimit"]) == {"once": {"r": 0}}


def test_RL_03_the_fields_stand_before_the_body_and_a_trailer_is_never_sent() -> None:
    """The edge writes no trailer section at all; what it is given are the header lines."""
    caller = spend(EACH[0])
    assert {"ratelimit", "ratelimit-policy"} <= caller.headers.keys()
    assert "trailer" not in caller.headers


@pytest.mark.parametrize("one", EACH, ids=lambda one: one.name)
def test_RL_04_nobody_is_told_to_retry_before_the_window_ends(one: Quota) -> None:
    headers = spend(one, quota("far", "requests", 100, "month")).headers
    limits = items(headers["ratelimit"])
    if one.limit.window == "lifetime":
        assert "retry-after" not in headers
    else:
        assert int(headers["retry-after"]) >= max(int(limit.get("t", 0)) for limit in limits.values()) > 0


def test_RL_05_who_asks_for_problem_details_gets_the_registered_type() -> None:
    stage = MeteredStage(quota("daily", "requests", 1, "day"))
    stage.begin(UNARY)
    asked = request(
        UNARY, authorization=b"Bearer " + stage.issuer.token(), accept=b"application/json, application/problem+json"
    )
    asked.begun_s = stage.clock.monotonic_s()
    caller, _ = stage.ask(asked)
    stage.run()
    body = json.loads(caller.body)
    assert (caller.status, caller.headers["content-type"]) == (429, "application/problem+json")
    assert body["type"] == _TYPES + "quota-exceeded"
    assert body["violated-policies"] == ["daily"]
    assert (body["quota"]["unit"], body["quota"]["limit"]) == ("requests", 1)
    assert items(caller.headers["ratelimit-policy"]).keys() == {"daily"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (QuotaUnavailable("what"), 503, "temporary-reduced-capacity"),
        (AttemptsThrottled("what", retry_after_s=2), 429, "abnormal-usage-detected"),
    ],
)
def test_RL_05_what_is_short_for_a_while_and_what_is_too_much_have_types_too(
    error: JotgateError, status: int, kind: str
) -> None:
    problem = render_details(error, "req-1", "")
    body: dict[str, Any] = json.loads(problem.body)
    assert (problem.status, body["status"], body["type"]) == (status, status, _TYPES + kind)
    assert b"Retry-After: " in problem.lines


def test_RL_06_the_time_is_not_scattered_so_that_it_is_never_too_early() -> None:
    """Scattering is allowed, and is not done: `t` is the whole time, rounded up."""
    stage = MeteredStage(quota("rpm", "requests", 1, "minute"))
    stage.begin(UNARY)
    caller, _ = stage.begin(UNARY)
    left_s = 60 - stage.clock.now_s() % 60
    told_s = int(items(caller.headers["ratelimit"])["rpm"]["t"])
    assert left_s - 0.001 <= told_s <= left_s + 1.5


def test_F20_the_body_names_level_unit_limit_spent_and_reset() -> None:
    caller = spend(quota("rpd", "requests", 2, "day", "principal"))
    error = json.loads(caller.body)["error"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "quota_exceeded", None)
    told = error["quota"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:0[01]Z", told.pop("reset"))
    assert told == {"name": "rpd", "level": "principal", "unit": "requests", "limit": 2, "spent": 2}


def test_F20_a_refusal_says_whose_quota_it_was_first() -> None:
    """Of several quotas that meet a call, the one is told that refuses it."""
    caller = spend(quota("many", "requests", 100, "day"), quota("few", "requests", 1, "hour"))
    assert json.loads(caller.body)["error"]["quota"]["name"] == "few"
    assert items(caller.headers["ratelimit-policy"]).keys() == {"few", "many"}

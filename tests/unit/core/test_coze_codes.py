"""What Coze's codes are told as, whatever status they come with."""

import json

import pytest

from jotgate.core.coze_codes import MESSAGE_MAX, fault_of, means_token


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_known_code_means_the_same_under_any_status(status: int) -> None:
    assert fault_of(4016, "busy", status).meaning.status == 409
    assert fault_of(4105, "no", status).meaning.code == "content_filter"


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [(400, 400, "coze_request_refused"), (404, 404, "coze_not_found"), (408, 504, "coze_timeout")]
    + [(429, 429, "rate_limit_exceeded"), (500, 502, "coze_failed"), (503, 502, "coze_failed")]
    + [(200, 500, "coze_failed"), (418, 500, "coze_failed")],
)
def test_an_unknown_code_is_judged_by_the_status(status: int, told: int, code: str) -> None:
    meaning = fault_of(999_999, "what", status).meaning
    assert (meaning.status, meaning.code) == (told, code)


def test_a_code_5000_under_200_says_nothing_of_coze_as_a_whole() -> None:
    assert fault_of(5000, "internal").meaning.status == 500
    assert fault_of(5000, "internal", 500).meaning.status == 502


def test_what_coze_says_of_its_own_patience_goes_before_the_usual() -> None:
    assert fault_of(4020, "", 429, 30).meaning.retry_after_s == 30
    assert fault_of(4020, "", 429).meaning.retry_after_s == 5
    assert fault_of(4016, "").meaning.retry_after_s == 1
    assert fault_of(4000, "").meaning.retry_after_s == 0


def test_the_account_of_the_operator_is_not_spoken_of() -> None:
    error = json.loads(fault_of(4011, "balance of account 42 is -3.50").body())["error"]
    assert "3.50" not in error["message"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "insufficient_quota", None)


def test_words_of_coze_are_one_line_of_a_bounded_length() -> None:
    fault = fault_of(4000, "bad\r\nthing\x00 " + "x" * 2_000)
    assert fault.said.startswith("bad thing x")
    assert len(fault.said) == MESSAGE_MAX


@pytest.mark.parametrize(
    ("number", "status", "renews"),
    [(4100, 200, True), (700012006, 200, True), (0, 401, True), (4101, 200, False), (4016, 200, False)],
)
def test_which_refusals_mean_the_token(number: int, status: int, renews: bool) -> None:
    assert means_token(number, status) is renews

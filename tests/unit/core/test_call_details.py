"""The limits in `authorization_details`; what else an object has is shown where tokens are traded."""

import json
from typing import Any

import pytest

from jotgate.core.call_details import asked_limits, read_details
from jotgate.core.limit_texts import LIMITS_MAX, read_limit
from jotgate.core.oauth_form import FORM_TYPE, Form, read_form
from jotgate.core.quotas import TokenLimit
from jotgate.errors import AuthorizationDetailsRefused


def form(value: Any) -> Form:
    text = json.dumps([{"type": "jotgate_call", "limits": value}])
    return Form({"authorization_details": (text,)})


def test_limits_are_asked_for_as_texts_and_repeated_as_they_were() -> None:
    details = read_details(form(["1_000 requests/day", "2.50 USD"]))
    assert details is not None
    assert details.limits == ("1_000 requests/day", "2.50 USD")
    assert asked_limits(details) == (TokenLimit(read_limit("1000 requests/day")), TokenLimit(read_limit("2.5 USD")))


def test_without_them_nothing_is_asked_for() -> None:
    assert asked_limits(None) == ()
    assert asked_limits(read_details(read_form(b"scope=ai", FORM_TYPE))) == ()
    models = Form({"authorization_details": ('[{"type":"jotgate_call","models":["a"]}]',)})
    assert asked_limits(read_details(models)) == ()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], f"'limits' is not an array of 1 to {LIMITS_MAX} limits"),
        (None, "'limits' is not an array"),
        ("1 request", "'limits' is not an array"),
        ({"requests": 1}, "'limits' is not an array"),
        (["1 request"] * (LIMITS_MAX + 1), "'limits' is not an array"),
        ([1], "'limits' has something in it that is no limit"),
        (["1 request\n"], "'limits' has something in it that is no limit"),
        (["1" * 300], "'limits' has something in it that is no limit"),
        (["5 calls"], "counts no unit that there is"),
    ],
)
def test_what_is_no_limit_is_refused(value: Any, why: str) -> None:
    with pytest.raises(AuthorizationDetailsRefused, match=why):
        read_details(form(value))

"""A request for a bound that is no parameter, or none yet, is refused by its name, in either number."""

import pytest

from jotgate.core.not_offered import NOT_OFFERED, check_offered
from jotgate.core.oauth_form import FORM_TYPE, read_form
from jotgate.errors import OAuthMalformed


@pytest.mark.parametrize("name", [*NOT_OFFERED, *(name[:-1] for name in NOT_OFFERED)])
def test_a_bound_that_there_is_not_yet_is_refused(name: str) -> None:
    with pytest.raises(OAuthMalformed, match=f"'{name}' is not offered") as caught:
        check_offered(read_form(f"scope=ai&{name}=x".encode(), FORM_TYPE))
    assert caught.value.hint == f"Leave out '{name}'"


@pytest.mark.parametrize("name", ["limits", "limit"])
def test_limits_stand_elsewhere(name: str) -> None:
    with pytest.raises(OAuthMalformed, match=f"'{name}' is no parameter") as caught:
        check_offered(read_form(f"scope=ai&{name}=x".encode(), FORM_TYPE))
    assert caught.value.hint == "Name 'limits' in 'authorization_details'"


def test_what_has_no_value_or_another_name_is_passed_over() -> None:
    check_offered(read_form(b"scope=ai&tools=&toolbox=x&limiter=y", FORM_TYPE))

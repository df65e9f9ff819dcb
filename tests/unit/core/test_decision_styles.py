"""Who asks for a decision is known by what he asks, and a caller of one kind of proxy cannot make it another."""

import pytest

from jotgate.core.decision_questions import FORWARD_AUTH, read_question
from jotgate.errors import RequestMalformed

ASKED = (FORWARD_AUTH, b"style=nginx")
WRITTEN_BY_A_CALLER = {b"x-original-method": b"GET", b"x-original-uri": b"/public"}
WRITTEN_BY_CADDY = {b"x-forwarded-method": b"DELETE", b"x-forwarded-uri": b"/private?style=nginx"}


@pytest.mark.parametrize("field", [*WRITTEN_BY_CADDY])
def test_a_caller_of_caddy_cannot_have_his_own_fields_read_by_a_query(field: bytes) -> None:
    headers = {b"x-forwarded-for": b"192.0.2.1", **WRITTEN_BY_A_CALLER, field: WRITTEN_BY_CADDY[field]}
    with pytest.raises(RequestMalformed):
        read_question("nginx", b"GET", ASKED, headers)


def test_nginx_is_read_where_no_other_kind_of_proxy_has_written() -> None:
    headers = {b"x-forwarded-for": b"192.0.2.1", b"x-forwarded-host": b"a.example", **WRITTEN_BY_A_CALLER}
    question = read_question("nginx", b"GET", ASKED, headers)
    assert (question.method, question.path, question.host) == (b"GET", b"/public", "")

"""What a call is told that needs an upstream's token, and there is none; tokens never show themselves."""

import pytest

from jotgate.core.problems import render
from jotgate.core.upstream_tokens import HeldToken, Lack, TokenFound, TokenLacking, digest_of, lacking_error
from jotgate.core.values import Secret


@pytest.mark.parametrize(
    ("lack", "status", "code", "lines"),
    [
        ("refused", 502, b"upstream_token_refused", b""),
        ("unconfigured", 503, b"upstream_token_unconfigured", b""),
        ("unreachable", 503, b"upstream_token_unavailable", b"Retry-After: 7\r\n"),
        ("unknown", 503, b"upstream_token_unavailable", b"Retry-After: 7\r\n"),
    ],
)
def test_a_caller_is_told_what_there_is_no_token_for_and_when_there_may_be_one(
    lack: Lack, status: int, code: bytes, lines: bytes
) -> None:
    problem = render(lacking_error("coze", TokenLacking(lack, "the reason", 7)))
    assert problem.status == status
    assert code in problem.body
    assert b"'coze'" in problem.body
    assert b"the reason" in problem.body
    assert (b"Retry-After" in problem.lines, lines in problem.lines) == (bool(lines), True)


def test_tokens_do_not_show_themselves() -> None:
    token = Secret("czs_shown")
    held = HeldToken(token, 1.0, 2.0, 3.0)
    assert "czs_shown" not in repr((held, TokenFound(token, held.digest, 2.0)))
    assert held.digest == digest_of(Secret("czs_shown")) != digest_of(Secret("czs_other"))

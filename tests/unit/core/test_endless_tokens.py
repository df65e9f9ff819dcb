"""What is kept of a token without an end: what names it, and nothing that could be one or that no store would take."""

from math import inf

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core.endless_tokens import BYTES_MAX, CHARS_MAX, EndlessToken, sight_of
from jotgate.core.principals import Principal
from jotgate.core.revocations import names_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
ANN = Principal("chain", "ann", "", "f00d", "secret-0", frozenset(), None, inf, 0.0, issued_at_s=99.9)


def sight(principal: Principal, now_s: float = 123.9) -> EndlessToken:
    return sight_of(principal, names_of(principal, ""), now_s)


def test_it_says_whose_it_is_and_when_it_was_seen() -> None:
    found = sight(ANN)
    assert (found.issuer, found.subject, found.token_id, found.issued_at_s) == ("chain", "ann", "f00d", 99)
    assert (found.first_seen_at_s, found.last_seen_at_s) == (123, 123)
    assert found.names == names_of(ANN, "")


def test_its_digest_is_the_same_at_each_sight_and_no_other_tokens() -> None:
    digests = [
        sight(one).digest
        for one in (ANN, replace(ANN, token_id="f00e"), replace(ANN, issuer="chain f00d", token_id="x"))
    ]
    assert len({*digests}) == len(digests)
    assert sight(ANN, 999.0).digest == digests[0]
    assert len(digests[0]) == 64
    # Where one name ends and the other begins makes a difference.
    assert (
        sight(replace(ANN, issuer="a", token_id="b c")).digest != sight(replace(ANN, issuer="a b", token_id="c")).digest
    )


def test_two_sights_are_one_from_the_first_to_the_last() -> None:
    both = sight(ANN, 5.0).and_also(sight(ANN, 9.0))
    assert (both.first_seen_at_s, both.last_seen_at_s) == (5, 9)
    assert sight(ANN, 7.0).and_also(both) == both


@pytest.mark.parametrize(
    "principal",
    [
        replace(ANN, token_id=JWT),
        replace(ANN, subject=f"x {JWT}"),
        replace(ANN, issuer=JWT),
        replace(ANN, tenant=JWT),
        replace(ANN, session=JWT),
    ],
    ids=["jti", "sub", "iss", "tenant", "sid"],
)
def test_no_token_is_kept_wherever_one_stands(principal: Principal) -> None:
    assert b"eyJ" not in msgspec.json.encode(sight(principal))


@pytest.mark.parametrize("sign", ["a", "\u00e4", "\u2603", "\U0001f600"])
def test_long_texts_are_cut_so_that_any_store_takes_them(sign: str) -> None:
    text = sign * 5_000
    found = sight(replace(ANN, subject=text, token_id=text, tenant=text, session=text, issuer=text))
    assert (len(found.subject), found.subject[-1], found.token_id) == (CHARS_MAX, "\u2026", "")
    assert max(len(name.encode()) for name in (found.subject, found.issuer, *found.names)) <= BYTES_MAX
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=EndlessToken) == found


def test_an_identifier_by_which_it_can_be_revoked_is_kept_whole() -> None:
    text = "a" * BYTES_MAX
    assert sight(replace(ANN, token_id=text)).token_id == text


@pytest.mark.parametrize(("issued_at_s", "kept"), [(None, None), (-1e19, 0), (0.0, 0), (7, 7)])
def test_a_time_is_one_that_a_store_can_keep(issued_at_s: float | None, kept: int | None) -> None:
    assert sight(replace(ANN, issued_at_s=issued_at_s)).issued_at_s == kept

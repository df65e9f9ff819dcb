"""What a token is owed, and which one is drawn next."""

import math
from collections import Counter

import pytest

from bench.soak.tokens import Token, Verdict, Wallet, forge, judge, kid_of
from tests import tokens

GOOD = Token("the provider's", "k", b"", owed_from_s=10.0)
OURS = Token("ours", "k", b"", owed_from_s=-math.inf)
WRONG = Token("ours", "expired", b"", wrong=True)
STRANGE = Token("the provider's", "unknown_key", b"", wrong=True, asks=True)


@pytest.mark.parametrize(
    ("token", "status", "began_s", "verdict"),
    [
        (OURS, 200, 0.0, "good, taken"),
        (OURS, 401, 0.0, "good, REFUSED"),
        (OURS, 503, 0.0, "good, REFUSED"),
        (OURS, 0, 0.0, "good, REFUSED"),
        (GOOD, 401, 10.0, "good, REFUSED"),
        (GOOD, 200, 10.0, "good, taken"),
        (GOOD, 401, 9.9, "too new to be owed, refused"),
        (GOOD, 200, 9.9, "too new to be owed, taken"),
        (WRONG, 401, 0.0, "wrong, refused"),
        (WRONG, 400, 0.0, "wrong, refused"),
        (WRONG, 200, 99.0, "wrong, TAKEN"),
        (WRONG, 503, 0.0, "wrong, answered otherwise"),
        (WRONG, 0, 0.0, "wrong, answered otherwise"),
        (STRANGE, 503, 0.0, "wrong, not to be known now"),
        (STRANGE, 500, 0.0, "wrong, answered otherwise"),
    ],
)
def test_an_answer_is_judged_by_what_the_token_is_owed(
    token: Token, status: int, began_s: float, verdict: Verdict
) -> None:
    assert judge(token, status, began_s) == verdict


def wallet() -> Wallet:
    found = Wallet(seed=1)
    found.put_ours(tokens.token("ES256").decode())
    found.put_theirs(tokens.token("ES384").decode(), 5.0)
    found.put_theirs(tokens.token("ES512").decode(), 6.0)
    found.replace_wrong("ours", [WRONG, Token("ours", "other", b"", wrong=True)])
    found.replace_wrong("the provider's", [STRANGE, Token("the provider's", "expired", b"", wrong=True)])
    return found


def test_good_and_wrong_tokens_of_both_are_drawn_and_every_kind_comes() -> None:
    some = wallet()
    drawn = Counter((token.whose, token.wrong, token.name) for token in (some.draw() for _ in range(100)))
    shares = Counter({(whose, wrong): 0 for whose in ("ours", "the provider's") for wrong in (True, False)})
    for (whose, wrong, _), count in drawn.items():
        shares[whose, wrong] += count
    assert dict(shares) == {
        ("ours", False): 30,
        ("the provider's", False): 30,
        ("ours", True): 20,
        ("the provider's", True): 20,
    }
    assert len(drawn) == 1 + 2 + 2 + 2


def test_while_it_is_quiet_nothing_makes_the_gateway_ask() -> None:
    some = wallet()
    some.quiet = True
    assert not any(some.draw().asks for _ in range(200))


def test_tokens_of_a_dropped_key_are_drawn_no_more() -> None:
    some = wallet()
    kept = kid_of(tokens.token("ES512").decode())
    some.keep_theirs([kept])
    good = {token.name for token in (some.draw() for _ in range(100)) if token.whose != "ours" and not token.wrong}
    assert good == {kept}


def test_only_unknown_keys_of_a_remote_issuer_make_the_gateway_ask() -> None:
    forged = {
        whose: forge(whose, tokens.key(), tokens.ISSUER, tokens.AUDIENCE, tokens.NOW_S)
        for whose in ("ours", "the provider's")
    }
    assert all(token.wrong for found in forged.values() for token in found)
    assert not any(token.asks for token in forged["ours"])
    asking = {token.name for token in forged["the provider's"] if token.asks}
    assert "unknown_key" in asking
    assert len(asking) < len(forged["the provider's"]) / 2

"""DPoP: whatever a client sends is a proof or is refused for one stated reason, and a URL has one form."""

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.dpop import Target, normal_url, read_proof
from jotgate.core.dpop_nonces import make_nonce, read_nonce
from jotgate.core.proof_times import ProofRules, judge_time
from jotgate.errors import Code, ProofRefused
from tests.proving import Holder

NOW_S: Final = 1_790_000_000.0
HOLDER: Final = Holder()
URL: Final = "https://gate.example/v1/models"
TARGET: Final = Target("GET", URL)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_members = st.sampled_from(["typ", "alg", "jwk", "jti", "htm", "htu", "iat", "ath", "nonce", "crit"])


def outcome(field: bytes) -> str:
    """The thumbprint of a proof that is taken; nothing for one that is refused as a proof is, in words of our own."""
    try:
        return read_proof(field, TARGET, b"token").jkt
    except ProofRefused as refusal:
        return "" if refusal.code is Code.PROOF_REFUSED and refusal.message.isprintable() else "another refusal"


@given(st.binary(max_size=200))
def test_bytes_are_refused(field: bytes) -> None:
    assert outcome(field) == ""


@given(st.dictionaries(_members, _json, max_size=4), st.dictionaries(_members, _json, max_size=4))
def test_any_header_and_claims_are_taken_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    usual = {"jti": "a", "htm": "GET", "htu": URL, "iat": int(NOW_S)}
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": HOLDER.jwk, **header}
    proof = HOLDER.sign(head, json.dumps({**usual, **claims}).encode())
    assert outcome(proof.encode()) in ("", HOLDER.jkt)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_noticed(place: int, byte: int) -> None:
    good = HOLDER.prove("GET", URL, NOW_S, "token").encode()
    place %= len(good)
    changed = good[:place] + bytes([byte]) + good[place + 1 :]
    assert outcome(changed) == (HOLDER.jkt if changed == good else "")


@given(
    st.text(max_size=60) | st.from_regex(r"https?://[a-z.]{1,9}(:[0-9]{1,5})?(/[a-z.%0-9A-F/]{0,20})?", fullmatch=True)
)
def test_the_one_form_of_a_url_is_its_own(url: str) -> None:
    found = normal_url(url)
    assert found == "" or normal_url(found) == found


@given(st.floats(0, 4e9), st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_a_nonce_is_read_as_it_was_made_and_any_other_text_is_none_of_ours(at_s: float, key: bytes, text: str) -> None:
    made = read_nonce(make_nonce(key, at_s))
    assert made is not None
    assert made.is_made_with(key)
    assert abs(made.at_s - at_s) <= 0.001
    other = read_nonce(text)
    assert other is None or not other.is_made_with(key)


_times = st.floats(NOW_S - 1_000, NOW_S + 1_000)


@given(_times, st.none() | _times, _times, _times, st.integers(1, 300))
def test_no_proof_of_before_an_epoch_is_taken_in_it(
    iat: float, nonce_at_s: float | None, first_s: float, epoch_s: float, age_s: int
) -> None:
    """What was taken before an epoch began is never taken after it, at whatever time it is shown again."""
    rules = ProofRules(age_s)
    first_s = min(first_s, epoch_s)
    if nonce_at_s is not None:
        nonce_at_s = min(nonce_at_s, first_s)  # Nobody has a nonce before it is handed out.
    before = judge_time(iat, nonce_at_s, first_s, 0.0, rules)
    if before.word != "fresh" or nonce_at_s == epoch_s:
        return
    for later_s in (epoch_s, epoch_s + 1, epoch_s + 30, epoch_s + 299):
        assert judge_time(iat, nonce_at_s, later_s, epoch_s, rules).word != "fresh"

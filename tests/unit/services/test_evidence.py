"""What is kept of a refused token, and the advice that fits its issuer."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jotgate.core.issuers import Issuer
from jotgate.errors import Evidence, IssuerUnavailable, TokenError
from jotgate.gateway.world import build_verifier
from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import KeySet, generate
from jotgate.services.evidence import KIDS_MAX, TEXT_CHARS_MAX, examine
from jotgate.testing.forge import ABSENT, to_json
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests.callers import NAME, NOW_S, issuer_of, make_issuer

_OTHER = "https://other.example"
_KEY = generate("ES256")


def other(source: TestIssuer, **changes: object) -> Issuer:
    return structs.replace(issuer_of(source), name="corp", issuer=_OTHER, **changes)


def refuse(token: bytes, *issuers: Issuer, place: str = "") -> tuple[TokenError | IssuerUnavailable, Evidence]:
    verifier = build_verifier(issuers, 10)
    with pytest.raises((TokenError, IssuerUnavailable)) as caught:
        verifier.verify(token, NOW_S)
    refusal = caught.value
    assert isinstance(refusal, TokenError | IssuerUnavailable)
    examine(token, refusal, verifier.federation, NOW_S, place)
    assert refusal.evidence is not None
    return refusal, refusal.evidence


def test_what_a_token_says_and_what_it_was_held_against() -> None:
    source = make_issuer()
    token = source.with_claims(exp=int(NOW_S) - 61, iat=int(NOW_S) - 100, nbf=int(NOW_S) - 100)
    _, found = refuse(token, issuer_of(source), place="query")
    assert found == Evidence(
        digest=sha256(token).hexdigest(),
        now_s=NOW_S,
        size=len(token),
        place="query",
        alg="ES256",
        kid=source.key.kid,
        typ="at+jwt",
        iss=NAME,
        exp=NOW_S - 61,
        nbf=NOW_S - 100,
        iat=NOW_S - 100,
        claim="exp",
        wanted=f"more than {NOW_S - 5:.3f}",
        got=str(int(NOW_S) - 61),
        rules="jotgate",
        leeway_s=5,
        keys=1,
        kids=(source.key.kid,),
        jti=str(peek_unverified(token)[1]["jti"]),
    )


def test_where_a_token_comes_from_and_who_acts_by_it_is_known_as_far_as_it_goes() -> None:
    source = make_issuer()
    act: dict[str, object] = {"sub": "deepest"}
    for number in range(6):
        act = {"sub": f"agent-{number}\u202e", "act": act}
    ancestors = [f"t-{number}" for number in range(20)]
    _, found = refuse(source.with_claims(exp=1, iat=0, ancestors=ancestors, act=act), issuer_of(source))
    assert found.ancestors == tuple(ancestors[:16])
    assert found.actors == tuple(f"agent-{number}\\u202e" for number in (5, 4, 3, 2))
    for odd in ({"ancestors": "t-1", "act": "agent"}, {"ancestors": [1], "act": {"act": 1}}, {"act": None}):
        _, found = refuse(source.with_claims(exp=1, iat=0, **odd), issuer_of(source))
        assert found.ancestors in {(), ("1",)}
        assert found.actors in {(), ("",)}


def test_a_remembered_token_that_has_ended_is_explained_like_a_new_one() -> None:
    source = make_issuer()
    token, verifier = source.token(), build_verifier((issuer_of(source),), 10)
    verifier.verify(token, NOW_S)
    for later_s, claim in ((NOW_S + 10_000, "exp"), (NOW_S - 10_000, "nbf")):
        with pytest.raises(TokenError) as caught:
            verifier.verify(token, later_s)
        assert (caught.value.claim, caught.value.wanted is None) == (claim, False)


def test_advice_about_another_issuers_token_is_not_to_make_one_here() -> None:
    ours, theirs = make_issuer(), make_issuer()
    both = (issuer_of(ours), other(theirs))
    theirs.issuer = _OTHER
    for token in (theirs.expired(), theirs.wrong_audience(), theirs.changed_payload(), theirs.alg_none()):
        refusal, found = refuse(token, *both)
        assert (refusal.hint, found.rules) == ("Get a new token from its issuer", "corp")
    refusal, _ = refuse(theirs.unknown_key(), *both)
    assert "does not publish" in refusal.hint
    refusal, found = refuse(ours.expired(), *both)
    assert (refusal.hint, found.rules) == ("Create a new token: jotgate token create --subject NAME", "jotgate")


def test_a_token_of_an_untrusted_issuer_has_no_rules() -> None:
    source = make_issuer()
    refusal, found = refuse(source.with_claims(iss="https://evil.example"), issuer_of(source), other(make_issuer()))
    assert (found.rules, found.keys, found.kids, found.leeway_s) == ("", 0, (), 0)
    assert (found.claim, found.fault, found.got) == ("iss", "mismatch", "https://evil.example")
    assert json.loads(found.wanted) == [NAME, _OTHER]
    assert "issuer that it trusts" in refusal.hint


def test_an_issuer_out_of_reach_is_named() -> None:
    refusal, found = refuse(make_issuer().token(iss=_OTHER), issuer_of(make_issuer()), other(make_issuer(), jwks=None))
    assert isinstance(refusal, IssuerUnavailable)
    assert (found.rules, found.keys, found.iss) == ("corp", 0, _OTHER)


def test_whatever_stands_in_a_token_is_kept_short() -> None:
    source = make_issuer()
    long = "x" * 3_000
    for token in (
        source.with_claims(iss=long),
        source.with_claims(aud=[long] * 2),
        source.with_claims(sub={"a": [long]}),
        source.with_claims(exp=long),
        source.with_header(typ=long),
        source.with_header(alg=long),
    ):
        _, found = refuse(token, issuer_of(source))
        texts = [value for value in structs.asdict(found).values() if isinstance(value, str)]
        assert max(map(len, texts)) <= TEXT_CHARS_MAX
        assert any(text.endswith("…") for text in texts)


@given(st.text(max_size=300), st.sampled_from(["iss", "aud", "sub", "typ", "alg", "jti"]))
def test_nothing_that_is_kept_moves_a_terminal(text: str, name: str) -> None:
    source = make_issuer(_KEY)
    in_header = name in ("typ", "alg")
    token = source.with_header(**{name: text}) if in_header else source.with_claims(**{name: [text], "exp": text})
    _, found = refuse(token, issuer_of(source))
    texts = [value for value in structs.asdict(found).values() if isinstance(value, str)]
    assert all(one.isprintable() and len(one) <= TEXT_CHARS_MAX for one in texts)


def test_what_does_not_print_is_shown_by_its_number() -> None:
    source = make_issuer(_KEY)
    _, found = refuse(source.with_claims(iss="https://a\u202eb\x1b[2J\n\U000e0001é"), issuer_of(source))
    assert found.got == found.iss == "https://a\\u202eb\\x1b[2J\\n\\U000e0001é"


def test_so_many_kids_are_kept() -> None:
    source = make_issuer()
    keys = [source.key.verification_key, *(generate("Ed25519").verification_key for _ in range(KIDS_MAX + 3))]
    issuer = structs.replace(issuer_of(source), algorithms=("ES256", "Ed25519"), jwks=KeySet(keys).to_jwks())
    _, found = refuse(source.expired(), issuer)
    assert (found.keys, len(found.kids)) == (KIDS_MAX + 4, KIDS_MAX)


def test_every_wrong_token_can_be_examined_and_none_is_in_its_evidence() -> None:
    source = make_issuer()
    for name, (token, _) in wrong_tokens(source.key, NAME, NAME, NOW_S).items():
        _, found = refuse(token, issuer_of(source))
        assert found.digest == sha256(token).hexdigest()
        kept = to_json(structs.asdict(found))
        assert not any(part in kept for part in token.split(b".") if len(part) > 24), name


def test_a_claim_that_a_mapping_leads_to_is_shown_as_it_is() -> None:
    source = make_issuer()
    _, found = refuse(source.with_claims(models={"a": 1}), issuer_of(source))
    assert (found.claim, found.fault, found.got) == ("models", "invalid", '{"a":1}')
    assert found.wanted.startswith("an array of ")


def test_times_that_are_none_are_left_out() -> None:
    source = make_issuer()
    _, found = refuse(source.with_claims(exp="soon", nbf=True, iat=ABSENT), issuer_of(source))
    assert (found.exp, found.nbf, found.iat) == (None, None, None)
    assert (found.claim, found.fault, found.got) == ("exp", "invalid", "soon")

"""A good token is verified once and remembered; a wrong one is refused each time, and time never stands still."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from msgspec import structs

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import Entry, token_handle
from jotgate.errors import ClaimRefused, Code, JotgateError, KeyUnknown, TokenError, TokenExpired, TokenImmature
from jotgate.gateway.world import build_verifier
from jotgate.jose.keys import KeySet, generate
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import Verifier
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests.callers import NAME, NOW_S, issuer_of, make_issuer

_LEEWAY_S = 5
_KEY = generate("ES256")
_WRONG = wrong_tokens(_KEY, NAME, NAME, NOW_S)


def verifier_of(issuer: TestIssuer, *, capacity: int = 100, default_scopes: tuple[str, ...] = ()) -> Verifier:
    return build_verifier((issuer_of(issuer, default_scopes=default_scopes),), capacity)


def remembered(verifier: Verifier) -> int:
    return len(verifier.cache)


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return make_issuer(_KEY)


def test_the_principal_is_what_the_claims_say(issuer: TestIssuer) -> None:
    token = issuer.token(
        sub="alice", client_id="c-9", jti="t-9", scope="embeddings models", models=["a", "b", "a"], nbf=NOW_S - 7
    )
    principal = verifier_of(issuer).verify(token, NOW_S)
    assert (principal.issuer, principal.subject, principal.client_id) == (NAME, "alice", "c-9")
    assert (principal.token_id, principal.kid) == ("t-9", issuer.key.kid)
    assert principal.scopes == {"embeddings", "models"}
    assert principal.models == frozenset({"a", "b"})
    assert (principal.expires_at_s, principal.not_before_s) == (NOW_S + 600, NOW_S - 7)


def test_without_a_scope_the_token_has_its_issuers_default_scopes(issuer: TestIssuer) -> None:
    claims = {name: value for name, value in issuer.claims().items() if name != "scope"}
    token = issuer.seal(issuer.header(), claims)
    assert verifier_of(issuer).verify(token, NOW_S).scopes == frozenset()
    assert verifier_of(issuer, default_scopes=("models",)).verify(token, NOW_S).scopes == {"models"}


def test_an_absent_models_claim_means_every_model_and_an_empty_one_none(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer)
    assert verifier.verify(issuer.token(), NOW_S).models is None
    assert verifier.verify(issuer.token(models=[]), NOW_S).models == frozenset()


@pytest.mark.parametrize("models", [None, "a", 7, {"a": 1}, ["a", 7], [["a"]], [None]])
def test_a_models_claim_of_another_type_is_refused(issuer: TestIssuer, models: object) -> None:
    with pytest.raises(ClaimRefused) as caught:
        verifier_of(issuer).verify(issuer.token(models=models), NOW_S)
    assert caught.value.claim == "models"


@pytest.mark.parametrize("name", sorted(_WRONG))
def test_a_wrong_token_is_refused_for_its_reason_and_never_remembered(issuer: TestIssuer, name: str) -> None:
    token, code = _WRONG[name]
    verifier = verifier_of(issuer)
    for _ in range(2):
        with pytest.raises(TokenError) as caught:
            verifier.verify(token, NOW_S)
        assert caught.value.code == code
    assert remembered(verifier) == 0


def test_a_second_call_finds_the_principal_of_the_first(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer)
    token = issuer.token()
    assert verifier.verify(token, NOW_S) is verifier.verify(token, NOW_S)
    assert remembered(verifier) == 1


def test_a_token_that_differs_in_its_signature_alone_is_another_token(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer)
    token = issuer.token()
    verifier.verify(token, NOW_S)
    changed = token[:-4] + (b"AAAA" if token[-4:] != b"AAAA" else b"BBBB")
    with pytest.raises(TokenError):
        verifier.verify(changed, NOW_S)


def test_a_remembered_token_expires_at_the_same_moment_as_a_new_one(issuer: TestIssuer) -> None:
    token = issuer.token()
    warm = verifier_of(issuer)
    warm.verify(token, NOW_S)
    end_s = NOW_S + 600 + _LEEWAY_S
    for moment_s, good in ((end_s - 0.001, True), (end_s, False), (end_s + 1, False)):
        for verifier in (warm, verifier_of(issuer)):
            if good:
                assert verifier.verify(token, moment_s).subject == "alice"
                continue
            with pytest.raises(TokenExpired):
                verifier.verify(token, moment_s)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_remembered_token_is_not_good_before_its_time(issuer: TestIssuer, claim: str) -> None:
    """A clock may be set back."""
    token = issuer.token(**{claim: NOW_S, "exp": NOW_S + 60} | ({"iat": NOW_S - 100} if claim == "nbf" else {}))
    warm = verifier_of(issuer)
    warm.verify(token, NOW_S)
    for verifier in (warm, verifier_of(issuer)):
        assert verifier.verify(token, NOW_S - _LEEWAY_S).subject == "alice"
        with pytest.raises(TokenImmature):
            verifier.verify(token, NOW_S - _LEEWAY_S - 0.001)


def test_a_remembered_token_is_refused_once_its_key_has_left_the_set(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer)
    token = issuer.token()
    assert verifier.verify(token, NOW_S).subject == "alice"
    verifier.federation.issuers[0].keys._by_kid.clear()
    with pytest.raises(KeyUnknown):
        verifier.verify(token, NOW_S)


def test_a_token_is_refused_by_a_verifier_whose_set_has_another_key_under_its_kid(issuer: TestIssuer) -> None:
    token = issuer.token()
    stranger = make_issuer()
    jwks = KeySet([stranger.key.verification_key]).to_jwks().replace(stranger.key.kid.encode(), issuer.key.kid.encode())
    verifier = build_verifier((structs.replace(issuer_of(issuer), jwks=jwks),), 10)
    with pytest.raises(JotgateError) as caught:
        verifier.verify(token, NOW_S)
    assert caught.value.code == "signature_invalid"


def test_the_memory_is_bounded_and_drops_what_was_not_used_for_longest(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer, capacity=4)  # two generations of two
    tokens = [issuer.token(jti=f"t-{number}") for number in range(9)]
    principals = [verifier.verify(token, NOW_S) for token in tokens[:3]]
    assert remembered(verifier) == 3
    assert verifier.verify(tokens[0], NOW_S) is principals[0]  # from the old generation into the young one
    verifier.verify(tokens[3], NOW_S)  # a new generation: what was young is old, what was old is gone
    assert verifier.verify(tokens[0], NOW_S) is principals[0]
    assert verifier.verify(tokens[1], NOW_S) is not principals[1]
    for token in tokens:
        verifier.verify(token, NOW_S)
        assert remembered(verifier) <= 4


def test_the_smallest_memory_still_works(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer, capacity=1)
    for number in range(3):
        token = issuer.token(jti=f"t-{number}")
        assert verifier.verify(token, NOW_S) is verifier.verify(token, NOW_S)


_LINEAGE = {"family": "f-1", "ancestors": ["t-0", "https://other.example t-9"]}


def revoke(verifier: Verifier, kind: RevocationKind, handle: str, expires_at_s: int | None = None) -> None:
    verifier.revoked.take_rows([Revocation(kind, handle, 1, expires_at_s)])


@pytest.mark.parametrize(
    ("kind", "handle", "claim"),
    [
        (RevocationKind.TOKEN, token_handle(NAME, "t-1"), "jti"),
        (RevocationKind.FAMILY, "f-1", "family"),
        (RevocationKind.TOKEN, token_handle(NAME, "t-0"), "ancestors"),
        (RevocationKind.TOKEN, token_handle("https://other.example", "t-9"), "ancestors"),
    ],
)
def test_what_was_revoked_is_refused_whether_it_is_remembered_or_new_and_not_remembered_for_that(
    issuer: TestIssuer, kind: RevocationKind, handle: str, claim: str
) -> None:
    token = issuer.token(jti="t-1", **_LINEAGE)
    warm, new = verifier_of(issuer), verifier_of(issuer)
    assert warm.verify(token, NOW_S).family == "f-1"
    for verifier in (warm, new):
        revoke(verifier, kind, handle)
        for _ in range(2):
            with pytest.raises(TokenError) as caught:
                verifier.verify(token, NOW_S)
            assert (caught.value.code, caught.value.claim) == (Code.TOKEN_REVOKED, claim)
    assert remembered(new) == 0


@pytest.mark.parametrize("name", ["this", "that"])
def test_a_token_whose_key_is_gone_is_told_that_it_was_revoked_if_it_was(issuer: TestIssuer, name: str) -> None:
    verifier, stranger = verifier_of(issuer), make_issuer()
    kid = stranger.key.kid if name == "this" else "another"
    verifier.revoked.take_rows([Revocation(RevocationKind.KEY, token_handle(NAME, kid), 1)])
    with pytest.raises(KeyUnknown) as caught:
        verifier.verify(stranger.token(), NOW_S)
    told = "the key that the token names was revoked"
    assert (caught.value.message == told, "signed by another" in caught.value.hint) == (name == "this", name == "that")
    assert (caught.value.claim, caught.value.got) == ("kid", stranger.key.kid)


def test_another_token_of_the_same_subject_is_not_revoked_by_the_first(issuer: TestIssuer) -> None:
    verifier = verifier_of(issuer)
    revoke(verifier, RevocationKind.TOKEN, token_handle(NAME, "t-1"))
    revoke(verifier, RevocationKind.FAMILY, "f-2")
    assert verifier.verify(issuer.token(jti="t-2", **_LINEAGE), NOW_S).ancestors == tuple(_LINEAGE["ancestors"])


def test_a_revoked_token_that_has_expired_is_refused_as_expired_and_nothing_is_kept_of_it(issuer: TestIssuer) -> None:
    verifier, token = verifier_of(issuer), issuer.token(jti="t-1")
    revoke(verifier, RevocationKind.TOKEN, token_handle(NAME, "t-1"), int(NOW_S) + 600)
    verifier.revoked.forget(NOW_S + 600 + _LEEWAY_S - 0.001)
    with pytest.raises(TokenError) as caught:
        verifier.verify(token, NOW_S + 600 + _LEEWAY_S - 0.001)
    assert caught.value.code is Code.TOKEN_REVOKED
    verifier.revoked.forget(NOW_S + 720)
    assert len(verifier.revoked) == 0
    with pytest.raises(TokenExpired):
        verifier.verify(token, NOW_S + 720)


def test_the_principal_knows_what_a_route_may_expect(issuer: TestIssuer) -> None:
    token = issuer.token(aud=[NAME, "https://more.example"], tenant="acme", roles=["dev", "ops"], **_LINEAGE)
    principal = verifier_of(issuer).verify(token, NOW_S)
    assert principal.audiences == {NAME, "https://more.example"}
    assert (principal.token_type, principal.issued_at_s) == ("at+jwt", NOW_S)
    assert (principal.tenant, principal.roles) == ("acme", frozenset({"dev", "ops"}))
    assert principal.ancestors == tuple(_LINEAGE["ancestors"])
    plain = verifier_of(issuer).verify(issuer.token(), NOW_S)
    assert (plain.tenant, plain.roles, plain.family, plain.ancestors) == ("", frozenset(), "", ())


@pytest.mark.parametrize("claim", ["family", "tenant", "roles", "ancestors"])
@pytest.mark.parametrize("value", [None, "", 7, True, {}, {"a": 1}, [7], [""], ["a\n"], [["a"]], "a\u202eb"])
def test_what_a_token_of_ours_says_of_its_lineage_is_strictly_typed(
    issuer: TestIssuer, claim: str, value: object
) -> None:
    with pytest.raises(ClaimRefused) as caught:
        verifier_of(issuer).verify(issuer.token(**{claim: value}), NOW_S)
    assert caught.value.claim == claim


@pytest.mark.parametrize("claim", ["family", "tenant"])
def test_a_list_is_no_name_and_a_name_no_list(issuer: TestIssuer, claim: str) -> None:
    for name, value in ((claim, ["a"]), ("ancestors", "a"), ("roles", "a")):
        with pytest.raises(ClaimRefused):
            verifier_of(issuer).verify(issuer.token(**{name: value}), NOW_S)


def test_another_issuers_claims_of_these_names_mean_nothing(issuer: TestIssuer) -> None:
    other = structs.replace(issuer_of(issuer), name="other", issuer="https://other.example")
    verifier = build_verifier((issuer_of(make_issuer()), other), 10)
    revoke(verifier, RevocationKind.FAMILY, "f-1")
    token = issuer.token(iss="https://other.example", tenant="acme", roles=7, **_LINEAGE)
    principal = verifier.verify(token, NOW_S)
    assert (principal.tenant, principal.roles, principal.family, principal.ancestors) == ("", frozenset(), "", ())


def test_what_one_set_spares_another_may_not(issuer: TestIssuer) -> None:
    """A cached token is asked after again by whoever goes by another set of revocations."""
    one = verifier_of(issuer)
    token = issuer.token(jti="t-1")
    one.verify(token, NOW_S)
    other = RevokedSet()
    other.take_rows([Revocation(RevocationKind.TOKEN, token_handle(NAME, "t-1"), 1)])
    again = build_verifier((issuer_of(issuer),), 100, one, other)
    assert again.cache is one.cache
    with pytest.raises(TokenError) as caught:
        again.verify(token, NOW_S)
    assert caught.value.code is Code.TOKEN_REVOKED


class _Watched(str):
    """A name that counts how often it is looked at: a table asks its hash, a comparison its equality."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        _Watched.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        _Watched.looks += 1
        return super().__eq__(other)


def _first_look(issuer: TestIssuer, revoked: int, *, watermarks: bool) -> tuple[int, int]:
    """What a token's first verification after a revocation costs: steps, and how often revoked names are looked at."""
    verifier, token = verifier_of(issuer), issuer.token(jti="t-1", client_id="c-1", tenant="acme", **_LINEAGE)
    verifier.verify(token, NOW_S)
    verifier.revoked.take(Entry(_Watched(f"token {NAME} other-{number}"), None) for number in range(revoked))
    if watermarks:  # of the token's own client and tenant, which it is younger than: the dearest that is let through
        verifier.revoked.take([Entry("client c-1", None, int(NOW_S) - 9_999), Entry("tenant acme", None, 1)])
    _Watched.looks = 0
    steps = _steps(lambda: verifier.verify(token, NOW_S))
    return steps, _Watched.looks


def _steps(work: Callable[[], object]) -> int:
    """How many lines are run and functions called by something."""
    steps = 0

    def line(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal steps
        steps += 1
        return line

    def call(frame: FrameType, event: str, arg: object) -> None:
        nonlocal steps
        steps += event == "c_call"

    sys.settrace(line)
    sys.setprofile(call)
    try:
        work()
    finally:
        sys.setprofile(None)
        sys.settrace(None)
    return steps


@pytest.mark.parametrize("watermarks", [False, True], ids=["spared", "younger than watermarks"])
def test_a_first_look_after_a_revocation_looks_up_its_own_names_whatever_else_is_revoked(
    issuer: TestIssuer, watermarks: bool
) -> None:
    few, many = (_first_look(issuer, count, watermarks=watermarks) for count in (10, 100_000))
    assert many[0] == few[0] < 200
    assert few[1] == many[1] == 0, "no name of others is looked at"


def test_who_was_spared_is_asked_after_again_only_when_something_was_revoked_since(issuer: TestIssuer) -> None:
    verifier, token = verifier_of(issuer), issuer.token(jti="t-1")
    verifier.verify(token, NOW_S)
    revoke(verifier, RevocationKind.TOKEN, token_handle(NAME, "t-2"))
    first, second = (_steps(lambda: verifier.verify(token, NOW_S)) for _ in range(2))
    assert second < first

"""Refresh tokens that were got with a token of ours, or on another issuer's word, end with what they came of."""

from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.families import Family
from jotgate.core.grants import JWT_URN, TokenResponse
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import RefreshRules
from jotgate.core.revocations import token_handle
from jotgate.errors import OAuthRefused, TokenError
from tests.trading import CI, JOB, TradingFloor, claims_of

OFFLINE = "models offline_access"


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def family_of(floor: TradingFloor, answer: TokenResponse) -> Family:
    found = floor.store.find_family(opaque_digest(str(answer.refresh_token)))
    assert found is not None
    return found.family


def refresh(floor: TradingFloor, answer: TokenResponse, **form: Any) -> TokenResponse:
    return floor.grant("refresh_token", refresh_token=answer.refresh_token, **form)


def refused(floor: TradingFloor, answer: TokenResponse) -> str:
    """Why a refresh token is refused; it is not used up, and no family is ended by asking."""
    issued = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        refresh(floor, answer)
    assert caught.value.error == "invalid_grant"
    assert floor.issued == issued
    assert family_of(floor, answer).ended_at_s is None
    return caught.value.message


def test_a_token_of_ours_is_traded_for_a_refresh_token_that_ends_with_it(floor: TradingFloor) -> None:
    parent = floor.made(ttl_s=7_200)
    first = floor.trade(parent.token, scope=OFFLINE)
    family = family_of(floor, first)
    assert (family.ends_at_s, family.ancestors) == (parent.expires_at_s, (parent.token_id,))
    floor.clock.advance(7_100)
    second = refresh(floor, first)
    claims = claims_of(second)
    assert (second.scope, claims["sub"], claims["ancestors"]) == ("models", "alice", [parent.token_id])
    assert claims["exp"] == parent.expires_at_s, "neither the family nor what comes of it outlives the parent"
    floor.clock.advance(100)
    assert "reached its end" in refused(floor, second)


def test_a_family_lives_no_longer_for_a_parent_that_lives_long(floor: TradingFloor) -> None:
    parent = floor.made(ttl_s=365 * 86_400)
    family = family_of(floor, floor.trade(parent.token, scope=OFFLINE))
    assert family.ends_at_s == int(floor.clock.now_s()) + RefreshRules().life_s


@pytest.mark.parametrize("generations", [1, 3])
def test_a_refresh_token_ends_with_every_token_before_it(floor: TradingFloor, generations: int) -> None:
    parent = floor.made()
    token = parent.token
    for _ in range(generations - 1):
        token = floor.trade(token).access_token
    first = floor.trade(token, scope=OFFLINE)
    second = refresh(floor, first)
    floor.revoke(floor.principal(parent.token))
    assert "was revoked" in refused(floor, second)
    with pytest.raises(TokenError):
        floor.principal(second.access_token)


def test_a_refresh_token_ends_with_the_family_that_its_parent_came_of(floor: TradingFloor) -> None:
    root = floor.trade(floor.job(), subject_token_type=JWT_URN, scope=OFFLINE)
    child = floor.trade(root.access_token, scope=OFFLINE)
    assert family_of(floor, child).family_id != family_of(floor, root).family_id
    assert claims_of(child)["family"] == family_of(floor, child).family_id
    revoke(floor, RevocationKind.FAMILY, family_of(floor, root).family_id)
    assert "was revoked" in refused(floor, child)


@pytest.mark.parametrize("before_s", [None, 0, 5])
@pytest.mark.parametrize(
    ("kind", "handle"),
    [
        (RevocationKind.CLIENT, "first"),
        (RevocationKind.SUBJECT, token_handle(CI, JOB)),
        (RevocationKind.SESSION, token_handle(CI, "s-1")),
        (RevocationKind.TOKEN, token_handle(CI, "j-1")),
    ],
)
def test_a_refresh_token_ends_with_whose_the_tokens_before_it_were(
    floor: TradingFloor, kind: RevocationKind, handle: str, before_s: int | None
) -> None:
    if kind == RevocationKind.CLIENT:
        app = floor.store.account(ClientRecord, "app")
        assert app is not None
        floor.put(replace(app, name="first"))
        parent, form = floor.made(client_id="first").token, {}
    else:
        parent, form = floor.job(sid="s-1", jti="j-1"), {"subject_token_type": JWT_URN}
    first = floor.trade(parent, scope=OFFLINE, **form)
    begun_s = family_of(floor, first).created_at_s
    revoke(floor, kind, handle, None if before_s is None else begun_s + before_s)
    assert "was revoked" in refused(floor, first)


def test_a_watermark_before_a_family_began_leaves_it(floor: TradingFloor) -> None:
    revoke(floor, RevocationKind.SESSION, token_handle(CI, "s-1"), int(floor.clock.now_s()) - 100)
    first = floor.trade(floor.job(sid="s-1"), subject_token_type=JWT_URN, scope=OFFLINE)
    assert refresh(floor, first).scope == "models"


def test_whoever_has_no_record_gets_no_refresh_token(floor: TradingFloor) -> None:
    """There would be nothing to ask at a refresh about what may be had then."""
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(floor.made("guest").token, scope=OFFLINE)
    assert caught.value.error == "invalid_scope"


def test_what_a_principal_loses_a_refresh_token_of_a_narrowed_token_loses_too(floor: TradingFloor) -> None:
    first = floor.trade(floor.made().token, scope="models embeddings offline_access")
    floor.change(PrincipalRecord, "alice", scopes=("models",))
    assert refresh(floor, first).scope == "models"


@pytest.mark.parametrize("way", ["exchange", "assertion", "narrowed"])
def test_an_issuer_that_is_not_trusted_any_more_vouches_for_no_refresh(floor: TradingFloor, way: str) -> None:
    if way == "assertion":
        first = floor.present(floor.job(), scope=OFFLINE)
    else:
        first = floor.trade(floor.job(), subject_token_type=JWT_URN, scope=OFFLINE)
    if way == "narrowed":
        first = floor.trade(first.access_token, scope=OFFLINE)
    floor.trusts()
    assert "not trusted any more" in refused(floor, first)
    floor.trusts(floor.terms())
    assert refresh(floor, first).scope == "models"


def test_a_principal_with_a_slash_in_its_name_needs_no_issuer(floor: TradingFloor) -> None:
    floor.put(PrincipalRecord(name="team/bot", scopes=("ai",)))
    first = floor.trade(floor.made("team/bot").token, scope=OFFLINE)
    assert refresh(floor, first).scope == "models"


def revoke(floor: TradingFloor, kind: RevocationKind, handle: str, before_s: int | None = None) -> None:
    """Revoke something, in effect at once."""
    now_s = int(floor.clock.now_s())
    floor.store.revoke([Revocation(kind, handle, now_s, None, before_s=before_s)])
    floor.revoked.take_rows(floor.store.revocations_after(floor.revoked.cursor, 100))

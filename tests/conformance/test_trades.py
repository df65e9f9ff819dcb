"""What the grants of presented tokens owe to what is kept, on every store: rows TX-03, CA-05, F04 and F08.

RI-01 and TE-06 stand here as far as they concern the grant of assertions.
"""

import asyncio
from typing import Any, Final

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.grants import JWT_URN
from jotgate.core.oauth_form import Form
from jotgate.core.senders import Sender
from jotgate.errors import AuditUnavailable, Code, IssuerUnavailable, OAuthRefused, TokenError
from jotgate.store_ports import Store
from jotgate.stores.access import ThreadedAccess
from tests.callers import NAME
from tests.trading import CI, JOB, JWT_BEARER, TradingFloor, claims_of

PRINCIPAL: Final = f"ci/{JOB}"


@pytest.fixture
def floor(store: Store) -> TradingFloor:
    return TradingFloor(store)


def refused(floor: TradingFloor, assertion: str, client: str = "app", /, **form: Any) -> OAuthRefused:
    """The refusal of an assertion; nothing was issued, and it was not used up."""
    before = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        floor.present(assertion, client, **form)
    assert floor.issued == before
    return caught.value


def no_grant(floor: TradingFloor, assertion: str) -> str:
    """Why an assertion entitles to nothing."""
    refusal = refused(floor, assertion)
    assert (refusal.error, refusal.status, refusal.code) == ("invalid_grant", 400, Code.GRANT_REFUSED)
    return refusal.message


# CA-05


def test_CA_05_an_assertion_is_taken_for_whom_it_speaks_for(floor: TradingFloor) -> None:
    answer = floor.present(floor.job())
    claims = claims_of(answer)
    assert (answer.token_type, answer.scope, answer.expires_in) == ("Bearer", "ai", 3_600)
    assert (claims["iss"], claims["sub"], claims["client_id"], claims["aud"]) == (NAME, PRINCIPAL, "app", NAME)
    assert "ancestors" not in claims
    assert floor.principal(answer.access_token).subject == PRINCIPAL
    assert [event.event for event in floor.log.events] == ["token.presented", "token.issued"]


def test_CA_05_an_assertion_is_used_once_until_nobody_takes_it_any_more(floor: TradingFloor) -> None:
    floor.trusts(floor.terms(leeway_s=60))
    assertion = floor.job(jti="j-1", exp=int(floor.clock.now_s()) + 300)
    floor.present(assertion)
    for span_s in (0, 299, 60):  # The last is in its leeway.
        floor.clock.advance(span_s)
        assert "used before" in no_grant(floor, assertion)
    floor.clock.advance(2)
    assert "expired" in no_grant(floor, assertion)
    again = floor.ci.seal(floor.ci.header(typ="JWT"), {"iss": CI, "aud": NAME, "sub": JOB, "exp": 1, "jti": "j-1"})
    assert "expired" in no_grant(floor, again.decode())


def test_CA_05_it_is_its_jti_that_counts_and_another_issuers_is_another(floor: TradingFloor) -> None:
    floor.present(floor.job(jti="j-1"))
    assert "used before" in no_grant(floor, floor.job(jti="j-1", scope="models"))
    floor.trusts(floor.terms(), floor.terms(name="lab", issuer="https://lab.example"))
    floor.put(PrincipalRecord(name=f"lab/{JOB}", scopes=("ai",)))
    assert floor.present(floor.job(jti="j-1", iss="https://lab.example")).scope == "ai"


def test_CA_05_without_a_jti_it_is_what_was_signed_that_counts(floor: TradingFloor) -> None:
    assertion = floor.job(jti=None)
    floor.present(assertion)
    assert "used before" in no_grant(floor, assertion)
    assert floor.present(floor.job(jti=None, run=2)).scope == "ai"


def test_CA_05_only_what_passed_all_else_uses_an_assertion_up(floor: TradingFloor) -> None:
    assertion = floor.job()
    assert refused(floor, assertion, scope="metrics").error == "invalid_scope"
    assert refused(floor, assertion, resource="https://other.example").error == "invalid_target"
    floor.change(PrincipalRecord, PRINCIPAL, enabled=False)
    no_grant(floor, assertion)
    floor.change(PrincipalRecord, PRINCIPAL, enabled=True)
    assert floor.present(assertion).scope == "ai"
    no_grant(floor, assertion)


def test_CA_05_what_says_too_much_of_who_acts_is_refused_and_not_used_up(floor: TradingFloor) -> None:
    actor: dict[str, object] = {"sub": "a" * 900, "iss": "https://o.example/" + "b" * 900, "client_id": "c" * 900}
    assertion = floor.job(act={**actor, "act": {**actor, "sub": "d" * 900}})
    assert "too long to be kept" in no_grant(floor, assertion)
    assert "too long to be kept" in no_grant(floor, assertion), "it is not said to have been used"


def test_CA_05_of_many_at_once_one_gets_a_token(store: Store) -> None:
    floor = TradingFloor(store, ThreadedAccess(store, 8))
    assertion = floor.job()
    form = Form({"grant_type": (JWT_BEARER,), "client_id": ("app",), "assertion": (assertion,)})

    async def all_at_once() -> list[object]:
        asked = (floor.service.answer(form, Sender("192.0.2.1")) for _ in range(20))
        return list(await asyncio.gather(*asked, return_exceptions=True))

    answers = asyncio.run(all_at_once())
    assert sorted(getattr(answer, "error", "granted") for answer in answers) == ["granted", *["invalid_grant"] * 19]
    assert floor.issued == 1


def test_CA_05_the_sole_audience_is_this_issuer(floor: TradingFloor) -> None:
    floor.trusts(floor.terms(audiences=(NAME, "gate", NAME + "/oauth/token")))
    assert floor.present(floor.job(aud=[NAME])).scope == "ai"
    for aud in ([NAME, "https://other.example"], "gate", NAME + "/oauth/token", NAME + "/", [NAME, "gate"]):
        no_grant(floor, floor.job(aud=aud))


def test_CA_05_what_is_wrong_with_an_assertion_is_said(floor: TradingFloor) -> None:
    wrong = {
        "expired": floor.job(exp=int(floor.clock.now_s()) - 61),
        "'exp'": floor.job(exp=None),
        "not valid yet": floor.job(nbf=int(floor.clock.now_s()) + 3_600),
        "signature": floor.job()[:-8] + "AAAAAAAA",
        "not trust": floor.job(iss="https://evil.example"),
        "of ours": floor.made(PRINCIPAL).token,
        "'sub'": floor.job(sub=None),
        "longer than": floor.job(exp=int(floor.clock.now_s()) + 10 * 31_536_000),
        "'cnf'": floor.job(cnf={"jkt": "x"}),
        "'act'": floor.job(act="x"),
        "'may_act'": floor.job(may_act={"sub": "x"}),
    }
    floor.trusts(floor.terms(required=("aud", "iss", "sub")))
    for text, assertion in wrong.items():
        assert text in no_grant(floor, assertion), text
    assert no_grant(floor, "hello")


def test_CA_05_a_missing_assertion_is_a_malformed_request(floor: TradingFloor) -> None:
    assert (refused(floor, "").error, refused(floor, "").code) == ("invalid_request", Code.OAUTH_MALFORMED)


def test_CA_05_keys_out_of_reach_are_no_reason_to_refuse(floor: TradingFloor) -> None:
    assertion = floor.job()
    floor.trusts(floor.terms(jwks=None))
    with pytest.raises(IssuerUnavailable) as caught:
        floor.present(assertion)
    assert caught.value.status == 503
    floor.trusts(floor.terms())
    assert floor.present(assertion).scope == "ai"


def test_CA_05_what_an_assertion_says_of_scopes_and_models_bounds_the_token(floor: TradingFloor) -> None:
    assert floor.present(floor.job(scope="models openid")).scope == "models"
    assert claims_of(floor.present(floor.job(models=["a"])))["models"] == ["a"]
    assert refused(floor, floor.job(scope="models"), scope="ai").error == "invalid_scope"
    assert refused(floor, floor.job(typ="at+jwt")).error == "invalid_scope"


def test_CA_05_a_client_that_is_registered_for_it_gets_a_refresh_token_if_it_asks(floor: TradingFloor) -> None:
    answer = floor.present(floor.job(), scope="models offline_access")
    assert answer.scope == "models"
    assert isinstance(answer.refresh_token, str)
    refreshed = floor.grant("refresh_token", refresh_token=answer.refresh_token)
    assert (refreshed.scope, claims_of(refreshed)["family"]) == ("models", claims_of(answer)["family"])
    floor.change(ClientRecord, "app", grants=("jwt_bearer",))
    assert refused(floor, floor.job(), scope="offline_access").error == "invalid_scope"


def test_CA_05_what_cannot_be_recorded_is_not_issued(floor: TradingFloor) -> None:
    floor.log.full = True
    with pytest.raises(AuditUnavailable):
        floor.present(floor.job())
    assert floor.issued == 0


def test_RI_01_the_resources_of_an_assertion_are_the_clients(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", audiences=(NAME, "https://files.example"))
    assert claims_of(floor.present(floor.job(), resource="https://files.example"))["aud"] == "https://files.example"
    refusal = refused(floor, floor.job(), resource="https://other.example")
    assert (refusal.error, refusal.code) == ("invalid_target", Code.TARGET_REFUSED)


def test_TE_06_a_client_that_may_not_present_assertions_is_told_so(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", grants=("token_exchange",))
    assert refused(floor, floor.job()).error == "unauthorized_client"


# F04


def _disable_principal(floor: TradingFloor) -> None:
    floor.change(PrincipalRecord, PRINCIPAL, enabled=False)


def _delete_principal(floor: TradingFloor) -> None:
    floor.drop(PrincipalRecord, PRINCIPAL)


def _put_a_client_in_its_place(floor: TradingFloor) -> None:
    floor.drop(PrincipalRecord, PRINCIPAL)
    floor.put(ClientRecord(name=PRINCIPAL, scopes=("ai",)))


def _disable_tenant(floor: TradingFloor) -> None:
    floor.put(TenantRecord(name="default", enabled=False))


def _move_to_a_tenant_that_is_gone(floor: TradingFloor) -> None:
    floor.change(PrincipalRecord, PRINCIPAL, tenant="gone")


def _move_to_another_tenant(floor: TradingFloor) -> None:
    floor.put(TenantRecord(name="acme"))
    floor.change(PrincipalRecord, PRINCIPAL, tenant="acme")


def _disable_issuer(floor: TradingFloor) -> None:
    floor.trusts()


def _disable_client(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", enabled=False)


def _delete_client(floor: TradingFloor) -> None:
    floor.drop(ClientRecord, "app")


OF_THE_PRINCIPAL: Final = (
    _disable_principal,
    _delete_principal,
    _put_a_client_in_its_place,
    _move_to_a_tenant_that_is_gone,
    _move_to_another_tenant,
    _disable_issuer,
)
OF_THE_CLIENT: Final = (_disable_client, _delete_client, _disable_tenant)


@pytest.mark.parametrize("happens", OF_THE_PRINCIPAL)
def test_F04_nobody_gets_tokens_who_may_have_none(floor: TradingFloor, happens: Any) -> None:
    assertion, token = floor.job(), floor.job()
    assert floor.trade(token, subject_token_type=JWT_URN).scope == "ai"
    happens(floor)
    no_grant(floor, assertion)
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token, subject_token_type=JWT_URN)
    assert (caught.value.error, caught.value.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)


@pytest.mark.parametrize("happens", OF_THE_CLIENT)
def test_F04_no_client_gets_tokens_that_may_have_none(floor: TradingFloor, happens: Any) -> None:
    assertion, token = floor.job(), floor.made().token
    happens(floor)
    assert refused(floor, assertion).error == "invalid_client"
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token)
    assert caught.value.error == "invalid_client"


def no_trade(floor: TradingFloor, token: str) -> None:
    """A token is refused as the subject of a trade."""
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token)
    assert (caught.value.error, caught.value.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)


def test_F04_a_token_of_ours_goes_on_for_nobody_who_is_gone(floor: TradingFloor) -> None:
    """Whoever was deleted has no record any more, and is not taken for somebody who never had one."""
    token = floor.present(floor.job()).access_token
    child = floor.trade(token).access_token
    floor.change(PrincipalRecord, PRINCIPAL, enabled=False)
    no_trade(floor, token)
    no_trade(floor, child)
    floor.drop(PrincipalRecord, PRINCIPAL)
    no_trade(floor, token)
    no_trade(floor, child)


def test_F04_a_token_of_a_client_that_is_gone_goes_on_for_nobody(floor: TradingFloor) -> None:
    floor.put(ClientRecord(name="bot", authentication="none", grants=("jwt_bearer",), scopes=("ai",)))
    token = floor.present(floor.job(), "bot").access_token
    assert floor.trade(token).scope == "ai"
    floor.change(ClientRecord, "bot", enabled=False)
    no_trade(floor, token)
    floor.drop(ClientRecord, "bot")
    no_trade(floor, token)


# TX-03


def test_TX_03_a_revoked_token_is_not_traded_and_its_children_end_with_it(floor: TradingFloor) -> None:
    parent = floor.made().token
    child = floor.trade(parent).access_token
    grandchild = floor.trade(child).access_token
    floor.revoke(floor.principal(parent))
    for token in (parent, child, grandchild):
        with pytest.raises(TokenError) as refusal:
            floor.principal(token)
        assert refusal.value.code == Code.TOKEN_REVOKED
        with pytest.raises(OAuthRefused) as caught:
            floor.trade(token)
        assert (caught.value.error, caught.value.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)
        assert "revoked" in caught.value.message


def test_TX_03_a_revoked_assertion_is_refused(floor: TradingFloor) -> None:
    assertion = floor.job()
    floor.revoke(floor.principal(assertion))
    assert "revoked" in no_grant(floor, assertion)


def test_TX_04_a_personal_token_is_traded_for_what_it_may_do_and_its_children_end_with_it(floor: TradingFloor) -> None:
    text = floor.personal("create", scopes=("models", "embeddings"), models=("a",), ttl_s=600)
    answer = floor.trade(text, scope="models")
    claims = claims_of(answer)
    assert (claims["sub"], claims["client_id"], claims["models"], answer.expires_in) == ("alice", "app", ["a"], 600)
    child = floor.trade(answer.access_token).access_token
    first = floor.trade(text, scope="models offline_access")
    second = floor.grant("refresh_token", refresh_token=first.refresh_token)
    for form in ({"scope": "ai"}, {"scope": "completions"}):
        with pytest.raises(OAuthRefused) as caught:
            floor.trade(text, **form)
        assert caught.value.error == "invalid_scope"
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(text, subject_token_type=JWT_URN)
    assert caught.value.code == Code.SUBJECT_TOKEN_REFUSED
    assert "of ours" in no_grant(floor, text)
    floor.personal("revoke")
    for token in (text, text[:-1], answer.access_token, child):
        with pytest.raises(OAuthRefused) as caught:
            floor.trade(token)
        assert caught.value.code == Code.SUBJECT_TOKEN_REFUSED
    for token in (child, first.access_token, second.access_token):
        with pytest.raises(TokenError) as refusal:
            floor.principal(token)
        assert refusal.value.code == Code.TOKEN_REVOKED
    with pytest.raises(OAuthRefused) as caught:
        floor.grant("refresh_token", refresh_token=second.refresh_token)
    assert caught.value.error == "invalid_grant"


# F08


def test_F08_an_expired_access_token_refreshes_nothing_by_any_grant(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", access_ttl_s=60)
    token = floor.present(floor.job(), scope="ai offline_access").access_token
    floor.clock.advance(3_600)
    asked = {
        "client_credentials": {"assertion": token, "refresh_token": token},
        "refresh_token": {"refresh_token": token},
        JWT_BEARER: {"assertion": token},
    }
    for grant, form in asked.items():
        with pytest.raises(OAuthRefused) as caught:
            floor.grant(grant, **form)
        assert caught.value.error in ("invalid_grant", "unauthorized_client"), grant
    for kind in (None, JWT_URN):
        with pytest.raises(OAuthRefused) as caught:
            floor.trade(token, **({} if kind is None else {"subject_token_type": kind}))
        assert caught.value.code == Code.SUBJECT_TOKEN_REFUSED
        assert "expired" in caught.value.message

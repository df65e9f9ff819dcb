"""Rows TX-01 to TX-04 of the token checklist (RFC 8693).

TX-03 and what needs a database stand in `tests/conformance/test_trades.py` too; those of actors in `test_tx_actors.py`,
those of resources in `test_tx_resources.py`.
"""

from typing import Any

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.core.grants import ACCESS_TOKEN_URN, GRANT_TYPES, JWT_URN, REFRESH_TOKEN_URN
from jotgate.core.issuers import ClaimMapping
from jotgate.core.narrowing import NARROWINGS_MAX
from jotgate.core.opaque import Mark, make_opaque
from jotgate.errors import Code, IssuerUnavailable, OAuthRefused, TokenError
from jotgate.jose import jwt
from jotgate.services.grants.token_exchange import ID_TOKEN_URN
from tests.callers import NAME
from tests.token_stage import SECRET, basic, client
from tests.trading import CI, JOB, TradingFloor, claims_of


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def refused(floor: TradingFloor, token: str, client: str = "app", /, **form: Any) -> OAuthRefused:
    """The refusal of a trade; nothing was issued."""
    before = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token, client, **form)
    assert floor.issued == before
    return caught.value


# TX-01


@pytest.mark.parametrize("name", ["subject_token", "subject_token_type"])
@pytest.mark.parametrize("value", [None, ""])
def test_TX_01_a_required_parameter_is_missing(floor: TradingFloor, name: str, value: str | None) -> None:
    refusal = refused(floor, floor.made().token, **{name: value})
    assert (refusal.error, refusal.code) == ("invalid_request", Code.OAUTH_MALFORMED)
    assert name in refusal.message


@pytest.mark.parametrize("name", ["tools", "limits", "tool", "limit"])
@pytest.mark.parametrize("grant", GRANT_TYPES)
def test_TX_01_a_bound_that_is_no_parameter_is_refused_and_not_passed_over(
    floor: TradingFloor, name: str, grant: str
) -> None:
    floor.put(client("ci", grants=tuple(GRANT_TYPES.values())))
    told = floor.post("/oauth/token", {"grant_type": grant, name: "10"}, authorization=basic("ci"))
    assert (told.status_code, told.json()["error"]) == (400, "invalid_request")
    what = "is not offered" if name.startswith("tool") else "is no parameter"
    assert f"'{name}' {what}" in told.json()["error_description"]
    refusal = refused(floor, floor.made().token, **{name: "10"})
    assert (refusal.error, refusal.code) == ("invalid_request", Code.OAUTH_MALFORMED)
    assert name in refusal.hint


@pytest.mark.parametrize(
    "kind",
    [
        "urn:ietf:params:oauth:token-type:saml2",
        "urn:ietf:params:oauth:token-type:id-jag",
        "access_token",
        ACCESS_TOKEN_URN.upper(),
    ],
)
def test_TX_01_another_type_of_token_is_refused(floor: TradingFloor, kind: str) -> None:
    refusal = refused(floor, floor.made().token, subject_token_type=kind)
    assert (refusal.error, refusal.code) == ("invalid_request", Code.OAUTH_MALFORMED)


def test_TX_01_another_requested_type_is_refused_and_a_refresh_token_is_asked_for_by_its_scope(
    floor: TradingFloor,
) -> None:
    for kind in (REFRESH_TOKEN_URN, JWT_URN, ID_TOKEN_URN):
        refusal = refused(floor, floor.made().token, requested_token_type=kind)
        assert (refusal.error, refusal.code) == ("invalid_request", Code.OAUTH_MALFORMED)
        assert "offline_access" in refusal.hint


def test_F05_a_client_does_not_act_for_itself_whoever_made_its_token(floor: TradingFloor) -> None:
    floor.put(client("worker", grants=tuple(floor.grants), authentication="client_secret_post"))
    for token in (floor.made("worker").token, floor.made("worker", client_id="worker").token):
        assert "act" not in claims_of(floor.trade(token, "worker", client_secret=SECRET))
    other = claims_of(floor.trade(floor.made().token, "worker", client_secret=SECRET))
    assert other["act"]["sub"] == "worker"


# TX-02


@pytest.mark.parametrize("wanted", [None, ACCESS_TOKEN_URN])
@pytest.mark.parametrize("kind", [ACCESS_TOKEN_URN, JWT_URN])
def test_TX_02_the_answer_says_what_was_issued(floor: TradingFloor, kind: str, wanted: str | None) -> None:
    answer = floor.trade(floor.made().token, subject_token_type=kind, requested_token_type=wanted, scope="models")
    assert (answer.token_type, answer.issued_token_type) == ("Bearer", ACCESS_TOKEN_URN)
    assert (answer.scope, answer.expires_in) == ("models", 3_600)
    assert not answer.refresh_token
    header, claims = jwt.peek_unverified(answer.access_token.encode())
    assert header["typ"] == "at+jwt"
    assert (claims["sub"], claims["client_id"], claims["scope"], claims["aud"]) == ("alice", "app", "models", NAME)


def test_TX_02_a_child_names_the_tokens_that_it_comes_of_and_is_kept_with_its_parent(floor: TradingFloor) -> None:
    parent = floor.made(family="f-1")
    child = claims_of(answer := floor.trade(parent.token))
    grandchild = claims_of(floor.trade(answer.access_token))
    assert child["ancestors"] == [parent.token_id]
    assert grandchild["ancestors"] == [parent.token_id, child["jti"]]
    assert (child["family"], grandchild["family"]) == ("f-1", "f-1")
    row = floor.store.issuance(grandchild["jti"])
    assert row is not None
    assert (row.parent, row.family) == (child["jti"], "f-1")


def test_TX_02_what_was_presented_stands_in_the_audit_log_without_the_token(floor: TradingFloor) -> None:
    parent = floor.made()
    answer = floor.trade(parent.token)
    presented, issued = floor.log.events[-2:]
    assert (presented.event, presented.actor, presented.subject) == ("token.presented", "app", "alice")
    assert presented.details == {"issuer": NAME, "jti": parent.token_id}
    assert issued.event == "token.issued"
    text = b"".join(floor.log.lines).decode()
    assert parent.token not in text
    assert answer.access_token not in text


# TX-03


def test_TX_03_a_wrong_token_is_refused_by_the_word_of_the_RFC(floor: TradingFloor) -> None:
    wrong = {
        "expired": floor.keys.expired().decode(),
        "forged": floor.keys.stolen_kid().decode(),
        "unsigned": floor.keys.alg_none().decode(),
        "for another": floor.keys.wrong_audience().decode(),
        "of nobody trusted": floor.keys.wrong_issuer().decode(),
        "no token": "hello",
        "not ASCII": "é.é.é",
    }
    for name, token in wrong.items():
        refusal = refused(floor, token)
        assert (refusal.error, refusal.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED), name
        assert refusal.hint, name
        assert "token create" not in refusal.hint, name


def test_TX_03_a_token_within_its_leeway_gets_no_child_that_would_have_ended_before_it_began(
    floor: TradingFloor,
) -> None:
    parent = floor.made(ttl_s=60)
    floor.clock.advance(62)
    assert floor.principal(parent.token).subject == "alice"
    assert "expired" in refused(floor, parent.token).message


def test_TX_10_a_refresh_token_is_never_traded(floor: TradingFloor) -> None:
    text = make_opaque(Mark.REFRESH, bytes(32)).reveal()
    for kind in (ACCESS_TOKEN_URN, JWT_URN):
        refusal = refused(floor, text, subject_token_type=kind)
        assert (refusal.error, refusal.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)
        assert "never" in refusal.message
    assert "never" in refused(floor, text, subject_token_type=REFRESH_TOKEN_URN).message


def test_TX_10_a_bound_token_is_not_traded_for_one_that_is_not(floor: TradingFloor) -> None:
    name = "authorization_details"
    bound: dict[str, Any] = {name: [{"type": "payment"}]}
    for token in (floor.job(**bound), floor.keys.with_claims(**bound).decode()):
        refusal = refused(floor, token, subject_token_type=JWT_URN)
        assert refusal.code == Code.SUBJECT_TOKEN_REFUSED
        assert f"'{name}'" in refusal.message


def test_TX_03_keys_out_of_reach_are_no_reason_to_refuse(floor: TradingFloor) -> None:
    floor.trusts(floor.terms(jwks=None))
    with pytest.raises(IssuerUnavailable):
        floor.trade(floor.job(), subject_token_type=JWT_URN)


def test_TX_03_an_issuer_that_is_no_longer_trusted_vouches_for_nobody(floor: TradingFloor) -> None:
    token = floor.job()
    assert floor.trade(token, subject_token_type=JWT_URN).scope
    floor.trusts()
    assert refused(floor, token, subject_token_type=JWT_URN).error == "invalid_request"


# TX-04


@pytest.mark.parametrize(
    ("own", "asked", "granted"),
    [
        (("ai",), None, "ai"),
        (("ai",), "models", "models"),
        (("ai",), "models embeddings", "models embeddings"),
        (("models", "embeddings"), None, "embeddings models"),
        (("models",), "models", "models"),
        (("models", "metrics"), None, "models"),
    ],
)
def test_TX_04_scopes_are_within_the_token(
    floor: TradingFloor, own: tuple[str, ...], asked: str | None, granted: str
) -> None:
    assert floor.trade(floor.made(scopes=own).token, scope=asked).scope == granted


@pytest.mark.parametrize(
    ("own", "asked"), [(("models",), "ai"), (("models",), "models embeddings"), (("ai",), "metrics"), (("ai",), "x")]
)
def test_TX_04_more_scopes_than_the_token_has_are_refused(
    floor: TradingFloor, own: tuple[str, ...], asked: str
) -> None:
    refusal = refused(floor, floor.made(scopes=own).token, scope=asked)
    assert (refusal.error, refusal.code) == ("invalid_scope", Code.SCOPE_REFUSED)


def test_TX_04_scopes_are_within_the_client_and_the_record_as_they_are_now(floor: TradingFloor) -> None:
    token = floor.made().token
    floor.change(ClientRecord, "app", scopes=("models", "embeddings"))
    assert floor.trade(token).scope == "embeddings models"
    floor.change(PrincipalRecord, "alice", scopes=("models", "completions"))
    assert floor.trade(token).scope == "models"
    floor.change(PrincipalRecord, "alice", scopes=())
    assert refused(floor, token).error == "invalid_scope"


def test_TX_04_a_token_of_which_nothing_is_left_is_not_issued(floor: TradingFloor) -> None:
    assert refused(floor, floor.made(scopes=("metrics",)).token).error == "invalid_scope"


def test_TX_04_models_are_those_that_all_allow(floor: TradingFloor) -> None:
    token = floor.made(models=("a", "b", "c")).token
    assert claims_of(floor.trade(token))["models"] == ["a", "b", "c"]
    floor.change(PrincipalRecord, "alice", models=("b", "c", "d"))
    assert claims_of(floor.trade(token))["models"] == ["b", "c"]
    floor.change(ClientRecord, "app", models=("c", "d"))
    assert claims_of(floor.trade(token))["models"] == ["c"]
    assert claims_of(floor.trade(floor.made().token))["models"] == ["c", "d"]
    assert claims_of(floor.trade(floor.made(models=("a",)).token))["models"] == []


def test_TX_04_roles_are_those_of_the_token_that_the_record_has_yet(floor: TradingFloor) -> None:
    floor.put(TenantRecord(name="default", roles=(Role("dev", ("ai",)), Role("ops", ("ai",)))))
    floor.change(PrincipalRecord, "alice", roles=("dev", "ops"))
    assert claims_of(floor.trade(floor.made(roles=("dev", "gone")).token))["roles"] == ["dev"]
    assert "roles" not in claims_of(floor.trade(floor.made().token))


@pytest.mark.parametrize(("ttl_s", "lives_s"), [(60, 60), (3_600, 900), (86_400, 900)])
def test_TX_04_a_child_ends_with_its_parent_or_before(floor: TradingFloor, ttl_s: int, lives_s: int) -> None:
    floor.change(ClientRecord, "app", access_ttl_s=900)
    parent = floor.made(ttl_s=ttl_s)
    answer = floor.trade(parent.token)
    assert answer.expires_in == lives_s
    assert claims_of(answer)["exp"] <= parent.expires_at_s
    floor.clock.advance(lives_s - 10)
    again = floor.trade(answer.access_token)
    assert claims_of(again)["exp"] == claims_of(answer)["exp"]


def test_TX_04_a_token_of_another_issuer_is_not_outlived_either(floor: TradingFloor) -> None:
    end_s = int(floor.clock.now_s()) + 120
    answer = floor.trade(floor.job(exp=end_s), subject_token_type=JWT_URN)
    assert claims_of(answer)["exp"] == end_s


def test_TX_04_a_line_of_children_has_an_end(floor: TradingFloor) -> None:
    token = floor.made().token
    for _ in range(NARROWINGS_MAX):
        token = floor.trade(token).access_token
    assert len(floor.principal(token).ancestors) == NARROWINGS_MAX
    assert refused(floor, token).code == Code.SUBJECT_TOKEN_REFUSED


def test_TX_04_a_client_of_another_tenant_gets_nothing_for_a_token(floor: TradingFloor) -> None:
    floor.put(TenantRecord(name="acme"))
    floor.put(
        ClientRecord(name="theirs", tenant="acme", authentication="none", grants=("token_exchange",), scopes=("ai",))
    )
    for token in (floor.made().token, floor.made("nobody-kept").token):
        assert refused(floor, token, "theirs").code == Code.SUBJECT_TOKEN_REFUSED


# What a token of ours and of others is taken for


def test_a_token_of_the_operator_for_somebody_without_a_record_is_bounded_by_itself_and_the_client(
    floor: TradingFloor,
) -> None:
    answer = floor.trade(floor.made("guest", scopes=("models", "metrics")).token)
    assert (answer.scope, claims_of(answer)["sub"]) == ("models", "guest")
    assert floor.trade(answer.access_token).scope == "models"


def test_a_JWT_that_says_nothing_of_scopes_proves_who_somebody_is_and_the_record_bounds_it(
    floor: TradingFloor,
) -> None:
    floor.change(PrincipalRecord, f"ci/{JOB}", scopes=("models", "embeddings"))
    for kind in (JWT_URN, ID_TOKEN_URN):
        answer = floor.trade(floor.job(), subject_token_type=kind)
        assert (answer.scope, claims_of(answer)["sub"]) == ("embeddings models", f"ci/{JOB}")


def test_an_access_token_that_says_nothing_of_scopes_may_do_nothing_here_either(floor: TradingFloor) -> None:
    assert refused(floor, floor.job(), subject_token_type=ACCESS_TOKEN_URN).error == "invalid_scope"
    for kind in (ACCESS_TOKEN_URN, JWT_URN, ID_TOKEN_URN):
        assert refused(floor, floor.job(typ="at+jwt"), subject_token_type=kind).error == "invalid_scope"
        assert refused(floor, floor.job(typ="Application/AT+JWT"), subject_token_type=kind).error == "invalid_scope"


@pytest.mark.parametrize("kind", [ACCESS_TOKEN_URN, JWT_URN, ID_TOKEN_URN])
def test_scopes_that_another_issuer_states_bound_the_token_whatever_it_is_called(
    floor: TradingFloor, kind: str
) -> None:
    assert floor.trade(floor.job(scope="models openid"), subject_token_type=kind).scope == "models"
    floor.trusts(floor.terms(default_scopes=("embeddings",)))
    assert floor.trade(floor.job(), subject_token_type=kind).scope == "embeddings"


def test_an_empty_list_of_scopes_is_not_as_if_there_were_none(floor: TradingFloor) -> None:
    floor.trusts(floor.terms(mapping=ClaimMapping(scopes=("permissions",))))
    assert refused(floor, floor.job(permissions=[]), subject_token_type=JWT_URN).error == "invalid_scope"
    assert floor.trade(floor.job(permissions=["models"]), subject_token_type=JWT_URN).scope == "models"
    assert floor.trade(floor.job(), subject_token_type=JWT_URN).scope == "ai"


def test_a_child_of_another_issuers_token_names_it_by_whose_it_is(floor: TradingFloor) -> None:
    answer = floor.trade(token := floor.job(jti="j-1"), subject_token_type=JWT_URN)
    assert claims_of(answer)["ancestors"] == [f"{CI} j-1"]
    floor.revoke(floor.principal(token))
    with pytest.raises(TokenError) as caught:
        floor.principal(answer.access_token)
    assert caught.value.code == Code.TOKEN_REVOKED


def test_one_of_ours_is_no_ID_token(floor: TradingFloor) -> None:
    assert refused(floor, floor.made().token, subject_token_type=ID_TOKEN_URN).code == Code.SUBJECT_TOKEN_REFUSED


def test_a_refresh_token_comes_with_the_token_for_another_issuers(floor: TradingFloor) -> None:
    answer = floor.trade(floor.job(), subject_token_type=JWT_URN, scope="models offline_access")
    assert answer.scope == "models"
    assert answer.refresh_token
    assert claims_of(answer)["family"]
    next_ = floor.grant("refresh_token", refresh_token=answer.refresh_token)
    assert (next_.scope, claims_of(next_)["sub"]) == ("models", f"ci/{JOB}")
    floor.change(ClientRecord, "app", grants=("token_exchange",))
    assert refused(floor, floor.job(), subject_token_type=JWT_URN, scope="offline_access").error == "invalid_scope"

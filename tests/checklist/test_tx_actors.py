"""Rows TX-01, TX-03 and TX-05 to TX-10 of the token checklist where they concern actors, and row F05 (RFC 8693 s4)."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.circumstances import Circumstances
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN, REFRESH_TOKEN_URN, TokenResponse
from jotgate.core.lineage import ACTORS_MAX, Actor, Confirmation
from jotgate.core.narrowing import ORIGINS_MAX
from jotgate.core.operations import DECIDE, SCOPES
from jotgate.core.policies import Allow, Decision, Deny, Policies, authorize
from jotgate.core.policy_values import Policy
from jotgate.errors import Code, OAuthRefused, TokenError, TokenRevoked
from jotgate.jose.encoding import b64url_encode
from tests.callers import NAME
from tests.callers import principal as somebody
from tests.token_stage import SECRET, client
from tests.trading import CI, EXCHANGE, JOB, TradingFloor, claims_of

PROVEN: Final = "worker"


@pytest.fixture
def floor() -> TradingFloor:
    """Beside `alice` there is an agent, and beside the client `app` that proves nothing one that does."""
    found = TradingFloor()
    found.put(PrincipalRecord(name="agent", scopes=("ai",)))
    for name in (PROVEN, "other"):
        found.put(client(name, grants=tuple(found.grants), authentication="client_secret_post"))
    return found


def act(floor: TradingFloor, token: str, actor: str, name: str = "app", /, **form: Any) -> TokenResponse:
    """Trade a token with an actor token."""
    return floor.trade(token, name, actor_token=actor, **{"actor_token_type": ACCESS_TOKEN_URN, **form})


def by_client(floor: TradingFloor, token: str, name: str = PROVEN, /, **form: Any) -> TokenResponse:
    """Trade a token as a client that proves who it is."""
    return floor.trade(token, name, client_secret=SECRET, **form)


def refusal(floor: TradingFloor, token: str, name: str = "app", /, **form: Any) -> OAuthRefused:
    """The refusal of a trade; nothing was issued."""
    before = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token, name, **form)
    assert floor.issued == before
    return caught.value


def with_claims(floor: TradingFloor, **claims: Any) -> str:
    """A token of ours for alice that says more."""
    return floor.keys.with_claims(sub="alice", client_id="jotgate-cli", **claims).decode()


# TX-01


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"actor_token": "x"}, "actor_token_type"),
        ({"actor_token_type": ACCESS_TOKEN_URN}, "actor_token"),
        ({"actor_token": "x", "actor_token_type": "access_token"}, "actor token"),
        ({"actor_token": "x", "actor_token_type": REFRESH_TOKEN_URN}, "actor token"),
    ],
)
def test_TX_01_an_actor_token_and_its_type_come_together(
    floor: TradingFloor, form: Mapping[str, str], named: str
) -> None:
    found = refusal(floor, floor.made().token, **form)
    assert (found.error, found.code) == ("invalid_request", Code.OAUTH_MALFORMED)
    assert named in found.message


# TX-03, F05


def test_TX_03_F_05_an_actor_token_is_held_to_what_a_subject_token_is(floor: TradingFloor) -> None:
    """Actors are not forged: expired, revoked, unsigned, of nobody trusted, of nobody known."""
    good = floor.made("agent")
    floor.revoke(floor.principal(good.token))
    wrong = {
        "revoked": good.token,
        "expired": floor.keys.expired().decode(),
        "forged": floor.keys.stolen_kid().decode(),
        "unsigned": floor.keys.alg_none().decode(),
        "for another": floor.keys.wrong_audience().decode(),
        "of nobody trusted": floor.keys.wrong_issuer().decode(),
        "no token": "hello",
        "of nobody known": floor.job(sub="somebody"),
    }
    subject = floor.made().token
    for name, token in wrong.items():
        found = refusal(floor, subject, actor_token=token, actor_token_type=JWT_URN)
        assert (found.error, found.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED), name
        assert "actor token" in found.message, name


def test_TX_03_an_actor_who_is_disabled_or_another_tenants_acts_for_nobody(floor: TradingFloor) -> None:
    actor, subject = floor.made("agent").token, floor.made().token
    assert claims_of(act(floor, subject, actor))["act"]["sub"] == "agent"
    floor.change(PrincipalRecord, "agent", enabled=False)
    assert refusal(floor, subject, actor_token=actor, actor_token_type=JWT_URN).code == Code.SUBJECT_TOKEN_REFUSED
    floor.put(TenantRecord(name="acme"))
    floor.change(PrincipalRecord, "agent", enabled=True, tenant="acme")
    assert refusal(floor, subject, actor_token=actor, actor_token_type=JWT_URN).code == Code.SUBJECT_TOKEN_REFUSED


def test_F_05_neither_scope_nor_client_nor_subject_is_gained_from_the_actor(floor: TradingFloor) -> None:
    floor.change(PrincipalRecord, "agent", scopes=("ai", "metrics"))
    floor.change(ClientRecord, "app", scopes=("ai", "metrics"))
    actor = floor.made("agent", scopes=("ai", "metrics")).token
    found = claims_of(act(floor, floor.made(scopes=("models",), models=("a",)).token, actor))
    assert (found["sub"], found["client_id"], found["scope"], found["models"]) == ("alice", "app", "models", ["a"])
    assert (
        refusal(
            floor, floor.made(scopes=("models",)).token, actor_token=actor, actor_token_type=JWT_URN, scope="metrics"
        ).error
        == "invalid_scope"
    )


def test_F_05_an_expired_or_revoked_token_is_worth_nothing_whoever_acts(floor: TradingFloor) -> None:
    actor, subject = floor.made("agent").token, floor.made(ttl_s=60)
    floor.clock.advance(120)
    assert refusal(floor, subject.token, actor_token=actor, actor_token_type=JWT_URN).error == "invalid_request"
    again = floor.made()
    floor.revoke(floor.principal(again.token))
    assert refusal(floor, again.token, actor_token=actor, actor_token_type=JWT_URN).error == "invalid_request"


# TX-05


def test_TX_05_the_current_actor_stands_outside_and_those_before_it_inside(floor: TradingFloor) -> None:
    floor.put(PrincipalRecord(name="sub-agent", scopes=("ai",)))
    first = act(floor, floor.made().token, floor.made("agent").token)
    assert claims_of(first)["act"] == {"sub": "agent", "client_id": "jotgate-cli"}
    second = act(floor, first.access_token, floor.made("sub-agent").token)
    found = claims_of(second)
    assert found["sub"] == "alice"
    assert found["act"] == {
        "sub": "sub-agent",
        "client_id": "jotgate-cli",
        "act": {"sub": "agent", "client_id": "jotgate-cli"},
    }
    assert [one.subject for one in floor.principal(second.access_token).actors] == ["sub-agent", "agent"]


def test_TX_05_who_acts_gives_and_takes_nothing_of_what_the_token_says(floor: TradingFloor) -> None:
    """Beside the outermost actor, which policies may name, only claims at the top decide."""
    traded = act(floor, floor.made(scopes=("models",)).token, floor.made("agent").token)
    principal = floor.principal(traded.access_token)
    # What `decide` takes is said by the rules of paths alone.
    allowed = {one for one in SCOPES - {DECIDE} if isinstance(authorize(principal, one, ""), Allow)}
    assert allowed == {"models"}


def test_TX_05_an_actor_of_a_third_party_is_not_taken_for_one_of_the_name_here() -> None:
    allowed = Policies([Policy(name="p", effect="allow", actors=("agent",))], set(), {})
    now = Circumstances("192.0.2.1", 0.0)

    def decide(*actors: Actor) -> Decision:
        return allowed.decide(replace(somebody(), actors=actors), "models", "", now)

    assert isinstance(decide(Actor("agent")), Allow)
    assert isinstance(decide(Actor("agent", NAME), Actor("other")), Allow)
    for actors in ((), (Actor("agent", "https://else.example"),), (Actor("other"), Actor("agent"))):
        assert isinstance(decide(*actors), Deny)


def test_TX_05_whoever_asks_what_a_token_says_is_told_who_acts(floor: TradingFloor) -> None:
    """RFC 8693 s4.1: `act` is a member of an introspection response too."""
    floor.put(client(grants=("token_exchange",), scopes=("introspect",)))
    bound = with_claims(floor, may_act={"sub": PROVEN})
    traded = by_client(floor, bound, scope="models offline_access")
    told = floor.introspect(traded.access_token)
    assert (told["act"], told["may_act"]) == ({"sub": PROVEN, "client_id": PROVEN}, {"sub": PROVEN})
    form = {"token": str(traded.refresh_token), "client_id": PROVEN, "client_secret": SECRET}
    told = floor.post("/oauth/introspect", form).json()
    assert (told["act"], told["may_act"]) == ({"sub": PROVEN, "client_id": PROVEN}, {"sub": PROVEN})
    assert "act" not in floor.introspect(floor.made().token)


# TX-06


def test_TX_06_actors_are_identities_and_no_more(floor: TradingFloor) -> None:
    extra = {"sub": JOB, "exp": 1, "nbf": 9_999_999_999, "aud": "x", "scope": "ai", "roles": ["ops"]}
    traded = floor.trade(floor.job(act=extra), subject_token_type=JWT_URN)
    assert claims_of(traded)["act"] == {"sub": f"ci/{JOB}"}


# TX-07


def test_TX_07_F_05_only_who_may_act_acts(floor: TradingFloor) -> None:
    agent, other = floor.made("agent").token, floor.made("bob").token
    bound = with_claims(floor, may_act={"sub": "agent"})
    found = act(floor, bound, agent)
    assert claims_of(found)["act"]["sub"] == "agent"
    for form in ({}, {"actor_token": other, "actor_token_type": ACCESS_TOKEN_URN}):
        refused = refusal(floor, bound, **form)
        assert (refused.error, refused.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)
        assert "may_act" in refused.message


def test_TX_07_a_client_acts_where_it_is_named_and_has_proved_who_it_is(floor: TradingFloor) -> None:
    bound = with_claims(floor, may_act={"sub": PROVEN})
    assert claims_of(by_client(floor, bound))["act"] == {"sub": PROVEN, "client_id": PROVEN}
    assert "may_act" in refusal(floor, bound, "other", client_secret=SECRET).message
    assert "may_act" in refusal(floor, with_claims(floor, may_act={"sub": "app"})).message


def test_TX_07_who_may_act_by_another_issuers_token_is_one_of_that_issuer(floor: TradingFloor) -> None:
    floor.put(PrincipalRecord(name="ci/agent", scopes=("ai",)))
    ours, theirs = floor.made("agent").token, floor.job(sub="agent")
    for may_act in ({"sub": "agent"}, {"sub": "agent", "iss": CI}):
        bound = floor.job(may_act=may_act)
        form = {"subject_token_type": JWT_URN, "actor_token": theirs, "actor_token_type": JWT_URN}
        assert claims_of(floor.trade(bound, **form))["act"] == {"sub": "ci/agent"}
        assert "may_act" in refusal(floor, bound, **{**form, "actor_token": ours}).message
    bound = floor.job(may_act={"sub": "agent", "iss": NAME})
    form = {"subject_token_type": JWT_URN, "actor_token": ours, "actor_token_type": JWT_URN}
    assert claims_of(floor.trade(bound, **form))["act"]["sub"] == "agent"


def test_TX_07_the_client_of_who_may_act_must_fit_too(floor: TradingFloor) -> None:
    agent = floor.made("agent", client_id=PROVEN).token
    assert act(floor, with_claims(floor, may_act={"sub": "agent", "client_id": PROVEN}), agent).access_token
    other = with_claims(floor, may_act={"sub": "agent", "client_id": "other"})
    assert "may_act" in refusal(floor, other, actor_token=agent, actor_token_type=JWT_URN).message


def test_TX_07_what_is_got_for_a_token_is_open_to_nobody_else_either(floor: TradingFloor) -> None:
    agent = floor.made("agent").token
    child = act(floor, with_claims(floor, may_act={"sub": "agent"}), agent).access_token
    assert floor.principal(child).may_act is not None
    assert "may_act" in refusal(floor, child).message
    again = claims_of(act(floor, child, agent))
    assert again["act"]["sub"] == "agent"
    assert "act" not in again["act"], "the same actor again is no further one"


def test_TX_07_an_assertion_that_says_who_may_act_is_traded_and_not_presented(floor: TradingFloor) -> None:
    with pytest.raises(OAuthRefused) as caught:
        floor.present(floor.job(may_act={"sub": "x"}))
    assert (caught.value.error, caught.value.code) == ("invalid_grant", Code.GRANT_REFUSED)
    assert "token-exchange" in caught.value.hint


# TX-08


def test_TX_08_another_client_that_has_proved_who_it_is_acts(floor: TradingFloor) -> None:
    traded = by_client(floor, floor.made().token)
    assert (claims_of(traded)["sub"], claims_of(traded)["act"]) == ("alice", {"sub": PROVEN, "client_id": PROVEN})
    again = claims_of(by_client(floor, traded.access_token))
    assert again["act"] == {"sub": PROVEN, "client_id": PROVEN}, "its own token, narrowed by itself"
    presented = floor.log.named("token.presented")[-1]
    assert presented.details["actor"] == PROVEN
    row = floor.store.issuance(again["jti"])
    assert row is not None
    assert row.actor == PROVEN
    assert floor.log.named("token.issued")[-1].details["act"] == PROVEN


def test_TX_08_who_has_proved_nothing_is_no_actor_and_takes_none_away(floor: TradingFloor) -> None:
    """A public client's name is anybody's: nothing is said of who acts but what was said before."""
    assert "act" not in claims_of(floor.trade(floor.made().token))
    delegated = by_client(floor, floor.made().token)
    assert claims_of(floor.trade(delegated.access_token))["act"] == {"sub": PROVEN, "client_id": PROVEN}


@pytest.mark.parametrize("as_assertion", [True, False])
def test_TX_08_the_history_of_another_issuers_token_is_kept(floor: TradingFloor, *, as_assertion: bool) -> None:
    history = {"sub": "a", "act": {"sub": "b", "iss": "https://else.example", "act": {"sub": "alice", "iss": NAME}}}
    token = floor.job(act=history)
    found = floor.present(token) if as_assertion else floor.trade(token, subject_token_type=JWT_URN)
    assert claims_of(found)["act"] == {
        "sub": "ci/a",
        "act": {"sub": "b", "iss": "https://else.example", "act": {"sub": "alice"}},
    }


def test_TX_08_who_acts_by_a_refresh_token_acts_by_all_that_comes_of_it(floor: TradingFloor) -> None:
    traded = by_client(floor, floor.made().token, scope="models offline_access")
    again = floor.grant("refresh_token", PROVEN, client_secret=SECRET, refresh_token=traded.refresh_token)
    assert claims_of(again)["act"] == {"sub": PROVEN, "client_id": PROVEN}


# TX-09


def test_TX_09_a_chain_of_actors_has_an_end(floor: TradingFloor) -> None:
    token = floor.made().token
    for number in range(ACTORS_MAX):
        floor.put(PrincipalRecord(name=f"agent-{number}", scopes=("ai",)))
        token = act(floor, token, floor.made(f"agent-{number}").token).access_token
    assert len(floor.principal(token).actors) == ACTORS_MAX
    found = refusal(floor, token, actor_token=floor.made("agent").token, actor_token_type=JWT_URN)
    assert found.code == Code.SUBJECT_TOKEN_REFUSED
    assert str(ACTORS_MAX) in found.message
    assert floor.trade(token).access_token, "those who act already may go on to narrow it"


def test_TX_09_a_token_never_says_too_much_of_where_it_comes_from(floor: TradingFloor) -> None:
    many = [f"subject {NAME} {number}" for number in range(ORIGINS_MAX)]
    assert floor.trade(with_claims(floor, origins=many[:50])).access_token
    for origins in (many, [f"subject {NAME} {'n' * 300}{number}" for number in range(20)]):
        assert refusal(floor, with_claims(floor, origins=origins)).code == Code.SUBJECT_TOKEN_REFUSED
    long = {"sub": "n" * 2_000}
    assert refusal(floor, floor.job(act=long), subject_token_type=JWT_URN).code == Code.SUBJECT_TOKEN_REFUSED


# TX-10


def test_TX_10_a_refresh_token_acts_for_nobody(floor: TradingFloor) -> None:
    refresh = floor.trade(floor.job(), subject_token_type=JWT_URN, scope="models offline_access").refresh_token
    found = refusal(floor, floor.made().token, actor_token=refresh, actor_token_type=ACCESS_TOKEN_URN)
    assert found.code == Code.SUBJECT_TOKEN_REFUSED


def test_an_actor_token_by_which_somebody_else_acts_says_not_who_acts(floor: TradingFloor) -> None:
    delegated = by_client(floor, floor.made("agent").token).access_token
    found = refusal(floor, floor.made().token, actor_token=delegated, actor_token_type=JWT_URN)
    assert "somebody else acts" in found.message


def test_a_child_ends_with_its_actors_token(floor: TradingFloor) -> None:
    actor = floor.made("agent", ttl_s=120)
    child = act(floor, floor.made().token, actor.token, scope="models offline_access")
    assert claims_of(child)["exp"] == actor.expires_at_s
    floor.revoke(floor.principal(actor.token))
    with pytest.raises(TokenError) as caught:
        floor.principal(child.access_token)
    assert caught.value.code == Code.TOKEN_REVOKED
    with pytest.raises(OAuthRefused, match="acts by it"):
        floor.grant("refresh_token", refresh_token=child.refresh_token)


def test_TX_10_a_token_that_is_bound_is_traded_by_its_holder_alone_and_for_one_that_is(floor: TradingFloor) -> None:
    certificate = b"a certificate in DER"
    value = b64url_encode(sha256(certificate).digest()).decode()
    bound = floor.made(confirmation=Confirmation("x5t#S256", value)).token
    free, actor = floor.made().token, floor.made("agent", confirmation=Confirmation("x5t#S256", value)).token
    for form in ({"subject_token": bound}, {"subject_token": free, "actor_token": actor}):
        fields = {
            "grant_type": EXCHANGE,
            "client_id": "app",
            "subject_token_type": ACCESS_TOKEN_URN,
            **({"actor_token_type": ACCESS_TOKEN_URN} if "actor_token" in form else {}),
            **form,
        }
        refused = floor.post("/oauth/token", fields)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert "does not prove" in refused.json()["error_description"]
        shown = b64url_encode(certificate).decode()
        granted = floor.post("/oauth/token", fields, x_jotgate_certificate=shown)
        assert granted.status_code == 200, granted.text
        child = floor.principal(granted.json()["access_token"])
        assert child.confirmation == Confirmation("x5t#S256", value)


def test_F15_F19_a_child_ends_with_all_that_its_actors_token_came_of(floor: TradingFloor) -> None:
    """With a token that the actor's was narrowed from, twice."""
    root = floor.made("agent")
    narrowed = floor.trade(floor.trade(root.token).access_token).access_token
    child = act(floor, floor.made().token, narrowed)
    grandchild = floor.trade(child.access_token)
    for answer in (child, grandchild):
        assert floor.principal(answer.access_token).subject == "alice"
    floor.revoke(floor.principal(root.token))
    for answer in (child, grandchild):
        with pytest.raises(TokenRevoked) as caught:
            floor.principal(answer.access_token)
        assert (caught.value.claim, root.token_id in str(caught.value.got)) == ("origins", True)

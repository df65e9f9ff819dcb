"""What a policy denies stays denied in whatever a token is traded for: rows TX-05 and TX-08 where policies decide."""

from hashlib import sha256
from typing import Any, Final

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.circumstances import Circumstances
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN
from jotgate.core.issuers import ClaimMapping
from jotgate.core.lineage import Confirmation
from jotgate.core.narrowing import ORIGINS_MAX
from jotgate.core.policies import Deny, Policies
from jotgate.core.policy_values import Policy
from jotgate.errors import Code, OAuthRefused
from jotgate.jose.encoding import b64url_encode
from tests.token_stage import SECRET, client
from tests.trading import EXCHANGE, JOB, TradingFloor, claims_of

AGENTS: Final = ("ag1", "ag2")
CERTIFICATE: Final = b"a certificate in DER"
BOUND: Final = Confirmation("x5t#S256", b64url_encode(sha256(CERTIFICATE).digest()).decode())


@pytest.fixture
def floor() -> TradingFloor:
    """The tokens of `ci` say roles here, and two clients prove who they are."""
    found = TradingFloor()
    found.trusts(found.terms(mapping=ClaimMapping(roles=("groups", "names"))))
    for name in AGENTS:
        found.put(client(name, grants=tuple(found.grants), authentication="client_secret_post"))
    return found


def denied(floor: TradingFloor, token: str, **members: Any) -> bool:
    """Whether a policy that names these denies a call with a token."""
    found = Policies([Policy(name="no", effect="deny", **members), Policy(name="rest", effect="allow")], set(), {})
    decision = found.decide(floor.principal(token), "models", "", Circumstances("192.0.2.1", floor.clock.now_s()))
    return isinstance(decision, Deny)


def foreign(floor: TradingFloor, **claims: Any) -> str:
    """An access token of `ci`."""
    return floor.job(typ="at+jwt", scope="ai", **claims)


def with_certificate(floor: TradingFloor, **fields: str) -> Any:
    """What the token endpoint answers a client that shows a certificate."""
    shown = b64url_encode(CERTIFICATE).decode()
    answer = floor.post("/oauth/token", {"client_id": "app", **fields}, x_jotgate_certificate=shown)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_role_that_another_issuer_gave_is_not_traded_away(floor: TradingFloor) -> None:
    token = foreign(floor, groups={"names": ["contractor", "staff"]})
    assert denied(floor, token, roles=("contractor",))
    child = floor.trade(token, scope="models offline_access")
    grandchild = floor.trade(child.access_token)
    refreshed = floor.grant("refresh_token", refresh_token=child.refresh_token)
    asserted = floor.present(floor.job(groups={"names": ["contractor"]}))
    for one in (child, grandchild, refreshed, asserted):
        assert denied(floor, str(one.access_token), roles=("contr*",))
        assert not denied(floor, str(one.access_token), roles=("admin",))
        assert "roles" not in claims_of(one), "it gives none"


def test_a_role_of_ours_is_not_lost_when_the_record_loses_it(floor: TradingFloor) -> None:
    token = floor.made(roles=("contractor",)).token
    assert denied(floor, floor.trade(token).access_token, roles=("contractor",))


def test_a_client_of_another_issuers_token_is_not_traded_away(floor: TradingFloor) -> None:
    floor.trusts(floor.terms(mapping=ClaimMapping(client=("azp",))))
    token = foreign(floor, azp="web")
    assert denied(floor, token, clients=("web",))
    assert denied(floor, floor.trade(token).access_token, clients=("web",))


def test_more_roles_than_can_be_kept_are_refused_and_not_forgotten(floor: TradingFloor) -> None:
    many = foreign(floor, groups={"names": [f"r{number}" for number in range(ORIGINS_MAX)]})
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(many)
    assert caught.value.code == Code.SUBJECT_TOKEN_REFUSED


def test_TX_05_nobody_who_ever_acted_is_hidden_behind_another(floor: TradingFloor) -> None:
    for name in ("agent", "sub"):
        floor.put(PrincipalRecord(name=name, scopes=("ai",)))
    token = floor.made().token
    for name in ("agent", "sub"):
        form = {"actor_token": floor.made(name).token, "actor_token_type": ACCESS_TOKEN_URN}
        token = floor.trade(token, **form).access_token
        assert denied(floor, token, actors=("agent",))
    assert not denied(floor, token, actors=("alice",))


def test_TX_05_an_actor_is_denied_by_the_name_that_the_first_token_gave_it(floor: TradingFloor) -> None:
    for act, name in (({"sub": "bot"}, "bot"), ({"sub": "x", "iss": "https://else.example"}, "https://else.example x")):
        token = foreign(floor, act=act)
        assert denied(floor, token, actors=(name,))
        assert denied(floor, floor.trade(token).access_token, actors=(name,))
        assert denied(floor, floor.present(floor.job(act=act)).access_token, actors=(name,))


def test_a_token_that_came_of_an_unbound_one_counts_as_unbound_where_that_is_denied(floor: TradingFloor) -> None:
    free = floor.made().token
    later = floor.trade(free, scope="models offline_access")
    floor.change(ClientRecord, "app", binding="required-mtls")
    form = {"grant_type": EXCHANGE, "subject_token": free, "subject_token_type": ACCESS_TOKEN_URN}
    child = with_certificate(floor, **form)["access_token"]
    assert floor.principal(child).confirmation == BOUND
    assert denied(floor, child, binding="none")
    assert denied(floor, child, binding="mtls")
    assert not denied(floor, child, binding="dpop")
    again = with_certificate(floor, grant_type="refresh_token", refresh_token=str(later.refresh_token))["access_token"]
    assert floor.principal(again).confirmation == BOUND
    assert denied(floor, again, binding="none"), "it is bound when it is refreshed, and was not before"
    bound = floor.made(confirmation=BOUND).token
    kept = with_certificate(floor, **{**form, "subject_token": bound})["access_token"]
    assert not denied(floor, kept, binding="none")


def test_TX_08_no_client_hides_behind_an_actor_token(floor: TradingFloor) -> None:
    """Neither behind the subject's own, nor behind that of somebody else, which it may have found."""
    root = floor.made().token
    first = floor.trade(root, "ag1", client_secret=SECRET).access_token
    for subject in (root, first):
        with pytest.raises(OAuthRefused, match="whom the subject token speaks for") as caught:
            floor.trade(subject, "ag1", client_secret=SECRET, actor_token=root, actor_token_type=ACCESS_TOKEN_URN)
        assert (caught.value.error, caught.value.code) == ("invalid_request", Code.SUBJECT_TOKEN_REFUSED)
    form = {"actor_token": floor.made("bob").token, "actor_token_type": ACCESS_TOKEN_URN}
    found = floor.trade(root, "ag1", client_secret=SECRET, **form)
    assert claims_of(found)["act"] == {"sub": "bob", "client_id": "ag1"}
    onward = floor.trade(found.access_token, "ag2", client_secret=SECRET).access_token
    for token in (first, found.access_token, onward):
        assert denied(floor, token, actors=("ag1",))
    assert not denied(floor, found.access_token, actors=("ag2",))


def test_TX_08_a_principal_is_the_same_by_whichever_issuers_token(floor: TradingFloor) -> None:
    ours = floor.made(f"ci/{JOB}").token
    for subject, actor in ((floor.job(), ours), (ours, floor.job()), (floor.job(jti="1"), floor.job(jti="2"))):
        with pytest.raises(OAuthRefused, match="whom the subject token speaks for"):
            floor.trade(subject, subject_token_type=JWT_URN, actor_token=actor, actor_token_type=JWT_URN)

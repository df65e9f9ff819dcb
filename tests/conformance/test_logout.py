"""What an issuer's logout tokens end, and which are refused (OpenID Connect Back-Channel Logout 1.0)."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from httpx2 import Response
from msgspec.structs import replace

from jotgate.core.durable import Revocation
from jotgate.core.issuers import ClaimMapping
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.logout import EVENT
from jotgate.core.refresh import RefreshRules
from jotgate.errors import Code, StoreUnavailable, TokenRevoked
from jotgate.jose.encoding import b64url_encode, encode_object
from jotgate.jose.keys import KeySet
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import TestIssuer
from tests.callers import NAME, NOW_S
from tests.tokens import key
from tests.trading import CI, JOB, JWT_BEARER, TradingFloor

LOGOUT: Final = "/oauth/backchannel-logout"
CLIENT_ID: Final = "gate-at-ci"
LEEWAY_S: Final = 5


class Floor(TradingFloor):
    """A token service whose issuer `ci` knows it as `gate-at-ci`, and sends it logout tokens."""

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store)
        self.trusts(self.terms(logout_audiences=(CLIENT_ID,)))

    def logout_token(self, typ: str | None = "logout+jwt", issuer: TestIssuer | None = None, **claims: Any) -> str:
        """A good one for JOB; a claim or `typ` of None is left out."""
        now_s = int(self.clock.now_s())
        usual: dict[str, Any] = {
            "iss": CI,
            "sub": JOB,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 120,
            "jti": f"logout-{len(self.log.lines)}",
            "events": {EVENT: {}},
        }
        members = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signer = issuer or self.ci
        header = {name: value for name, value in signer.header(typ=typ).items() if value is not None}
        return signer.seal(header, members).decode()

    def log_out(self, token: str = "", **claims: Any) -> Response:
        """Send a logout token."""
        return self.post(LOGOUT, {"logout_token": token or self.logout_token(**claims)})

    def counts(self, token: str) -> bool:
        """Whether a gateway takes it."""
        try:
            self.principal(token)
        except TokenRevoked:
            return False
        return True


@pytest.fixture
def floor(store: Store) -> Floor:
    """On each kind of store."""
    return Floor(store)


@pytest.fixture
def quick() -> Floor:
    """On the store in memory, where no database can make a difference."""
    return Floor()


def is_refused(answer: Response) -> bool:
    """Whether it is the refusal of s2.8, which no cache keeps."""
    told = answer.json()
    assert (answer.status_code, told["error"]) == (400, "invalid_request"), answer.text
    assert told["code"] in (Code.LOGOUT_REFUSED, Code.OAUTH_MALFORMED)
    assert answer.headers["cache-control"] == "no-store"
    return True


# What ends


def test_sub_ends_what_its_issuer_has_issued_for_that_subject_until_then(floor: Floor) -> None:
    token, other = floor.job(typ="at+jwt", scope="ai"), floor.job(typ="at+jwt", scope="ai", sub="somebody")
    ours = floor.made(subject=JOB).token
    answer = floor.log_out()
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert [floor.counts(one) for one in (token, other, ours)] == [False, True, True]
    floor.clock.advance(LEEWAY_S + 1)
    assert floor.counts(floor.job(typ="at+jwt", iat=floor.clock.now_s(), scope="ai")), "who logs in again is let in"
    assert not floor.counts(floor.job(typ="at+jwt", iat=None, scope="ai")), "it may be from before"
    (event,) = floor.log.named("tokens.revoked")
    assert (event.actor, event.details["kind"], event.details["name"]) == ("ci", "subject", JOB)
    assert (event.details["issuer"], event.details["reason"]) == (CI, "logged out")


def test_what_was_traded_for_a_token_ends_with_it(floor: Floor) -> None:
    child = floor.trade(floor.job(typ="at+jwt", scope="ai"), scope="ai")
    grandchild = floor.trade(child.access_token, scope="models")
    shown = floor.present(floor.job(), scope="ai offline_access")
    stays = floor.trade(floor.made().token, scope="ai")
    personal = floor.personal("create", scopes=("ai",))
    assert floor.log_out().status_code == 200
    ended = (child, grandchild, shown)
    assert [floor.counts(one.access_token) for one in (*ended, stays)] == [False, False, False, True]
    form = {"grant_type": JWT_BEARER, "client_id": "app", "assertion": floor.job(), "scope": "ai"}
    assert floor.post("/oauth/token", form).json()["error"] == "invalid_grant", "it is from before"
    again = floor.post(
        "/oauth/token",
        {"grant_type": "refresh_token", "client_id": "app", "refresh_token": str(shown.refresh_token)},
    )
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert floor.counts(floor.trade(personal, scope="models").access_token)
    floor.clock.advance(LEEWAY_S + 1)
    fresh = floor.present(floor.job(iat=floor.clock.now_s(), exp=floor.clock.now_s() + 60), scope="ai offline_access")
    assert floor.counts(fresh.access_token)


def test_sid_ends_the_tokens_that_carry_it_for_good(floor: Floor) -> None:
    mine, other, none = (floor.job(typ="at+jwt", scope="ai", sid=sid) for sid in ("s-1", "s-2", None))
    child = floor.trade(mine, scope="ai")
    assert floor.log_out(sub=None, sid="s-1").status_code == 200
    assert [floor.counts(one) for one in (mine, other, none, child.access_token)] == [False, True, True, False]
    floor.clock.advance(LEEWAY_S + 1)
    assert not floor.counts(floor.job(typ="at+jwt", iat=floor.clock.now_s(), scope="ai", sid="s-1"))
    (event,) = floor.log.named("tokens.revoked")
    assert (event.details["kind"], event.details["name"]) == ("session", "s-1")


def test_with_both_the_session_ends_and_what_says_of_none(floor: Floor) -> None:
    """Providers name the subject beside the session; another session of the same person goes on."""
    mine, other, none = (floor.job(typ="at+jwt", scope="ai", sid=sid) for sid in ("s-1", "s-2", None))
    children = [floor.trade(one, scope="ai").access_token for one in (mine, other, none)]
    somebody = floor.job(typ="at+jwt", scope="ai", sub="somebody")
    assert floor.log_out(sid="s-1").status_code == 200
    assert [floor.counts(one) for one in (mine, other, none, somebody)] == [False, True, False, True]
    assert [floor.counts(one) for one in children] == [False, True, False]
    floor.clock.advance(LEEWAY_S + 1)
    now_s = floor.clock.now_s()
    again = [floor.job(typ="at+jwt", iat=now_s, scope="ai", sid=sid) for sid in ("s-1", "s-3", None)]
    assert [floor.counts(one) for one in again] == [False, True, True]
    told = [(one.details["kind"], one.details["name"]) for one in floor.log.named("tokens.revoked")]
    assert told == [("session", "s-1"), ("session", f"none of {JOB}")]


def test_a_session_or_subject_of_another_issuer_is_another_one(quick: Floor) -> None:
    other = TestIssuer(key("RS256"), "https://other.example", NAME, NOW_S)
    terms = quick.terms(name="other", issuer=other.issuer, algorithms=("RS256",))
    terms = replace(terms, jwks=KeySet([other.key.verification_key]).to_jwks())
    quick.trusts(quick.terms(logout_audiences=(CLIENT_ID,)), terms)
    token = other.seal(other.header(), other.claims(sub=JOB, sid="s-1")).decode()
    assert quick.log_out(sid="s-1").status_code == 200
    assert quick.counts(token)
    own = quick.logout_token(issuer=other, iss=other.issuer)
    assert is_refused(quick.log_out(own)), "it has said of no logout_audiences"
    assert is_refused(quick.log_out(quick.logout_token(issuer=other))), "nobody speaks for another issuer"


def test_whom_tokens_name_by_other_claims_a_logout_token_names_by_them_too(quick: Floor) -> None:
    mapping = ClaimMapping(subject=(("org",), ("user",)))
    quick.trusts(quick.terms(logout_audiences=(CLIENT_ID,), mapping=mapping))
    token = quick.job(typ="at+jwt", scope="ai", org="acme", user="ann")
    assert is_refused(quick.log_out())
    assert quick.counts(token)
    assert quick.log_out(org="acme", user="ann").status_code == 200
    assert not quick.counts(token)


# What is refused

WRONG: Final[dict[str, dict[str, Any]]] = {
    "neither sub nor sid": {"sub": None},
    "an access token": {"typ": "at+jwt"},
    "an event of another kind": {"typ": "secevent+jwt"},
    "no events": {"events": None},
    "events that is no object": {"events": [EVENT]},
    "another event": {"events": {"http://schemas.openid.net/event/else": {}}},
    "an event that is no object": {"events": {EVENT: True}},
    "an ID token": {"nonce": "n"},
    "an empty nonce": {"nonce": ""},
    "for another client": {"aud": "another"},
    "for the gateway": {"aud": NAME},
    "for nobody": {"aud": None},
    "of nobody": {"iss": None},
    "of a stranger": {"iss": "https://evil.example"},
    "of ourselves": {"iss": NAME},
    "no end": {"exp": None},
    "an end that is over": {"exp": int(NOW_S) - 10, "iat": int(NOW_S) - 60},
    "an end in a day": {"exp": int(NOW_S) + 86_400},
    "no beginning": {"iat": None},
    "a beginning to come": {"iat": int(NOW_S) + 60},
    "no identifier": {"jti": None},
    "an empty sid": {"sid": ""},
    "a sid that is no text": {"sid": 7},
    "a sid of two lines": {"sid": "a\nb"},
    "a sub that is no text": {"sub": 7},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_good_logout_token_is_refused_and_ends_nothing(quick: Floor, name: str) -> None:
    token = quick.job(typ="at+jwt", scope="ai", sid="s-1")
    assert is_refused(quick.log_out(**WRONG[name]))
    assert quick.counts(token)
    (event,) = quick.log.events
    assert (event.event, event.details["peer"]) == ("logout.refused", "192.0.2.7")


@pytest.mark.parametrize("typ", ["JWT", None, "application/logout+jwt", "LOGOUT+JWT"])
def test_other_types_that_issuers_give_them_are_taken(quick: Floor, typ: str | None) -> None:
    assert quick.log_out(typ=typ).status_code == 200


def test_a_signature_is_that_of_a_key_of_the_issuer(quick: Floor) -> None:
    forged = TestIssuer(key("ES256"), CI, NAME, NOW_S)
    header, claims, _ = quick.logout_token().split(".")
    none = b64url_encode(encode_object({"alg": "none", "typ": "logout+jwt"}, "header")).decode()
    wrong = (
        quick.logout_token(issuer=forged),
        quick.logout_token(issuer=quick.keys),
        f"{none}.{claims}.",
        f"{header}.{claims}.",
        f"{header}.{claims}.AAAA",
    )
    assert all(is_refused(quick.log_out(one)) for one in wrong)
    assert quick.log.named("tokens.revoked") == []


def test_a_request_is_one_form_with_one_logout_token(quick: Floor) -> None:
    token = quick.logout_token()
    for form in (b"", b"logout_token=", f"logout_token={token}&logout_token={token}".encode(), b"logout_token=x"):
        assert is_refused(quick.post(LOGOUT, form))
    assert is_refused(quick.post(f"{LOGOUT}?logout_token={token}", b""))
    assert is_refused(quick.post(LOGOUT, {"logout_token": token}, content_type="application/json"))
    assert is_refused(quick.post(LOGOUT, {"logout_token": token + "A" * 20_000}))
    answer = quick.http.get(LOGOUT, params={"logout_token": token})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert quick.log.named("tokens.revoked") == []
    assert not any(token in str(line) for line in quick.log.lines)


# Once


def test_a_logout_token_counts_once(floor: Floor) -> None:
    token = floor.logout_token()
    assert floor.log_out(token).status_code == 200
    floor.clock.advance(LEEWAY_S + 1)
    fresh = floor.job(typ="at+jwt", iat=floor.clock.now_s(), scope="ai")
    assert is_refused(floor.log_out(token))
    assert floor.counts(fresh)
    floor.clock.advance(200)
    assert is_refused(floor.log_out(token)), "its time is over before it is forgotten"


# How long it is remembered


HOUR_S: Final = 3_600
DAY_S: Final = 86_400


def ends_of(floor: Floor) -> set[float | None]:
    """After how many days what was revoked is forgotten by the store; None: never."""
    rows = floor.store.revocations_after(0, 100)
    return {None if row.expires_at_s is None else (row.expires_at_s - row.revoked_at_s) / DAY_S for row in rows}


@pytest.mark.parametrize(
    ("terms", "refresh", "days"),
    [
        ({"lifetime_max_s": HOUR_S}, (HOUR_S, DAY_S), 1),  # so long may access tokens of ours live
        ({"lifetime_max_s": 5 * DAY_S}, (HOUR_S, DAY_S), 5),
        ({"lifetime_max_s": HOUR_S}, (30 * DAY_S, 90 * DAY_S), 30),
        ({"lifetime_max_s": HOUR_S}, (30 * DAY_S, 7 * DAY_S), 7),
        ({"lifetime_max_s": HOUR_S, "required": ("aud", "iss", "sub")}, (HOUR_S, DAY_S), None),
    ],
)
def test_a_logout_is_remembered_while_something_that_it_ended_could_live_and_no_longer(
    floor: Floor, terms: dict[str, Any], refresh: tuple[int, int], days: float | None
) -> None:
    floor.refresh_rules = RefreshRules(10, *refresh)
    required = ("aud", "iss", "sub", "exp")
    floor.trusts(floor.terms(**{"logout_audiences": (CLIENT_ID,), "required": required, **terms}))
    assert floor.log_out(sid="s-1").status_code == 200
    assert ends_of(floor) == {days}


def test_a_refresh_token_from_when_they_lived_longer_gets_nothing_when_the_logout_is_forgotten(floor: Floor) -> None:
    required = ("aud", "iss", "sub", "exp")
    floor.trusts(floor.terms(logout_audiences=(CLIENT_ID,), required=required, lifetime_max_s=HOUR_S))
    floor.refresh_rules = RefreshRules(10, 20 * DAY_S, 90 * DAY_S)
    shown = floor.present(floor.job(), scope="ai offline_access")
    floor.refresh_rules = RefreshRules(10, HOUR_S, DAY_S)
    assert floor.log_out().status_code == 200
    assert ends_of(floor) == {20}
    for days in (2, 17, 2):
        floor.clock.advance(days * DAY_S)
        floor.revoked.forget(floor.clock.now_s())
        form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": str(shown.refresh_token)}
        assert floor.post("/oauth/token", form).json()["error"] == "invalid_grant"
    assert len(floor.revoked) == 0


@pytest.mark.parametrize("fault", ["store", "audit"])
def test_one_that_could_not_be_carried_out_is_taken_again(fault: str) -> None:
    class Forgetful(MemoryStore):
        lost = fault == "store"

        def revoke(self, revocations: Sequence[Revocation]) -> int:
            if self.lost:
                raise StoreUnavailable("the store does not answer")
            return super().revoke(revocations)

    store = Forgetful()
    floor = Floor(store)
    floor.log.full = fault == "audit"
    token, job = floor.logout_token(), floor.job(typ="at+jwt", scope="ai")
    answer = floor.log_out(token)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    store.lost = floor.log.full = False
    assert floor.log_out(token).status_code == 200
    assert not floor.counts(job)
    assert is_refused(floor.log_out(token))


# Keys


def test_while_the_keys_of_the_issuer_are_out_of_reach_nobody_knows(quick: Floor) -> None:
    quick.trusts(quick.terms(logout_audiences=(CLIENT_ID,), jwks=None, remote=True))
    answer = quick.log_out()
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.json()["code"] == Code.ISSUER_UNAVAILABLE
    assert int(answer.headers["retry-after"]) >= 1


def test_a_key_that_is_not_held_is_fetched() -> None:
    class Fetching(Floor):
        asked = 0

        async def wanted(self, issuer: str) -> KeysOutcome:
            assert issuer == "ci"
            self.asked += 1
            self.trusts(self.terms(logout_audiences=(CLIENT_ID,), remote=True))
            return KeysOutcome(reached=True, useless_s=0.0)

    floor = Fetching()
    other = KeySet([key("ES256").verification_key]).to_jwks()
    floor.trusts(floor.terms(logout_audiences=(CLIENT_ID,), remote=True, jwks=other))
    assert floor.log_out().status_code == 200
    assert floor.asked == 1

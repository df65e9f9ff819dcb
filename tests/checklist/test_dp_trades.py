"""Rows DP-14, TX-10 and E07 of the token checklist: bound tokens that are traded or refreshed stay their holder's."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord
from jotgate.core.grants import ACCESS_TOKEN_URN, TokenResponse
from jotgate.core.lineage import Confirmation
from jotgate.core.possession import certificate_hash
from jotgate.core.senders import Sender
from jotgate.errors import DpopRefused, GrantRefused, OAuthRefused, SubjectTokenRefused
from tests.callers import NAME
from tests.certificates import certificate
from tests.proving import Holder
from tests.token_stage import client
from tests.trading import EXCHANGE, TradingFloor, claims_of

CERTIFICATE = certificate()


class BoundFloor(TradingFloor):
    """A trading floor whose start is long over. `by` says by what the next requests prove themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.advance(600)
        self.holder, self.thief = Holder(), Holder()

    def by(self, holder: Holder | None = None, shown: bytes = b"") -> "BoundFloor":
        proof = () if holder is None else (holder.prove("POST", NAME + "/oauth/token", self.clock.now_s()),)
        self.sender = Sender("192.0.2.1", (), proof, shown)
        return self

    def bound(self, **changes: Any) -> str:
        """A token of alice, bound to the holder's key."""
        return self.made(confirmation=Confirmation("jkt", self.holder.jkt), **changes).token

    def renew(self, answer: TokenResponse) -> TokenResponse:
        return self.grant("refresh_token", refresh_token=answer.refresh_token)

    def confidential(self) -> None:
        """From now on the client `app` proves itself by a certificate's name."""
        self.change(ClientRecord, "app", authentication="tls_client_auth", tls_subject_dn="CN=robot,O=Example")


@pytest.fixture
def floor() -> BoundFloor:
    return BoundFloor()


def test_TX_10_E07_a_bound_token_is_traded_by_its_holder_alone(floor: BoundFloor) -> None:
    token = floor.bound()
    for thief in (None, floor.thief):
        with pytest.raises(SubjectTokenRefused, match="bound to a key or certificate"):
            floor.by(thief).trade(token)
    with pytest.raises(SubjectTokenRefused, match="bound to a key or certificate"):
        floor.by(shown=CERTIFICATE).trade(token)
    assert floor.issued == 1, "nothing but the token itself"
    child = floor.by(floor.holder).trade(token, scope="chat.completions")
    assert (child.token_type, claims_of(child)["cnf"]) == ("DPoP", {"jkt": floor.holder.jkt})


def test_TX_10_a_token_bound_to_a_certificate_is_traded_over_its_connection_and_its_child_is_bound_too(
    floor: BoundFloor,
) -> None:
    bound = Confirmation("x5t#S256", certificate_hash(CERTIFICATE))
    token = floor.made(confirmation=bound).token
    for shown in (b"", certificate()):
        with pytest.raises(SubjectTokenRefused):
            floor.by(shown=shown).trade(token)
    child = floor.by(shown=CERTIFICATE).trade(token)
    assert (child.token_type, claims_of(child)["cnf"]) == ("Bearer", {"x5t#S256": bound.value})
    rebound = floor.by(floor.holder, CERTIFICATE).trade(token)
    assert claims_of(rebound)["cnf"] == {"jkt": floor.holder.jkt}, "both were proven, and the key is asked for"


def test_TX_10_narrowing_never_frees_a_token_of_its_key(floor: BoundFloor) -> None:
    token = floor.bound()
    for _ in range(3):
        answer = floor.by(floor.holder).trade(token)
        assert claims_of(answer)["cnf"] == {"jkt": floor.holder.jkt}
        token = answer.access_token
        with pytest.raises(SubjectTokenRefused):
            floor.by().trade(token)


def test_TX_10_an_actor_token_that_is_bound_is_its_holders_too(floor: BoundFloor) -> None:
    actor = floor.bound(subject="agent")
    form = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN_URN}
    plain = floor.made().token
    with pytest.raises(SubjectTokenRefused, match="the actor token is bound"):
        floor.by().trade(plain, **form)
    answer = floor.by(floor.holder).trade(plain, **form)
    assert claims_of(answer)["cnf"] == {"jkt": floor.holder.jkt}


def test_an_assertion_that_is_bound_is_taken_from_its_holder_alone(floor: BoundFloor) -> None:
    assertion = floor.job(cnf={"jkt": floor.holder.jkt})
    for thief in (None, floor.thief):
        with pytest.raises(GrantRefused, match="bound to a key or certificate"):
            floor.by(thief).present(assertion)
    answer = floor.by(floor.holder).present(assertion)
    assert (answer.token_type, claims_of(answer)["cnf"]) == ("DPoP", {"jkt": floor.holder.jkt})


def test_DP_14_a_public_clients_refresh_token_is_bound_and_checked_each_time(floor: BoundFloor) -> None:
    answer = floor.by(floor.holder).present(floor.job(), scope="ai offline_access")
    assert answer.token_type == "DPoP"
    for _ in range(3):
        for thief in (None, floor.thief):
            with pytest.raises(GrantRefused, match="bound to a key or certificate"):
                floor.by(thief).renew(answer)
        answer = floor.by(floor.holder).renew(answer)
        assert (answer.token_type, claims_of(answer)["cnf"]) == ("DPoP", {"jkt": floor.holder.jkt})


def test_DP_14_a_thief_without_the_key_uses_no_refresh_token_up(floor: BoundFloor) -> None:
    first = floor.by(floor.holder).present(floor.job(), scope="ai offline_access")
    for _ in range(3):
        with pytest.raises(GrantRefused):
            floor.by(floor.thief).renew(first)
    assert floor.by(floor.holder).renew(first).refresh_token
    floor.clock.advance(3_600)
    for thief in (None, floor.thief):
        with pytest.raises(GrantRefused):
            floor.by(thief).renew(first)
    assert floor.log.named("family.reused") == [], "and ends nobody's session with one that was used"
    with pytest.raises(GrantRefused, match="used before"):
        floor.by(floor.holder).renew(first)


def test_DP_14_a_confidential_clients_refresh_token_is_bound_to_the_client(floor: BoundFloor) -> None:
    floor.confidential()
    answer = floor.by(floor.holder, CERTIFICATE).present(floor.job(), scope="ai offline_access")
    assert claims_of(answer)["cnf"] == {"jkt": floor.holder.jkt}
    other = floor.by(floor.thief, CERTIFICATE).renew(answer)
    assert claims_of(other)["cnf"] == {"jkt": floor.thief.jkt}, "another key of the same client"
    without = floor.by(shown=CERTIFICATE).renew(other)
    assert claims_of(without)["cnf"] == {"x5t#S256": certificate_hash(CERTIFICATE)}


def test_DP_14_what_a_bound_token_was_traded_for_stays_bound_whoever_the_client_is(floor: BoundFloor) -> None:
    floor.confidential()
    token = floor.bound()
    answer = floor.by(floor.holder, CERTIFICATE).trade(token, scope="ai offline_access")
    with pytest.raises(GrantRefused, match="bound to a key or certificate"):
        floor.by(shown=CERTIFICATE).renew(answer)
    assert claims_of(floor.by(floor.holder, CERTIFICATE).renew(answer))["cnf"] == {"jkt": floor.holder.jkt}


def test_F15_a_replayed_proof_gets_nothing_at_any_grant(floor: BoundFloor) -> None:
    token = floor.bound()
    first = floor.by(floor.holder).present(floor.job(), scope="ai offline_access")
    later = floor.by(floor.holder).present(floor.job(), scope="ai offline_access")
    asks: tuple[Callable[[], TokenResponse], ...] = (
        lambda: floor.trade(token),
        lambda: floor.renew(first),
        lambda: floor.present(floor.job()),
    )
    for ask in asks:
        floor.by(floor.holder)
        ask()
        before = floor.issued
        agains: tuple[Callable[[], TokenResponse], ...] = (ask, lambda: floor.renew(later), asks[2])
        for again in agains:
            with pytest.raises(DpopRefused, match="used before"):
                again()
        assert floor.issued == before
    assert floor.by(floor.holder).renew(later).refresh_token, "and uses up no refresh token"


def test_DP_17_what_is_refused_for_another_reason_uses_up_no_proof(floor: BoundFloor) -> None:
    token = floor.bound()
    floor.by(floor.holder)
    for _ in range(2):
        with pytest.raises(OAuthRefused, match="scope"):
            floor.trade(token, scope="admin:*")
        with pytest.raises(GrantRefused):
            floor.grant("refresh_token", refresh_token="jot_r_" + "A" * 43)
        with pytest.raises(GrantRefused):
            floor.present(floor.job(aud="https://other.example"))
    assert floor.trade(token).token_type == "DPoP"


@pytest.mark.parametrize("binding", ["required-dpop", "required-mtls"])
def test_DP_15_every_grant_is_refused_to_a_client_that_must_bind_and_does_not(floor: BoundFloor, binding: Any) -> None:
    floor.put(replace(client("app"), authentication="none", grants=tuple(floor.grants), binding=binding, secrets=()))
    answers = {
        EXCHANGE: {"subject_token": floor.made().token, "subject_token_type": ACCESS_TOKEN_URN},
        "refresh_token": {"refresh_token": "jot_r_" + "A" * 43},
        "urn:ietf:params:oauth:grant-type:jwt-bearer": {"assertion": floor.job()},
    }
    for grant, form in answers.items():
        with pytest.raises(OAuthRefused) as refused:
            floor.by().grant(grant, **form)
        assert refused.value.code == "binding_required"

"""What a client, a subject, a tenant or a key was issued ends by one row; what that means is told before and after."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PersonalToken, PrincipalRecord, SecretDigest, TenantRecord
from jotgate.core.claims import CLI_CLIENT_ID, LIFETIME_MAX_S
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.holder_orders import HolderAnswer, HolderKind, HolderOrder
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID
from jotgate.core.revocations import names_of, personal_handle, personal_names, token_handle
from jotgate.core.status import IssuerState
from jotgate.errors import AuditUnavailable, CommandError
from jotgate.services.holder_desk import HolderDesk
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import PAGE, RevokedSet, Revoker
from jotgate.services.token_desk import Installation, OwnName
from jotgate.services.token_impact import COUNT_MAX
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, principal
from tests.token_stage import EventLog

ELSEWHERE = "https://other.example"


class Office:
    """A desk, its store, and what was issued there: to `app` of acme and to `web`, for ann of acme and for bob."""

    def __init__(self, *, others: bool = True) -> None:
        self.store = MemoryStore()
        self.log = EventLog()
        self.revoked = RevokedSet()
        self.clock = ManualClock()
        self.now_s = int(self.clock.now_s())
        access = DirectAccess(self.store)
        self.desk = HolderDesk(
            access,
            Revoker(access, Recorder(self.log, self.clock), self.clock, self.look),
            self.clock,
            Installation(OwnName(NAME, shared=True), self.revoked, self.others if others else list),
        )
        self.store.put_account(TenantRecord(name="acme"))
        self.store.put_account(PrincipalRecord(name="ann", tenant="acme"))
        self.store.put_account(PrincipalRecord(name="bob"))
        self.store.put_account(ClientRecord(name="app", tenant="acme"))
        self.store.put_account(ClientRecord(name="web"))
        self.issue("a", "ann", "app")
        self.issue("a-old", "ann", "app", age_s=600, kid="k-0")
        self.issue("app", "app", "app")
        self.issue("b", "bob", "web")
        self.issue("b-of-a", "bob", "web", parent="a")
        self.issue("hand-made", "ann", CLI_CLIENT_ID)
        for name in ("one", "two"):
            self.store.put_personal_token(self.personal(name))

    def personal(self, name: str) -> PersonalToken:
        return PersonalToken(
            token_id=name,
            owner="ann",
            name=name,
            secrets=(SecretDigest(name.encode(), self.now_s - 100 if name == "one" else self.now_s),),
            expires_at_s=self.now_s + 600,
        )

    @staticmethod
    def others() -> list[IssuerState]:
        return [IssuerState("other", ELSEWHERE, "file", True, "jwks", "", [])]

    async def look(self) -> None:
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, PAGE))

    def issue(
        self, token_id: str, subject: str, client_id: str, *, parent: str | None = None, age_s: int = 0, kid: str = "k"
    ) -> None:
        at_s = self.now_s - age_s
        tenant = "acme" if client_id == "app" else "default"
        row = Issuance(token_id, subject, client_id, kid, at_s, self.now_s + 600, parent=parent, tenant=tenant)
        self.store.add_issuances([row])

    def revoke(self, kind: HolderKind, name: str, **more: object) -> HolderAnswer:
        order = HolderOrder(**{"kind": kind, "name": name, "confirmed": True, **more})  # type: ignore[arg-type]
        return asyncio.run(self.desk.revoke(order, "root"))

    def rows(self) -> list[Revocation]:
        return list(self.store.revocations_after(0, 99))


@pytest.mark.parametrize(
    ("kind", "name", "live", "personal"),
    [
        ("client", "app", 4, 0),
        ("client", "web", 2, 0),
        ("subject", "ann", 4, 2),
        ("tenant", "acme", 4, 2),
        ("tenant", "default", 3, 0),
        ("key", "k-0", 1, 0),
    ],
)
def test_what_it_means_is_told_before_and_after(kind: HolderKind, name: str, live: int, personal: int) -> None:
    office = Office()
    asked = office.revoke(kind, name, confirmed=False)
    assert (asked.live, asked.personal_tokens, asked.more, asked.done) == (live, personal, False, False)
    assert office.rows() == []
    assert office.log.named("tokens.revoked") == []
    done = office.revoke(kind, name, reason="lost")
    assert (done.live, done.personal_tokens, done.done, done.shared) == (live, personal, True, True)
    assert done.elsewhere is (kind == "tenant")
    (event,) = office.log.named("tokens.revoked")
    assert (event.actor, event.details["kind"], event.details["name"]) == ("root", kind, name)
    assert (event.details["reason"], event.details["before"]) == ("lost", office.now_s)
    assert office.revoke(kind, name).live == 0, "all of it was revoked before"


@pytest.mark.parametrize("kind", ["client", "subject", "tenant", "key"])
def test_nobody_is_revoked_whom_nobody_knows(kind: HolderKind) -> None:
    office = Office(others=False)
    for confirmed in (False, True):
        with pytest.raises(CommandError, match=f"no {kind} 'tpyo' is known here") as caught:
            office.revoke(kind, "tpyo", confirmed=confirmed)
        assert " list" in caught.value.hint
    assert office.rows() == []
    if kind in ("subject", "key"):
        assert Office().revoke(kind, "tpyo", issuer="other").done, "of another issuer nobody can know"


def test_of_a_tenant_that_is_not_on_file_tokens_of_other_issuers_may_be() -> None:
    office = Office()
    assert office.revoke("tenant", "theirs").known is False
    assert office.revoke("tenant", "acme").known is True


def test_who_was_deleted_is_known_while_a_token_lives() -> None:
    office = Office(others=False)
    office.issue("left", "gone", "dropped", kid="old")
    for kind, name in (("client", "dropped"), ("subject", "gone"), ("key", "old")):
        assert office.revoke(kind, name, confirmed=False).live == 1  # type: ignore[arg-type]


def test_what_was_made_later_of_what_is_meant_is_counted_and_shown_as_revoked() -> None:
    office = Office()
    office.issue("child", "bob", "web", parent="a-old")
    office.issue("child-of-child", "ann", "app", parent="child")
    done = office.revoke("client", "app", before_s=office.now_s - 60)
    assert done.live == 3
    assert office.revoke("client", "app", before_s=office.now_s - 60).live == 0


def test_a_row_is_a_watermark_for_as_long_as_it_can_meet_anything() -> None:
    office = Office()
    office.revoke("client", "app")
    (row,) = office.rows()
    assert (row.kind, row.handle, row.before_s) == (RevocationKind.CLIENT, "app", office.now_s)
    assert row.expires_at_s == office.now_s + LIFETIME_MAX_S
    assert row.actor == "root"


def test_what_was_issued_later_than_is_said_is_not_meant() -> None:
    office = Office()
    done = office.revoke("subject", "ann", before_s=office.now_s - 60)
    assert (done.live, done.personal_tokens, done.before_s) == (1, 1, office.now_s - 60)
    with pytest.raises(CommandError, match="times to come"):
        office.revoke("subject", "ann", before_s=office.now_s + 1)


def test_a_personal_token_ends_with_its_subject_or_its_tenant_until_it_has_a_new_secret() -> None:
    owner = replace(principal(subject="ann"), client_id=PERSONAL_CLIENT_ID, tenant="acme", token_id="one", kid="")
    for kind, name in (("subject", "ann"), ("tenant", "acme")):
        office = Office()
        office.revoke("client", "app")
        assert office.revoked.find(personal_names(owner), office.now_s, 0) is None
        office.revoke(kind, name)  # type: ignore[arg-type]
        assert office.revoked.find(personal_names(owner), office.now_s, 0) == f"{kind} {personal_handle(name)}"
        assert office.revoked.find(personal_names(owner), office.now_s + 1, 0) is None, "it was rolled"


def test_of_another_issuer_how_many_live_is_unknown_and_the_row_is_kept_for_good() -> None:
    office = Office()
    done = office.revoke("subject", "ann", issuer="other")
    assert (done.live, done.personal_tokens, done.before_s) == (None, 0, office.now_s)
    (row,) = office.rows()
    assert (row.handle, row.expires_at_s, row.before_s) == (token_handle(ELSEWHERE, "ann"), None, office.now_s)
    theirs = replace(principal(subject="ann"), issuer=ELSEWHERE)
    assert office.revoked.find(names_of(theirs, NAME), office.now_s, 0)
    assert office.revoked.find(names_of(principal(subject="ann"), NAME), office.now_s, 0) is None
    with pytest.raises(CommandError, match="no issuer 'nobody'"):
        office.revoke("subject", "ann", issuer="nobody")


def test_a_key_of_another_issuer_is_refused_for_good_and_one_of_ours_until_now() -> None:
    office = Office()
    assert office.revoke("key", "k-1", issuer="other").before_s is None
    assert office.revoke("key", "k").before_s == office.now_s
    late_s = office.now_s + 99_999
    theirs = replace(principal(), issuer=ELSEWHERE)
    assert office.revoked.find(names_of(theirs, NAME), late_s, 0) == f"key {ELSEWHERE} k-1"
    assert office.revoked.find(names_of(replace(principal(), kid="k"), NAME), late_s, 0) is None


def test_very_many_are_counted_to_a_bound() -> None:
    office = Office()
    rows = [
        Issuance(f"t{number:05d}", "eve", "app", "k", office.now_s, office.now_s + 60) for number in range(COUNT_MAX)
    ]
    office.store.add_issuances(rows)
    done = office.revoke("client", "app", confirmed=False)
    assert (done.live, done.more) == (COUNT_MAX, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 513},
        {"name": "a\nb"},
        {"kind": "client", "issuer": "other"},
        {"kind": "tenant", "issuer": "other"},
        {"before_s": -1},
        {"name": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
    ],
)
def test_what_cannot_be_meant_is_no_order(wrong: dict[str, object]) -> None:
    with pytest.raises(CommandError):
        HolderOrder(**{"kind": "subject", "name": "ann", **wrong})  # type: ignore[arg-type]


def test_what_was_done_and_cannot_be_recorded_is_said_to_be_so() -> None:
    office = Office()
    office.log.full = True
    with pytest.raises(AuditUnavailable):
        office.revoke("client", "app")

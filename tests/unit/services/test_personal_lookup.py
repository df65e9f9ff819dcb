"""What the store says of a personal token: everything that it rests on is asked anew."""

import pytest

from jotgate.core.accounts import PrincipalRecord, Role, TenantRecord
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID, PersonalFinding
from jotgate.core.quotas import Limit, TokenLimit
from jotgate.errors import Code, JotgateError
from jotgate.services.personal_lookup import digest_of, find_personal, read_finding
from jotgate.stores.memory import MemoryStore
from tests.personal import GOOD, ISSUER, Office


@pytest.fixture
def office() -> Office:
    return Office(MemoryStore())


def code_of(office: Office, secret: str) -> Code | None:
    """Why a token is refused; None: it is not."""
    try:
        office.principal(secret)
    except JotgateError as error:
        return error.code
    return None


def test_it_speaks_for_its_owner_as_far_as_both_may(office: Office) -> None:
    secret = office.create(scopes=("ai", "metrics"), models=("small", "large"))
    office.change(PrincipalRecord, "alice", scopes=("chat.completions", "metrics"), models=("small", "huge"))
    found = office.principal(secret)
    assert (found.issuer, found.subject, found.client_id) == (ISSUER, "alice", PERSONAL_CLIENT_ID)
    assert found.scopes == {"chat.completions", "metrics"}
    assert found.models == frozenset(("small",))
    assert found.audiences == {ISSUER}
    assert found.tenant == ""
    assert found.issued_at_s == found.not_before_s == office.clock.now_s()


def test_it_brings_its_limits_as_its_own(office: Office) -> None:
    assert office.principal(office.create(limits=("5 requests", "4 concurrent"))).limits == (
        TokenLimit(Limit("requests", 5)),
        TokenLimit(Limit("concurrent", 4, "now")),
    )


def test_rights_that_its_owner_gets_back_are_its_own_again(office: Office) -> None:
    secret = office.create()
    office.change(PrincipalRecord, "alice", scopes=())
    assert office.principal(secret).scopes == frozenset()
    office.change(PrincipalRecord, "alice", scopes=("ai",))
    assert office.principal(secret).scopes == {"ai"}


def test_tenant_and_roles_are_those_of_its_owner(office: Office) -> None:
    office.store.put_account(TenantRecord(name="acme", roles=(Role("coder", ("ai",)),)))
    office.change(PrincipalRecord, "alice", tenant="acme", roles=("coder", "lost"))
    secret = office.create()
    found = office.find(secret)
    assert found.principal is not None
    assert (found.tenant, found.principal.tenant) == ("acme", "acme")
    assert found.principal.roles == {"coder"}


def test_F04_a_disabled_owner_or_tenant_ends_it_and_enabling_brings_it_back(office: Office) -> None:
    office.store.put_account(TenantRecord(name="acme"))
    office.change(PrincipalRecord, "alice", tenant="acme")
    secret = office.create()
    seen: list[Code | None] = []
    for enabled in (False, True):
        office.change(PrincipalRecord, "alice", enabled=enabled)
        seen.append(code_of(office, secret))
    for enabled in (False, True):
        office.change(TenantRecord, "acme", enabled=enabled)
        seen.append(code_of(office, secret))
    assert seen == [Code.TOKEN_REVOKED, None] * 2


def test_who_takes_the_name_of_an_owner_that_was_dropped_does_not_get_its_tokens(office: Office) -> None:
    secret = office.create()
    office.drop_alice()
    assert code_of(office, secret) is Code.TOKEN_REVOKED
    now_s = int(office.clock.now_s())
    office.store.put_account(PrincipalRecord(name="alice", scopes=("ai",), created_at_s=now_s + 1))
    assert code_of(office, secret) is Code.TOKEN_REVOKED


def test_an_owner_that_was_made_by_a_clock_ahead_has_tokens_at_once(office: Office) -> None:
    office.change(PrincipalRecord, "alice", created_at_s=int(office.clock.now_s()) + 30)
    assert code_of(office, office.create()) is None


def test_it_ends_at_its_second(office: Office) -> None:
    secret = office.create(ttl_s=60)
    office.clock.advance(59.5)
    assert code_of(office, secret) is None
    office.clock.advance(0.5)
    assert code_of(office, secret) is Code.TOKEN_EXPIRED


def test_what_was_found_earlier_is_refused_for_the_same_reasons_later(office: Office) -> None:
    """A worker that remembers an answer says what one says that asks anew."""
    old = office.create(ttl_s=60)
    office.order("roll", overlap_s=10)
    found = office.find(old)
    for wait_s, code in ((10, Code.TOKEN_UNKNOWN), (50, Code.TOKEN_EXPIRED)):
        office.clock.advance(wait_s)
        with pytest.raises(JotgateError) as caught:
            read_finding(found, office.clock.now_s())
        assert caught.value.code is code


def test_the_version_is_no_newer_than_what_was_read(office: Office) -> None:
    secret = office.create()
    before = office.store.versions().accounts
    assert office.find(secret).version == before
    office.change(PrincipalRecord, "alice", title="Alice")
    assert office.find(secret).version == before + 1


def test_F07_what_has_not_the_whole_form_is_never_looked_up(office: Office) -> None:
    secret = office.create().encode()

    class Closed(MemoryStore):
        """Nothing may be asked of it."""

        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"{name} was asked for")

    assert find_personal(office.store, secret, ISSUER, office.clock.now_s()).subject == "alice"
    for text in (secret[:-1], secret + b"A", b" " + secret, secret + b"\n", secret[:6], secret.upper(), secret + b"="):
        with pytest.raises(JotgateError) as caught:
            find_personal(Closed.__new__(Closed), text, ISSUER, office.clock.now_s())
        assert caught.value.code is Code.TOKEN_MALFORMED
        assert text.strip().decode() not in str(caught.value)


def test_a_text_of_the_form_that_is_nobodys_is_unknown(office: Office) -> None:
    with pytest.raises(JotgateError) as caught:
        find_personal(office.store, GOOD, ISSUER, office.clock.now_s())
    assert caught.value.code is Code.TOKEN_UNKNOWN
    assert digest_of(GOOD) != digest_of(GOOD[:-1] + b"A")


def test_a_finding_that_says_nothing_is_unknown() -> None:
    with pytest.raises(JotgateError) as caught:
        read_finding(PersonalFinding(version=0), 0.0)
    assert caught.value.code is Code.TOKEN_UNKNOWN

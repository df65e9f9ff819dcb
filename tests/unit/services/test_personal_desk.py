"""Orders about personal tokens: what may be granted, what is kept and told, and what a new secret does to the old."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jotgate.core.accounts import ClientRecord, PersonalToken, PrincipalRecord, Role, TenantRecord
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.opaque import Mark, is_opaque
from jotgate.core.personal_tokens import TOKENS_PER_OWNER_MAX, PersonalOrder
from jotgate.errors import Code, CommandError, JotgateError, RecordExists, RecordMissing, ScopeRefused
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore
from jotgate.stores.opening import open_store
from tests.personal import ISSUER, Action, Office

_DAY_S = 86_400


@pytest.fixture(params=["memory", "sqlite"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = open_store(StoreAddress(file=tmp_path / "private" / "store.db"))
    yield Office(store)
    store.close()


def refused(office: Office, action: Action, **content: Any) -> JotgateError:
    with pytest.raises(JotgateError) as caught:
        office.order(action, **content)
    return caught.value


def test_a_new_one_is_shown_once_and_kept_as_a_digest(office: Office) -> None:
    done = office.order("create", ttl_s=30 * _DAY_S)
    secret, (view,) = done.answer.secret, done.answer.tokens
    assert is_opaque(Mark.PERSONAL, secret)
    assert (view.scopes, view.models, view.subject, view.name) == (("ai",), None, "alice", "ci")
    assert view.expires_at_s == office.clock.now_s() + 30 * _DAY_S
    (kept,) = office.store.personal_tokens("alice", "", 10)
    assert secret not in repr(kept)
    assert secret[6:] not in repr(done)
    assert done.event == "personal_token.created"
    assert done.details == {
        "jti": kept.token_id,
        "name": "ci",
        "exp": view.expires_at_s,
        "scope": "ai",
        "models": "all",
    }


def test_its_limits_are_kept_told_and_stay_through_a_roll(office: Office) -> None:
    done = office.order("create", limits=("1_000 requests/day", "2.50 USD"))
    assert done.details["limits"] == "1000 requests/day; 2.5 USD"
    (view,) = office.answer("list").tokens
    assert view.limits == ("1000 requests/day", "2.5 USD")
    assert office.answer("roll").tokens[0].limits == view.limits


def test_a_limit_has_to_be_one_and_to_go_by_a_clock_that_is_known(office: Office) -> None:
    with pytest.raises(CommandError, match="'many' is no limit"):
        office.order("create", limits=("many",))
    assert "names a time zone that this machine does not know" in str(
        refused(office, "create", limits=("1 request/day in Mars/Base",))
    )
    assert office.answer("list").tokens == ()


def test_its_identifier_is_hexadecimal_as_that_of_any_token(office: Office) -> None:
    office.create()
    (view,) = office.answer("list").tokens
    assert len(bytes.fromhex(view.id)) == 16


def test_one_lives_for_90_days_if_nothing_is_said(office: Office) -> None:
    (view,) = office.answer("create").tokens
    assert view.expires_at_s - view.created_at_s == 90 * _DAY_S


def test_its_owner_has_no_two_of_one_name_and_others_may(office: Office) -> None:
    office.create()
    assert isinstance(refused(office, "create"), RecordExists)
    assert refused(office, "create").code is Code.RECORD_EXISTS
    office.store.put_account(PrincipalRecord(name="bob", scopes=("ai",)))
    assert office.create(subject="bob")


def test_a_name_that_was_revoked_is_free_again(office: Office) -> None:
    first = office.create()
    office.order("revoke")
    assert office.create() != first


@pytest.mark.parametrize(
    "prepare",
    [
        lambda office: office.drop_alice(),
        lambda office: office.change(PrincipalRecord, "alice", enabled=False),
        lambda office: office.store.put_account(TenantRecord(name="default", enabled=False)),
        lambda office: office.change(PrincipalRecord, "alice", tenant="gone"),
    ],
    ids=["dropped", "disabled", "tenant disabled", "tenant gone"],
)
def test_nothing_is_made_or_rolled_for_who_may_have_no_tokens(
    office: Office, prepare: Callable[[Office], object]
) -> None:
    office.create("old")
    prepare(office)
    assert "is no principal that may have tokens" in refused(office, "create").message
    assert "is no principal that may have tokens" in refused(office, "roll", name="old").message
    assert office.answer("revoke", "old").tokens, "an end is always possible"


def test_a_client_has_no_personal_tokens(office: Office) -> None:
    office.store.put_account(ClientRecord(name="robot", scopes=("ai",)))
    assert "is no principal" in refused(office, "create", subject="robot").message


def test_it_gets_nothing_that_its_owner_has_not(office: Office) -> None:
    assert isinstance(refused(office, "create", scopes=("admin:read",)), ScopeRefused)
    office.change(PrincipalRecord, "alice", models=("small", "large"))
    error = refused(office, "create", models=("small", "huge"))
    assert isinstance(error, CommandError)
    assert error.hint == "What may be: large small"
    (view,) = office.answer("create", scopes=("chat.completions", "metrics"), models=("small", "small")).tokens
    assert (view.scopes, view.models) == (("chat.completions", "metrics"), ("small",))


def test_by_default_it_gets_what_ai_calls_need_and_never_more(office: Office) -> None:
    office.change(PrincipalRecord, "alice", scopes=("models", "embeddings", "admin:*", "metrics"))
    assert office.answer("create").tokens[0].scopes == ("embeddings", "models")
    office.change(PrincipalRecord, "alice", scopes=("admin:*",))
    error = refused(office, "create", name="other")
    assert isinstance(error, ScopeRefused)
    assert "admin:*" in error.hint


def test_roles_of_the_owner_count(office: Office) -> None:
    office.store.put_account(TenantRecord(name="acme", roles=(Role("reader", ("models",)),)))
    office.change(PrincipalRecord, "alice", tenant="acme", scopes=(), roles=("reader",))
    assert office.answer("create", scopes=("models",)).tokens[0].scopes == ("models",)


@pytest.mark.parametrize(
    "content",
    [
        {"ttl_s": 0},
        {"ttl_s": 365 * _DAY_S + 1},
        {"overlap_s": -1},
        {"overlap_s": _DAY_S + 1},
        {"name": "with space"},
        {"name": "a" * 65},
        {"name": "naïve"},
        {"name": "a\n"},
        {"name": ""},
        {"subject": ""},
    ],
)
def test_an_order_out_of_bounds_is_none(content: dict[str, object]) -> None:
    good: dict[str, Any] = {"action": "create", "subject": "alice", "name": "ci"}
    assert PersonalOrder(**good).name == "ci"
    with pytest.raises(CommandError):
        PersonalOrder(**{**good, **content})


def test_an_owner_has_at_most_256() -> None:
    office = Office(MemoryStore())
    for number in range(TOKENS_PER_OWNER_MAX):
        office.create(f"t{number}")
    assert "nobody may have more" in refused(office, "create", name="one.more").message
    office.order("revoke", "t7")
    assert office.create("one.more")


def test_a_list_has_everything_but_secrets_and_changes_nothing(office: Office) -> None:
    texts = [office.create(f"t{number}") for number in range(3)]
    before = office.store.versions()
    done = office.order("list", name="", subject="")
    assert sorted(view.name for view in done.answer.tokens) == ["t0", "t1", "t2"]
    assert (done.event, done.answer.secret, office.store.versions()) == ("", "", before)
    assert not any(text[6:] in repr(done.answer.tokens) for text in texts)


def test_a_list_comes_in_pages() -> None:
    office = Office(MemoryStore())
    names = {f"t{number}" for number in range(250)}
    for name in names:
        office.create(name)
    first = office.answer("list", "", subject="alice")
    second = office.answer("list", "", subject="alice", after=first.after)
    assert first.after
    assert second.after == ""
    assert {view.name for view in (*first.tokens, *second.tokens)} == names


def test_F07_a_roll_with_an_overlap_lets_both_count_and_then_the_new_one_alone(office: Office) -> None:
    old = office.create()
    office.clock.advance(10)
    done = office.order("roll", overlap_s=3_600)
    new, (view,) = done.answer.secret, done.answer.tokens
    assert view.previous_until_s == office.clock.now_s() + 3_600
    assert done.event == "personal_token.rolled"
    assert done.details["previous_until"] == view.previous_until_s
    assert office.principal(old).token_id == office.principal(new).token_id == view.id
    office.clock.advance(3_599)
    assert office.principal(old).subject == "alice"
    office.clock.advance(1)
    assert office.principal(new).subject == "alice"
    with pytest.raises(JotgateError) as caught:
        office.principal(old)
    assert caught.value.code is Code.TOKEN_UNKNOWN


def test_a_roll_without_an_overlap_ends_the_old_secret_at_once(office: Office) -> None:
    old = office.create()
    office.clock.advance(1)
    new = office.answer("roll", overlap_s=0).secret
    assert office.find(old).reason == "unknown"
    assert office.find(old).principal is None
    assert office.principal(new).subject == "alice"


def test_a_second_roll_ends_the_overlap_of_the_first(office: Office) -> None:
    first = office.create()
    second = office.answer("roll").secret
    third = office.answer("roll").secret
    assert [office.find(text).principal is not None for text in (first, second, third)] == [False, True, True]


def test_a_roll_keeps_the_end_or_puts_it_off_and_never_brings_it_nearer(office: Office) -> None:
    (view,) = office.answer("create", ttl_s=10 * _DAY_S).tokens
    assert office.answer("roll").tokens[0].expires_at_s == view.expires_at_s
    assert office.answer("roll", ttl_s=_DAY_S).tokens[0].expires_at_s == view.expires_at_s
    assert office.answer("roll", ttl_s=20 * _DAY_S).tokens[0].expires_at_s == view.expires_at_s + 10 * _DAY_S


def test_what_has_expired_is_not_brought_back(office: Office) -> None:
    office.create(ttl_s=60)
    office.clock.advance(60)
    assert "has expired" in refused(office, "roll", ttl_s=_DAY_S).message
    assert "jotgate pat revoke" in refused(office, "create").hint
    office.order("revoke")
    assert office.create()


def test_revoking_says_what_it_does_and_leaves_a_row(office: Office) -> None:
    secret = office.create()
    (view,) = office.answer("show").tokens
    now_s = int(office.clock.now_s())
    child = Issuance("child", "alice", "c", "k", now_s, now_s + 60, parent=view.id)
    grandchild = Issuance("grandchild", "alice", "c", "k", now_s, now_s + 60, parent="child")
    gone = Issuance("gone", "alice", "c", "k", now_s, now_s + 60, parent=view.id)
    office.store.add_issuances([child, grandchild, gone])
    assert office.answer("show").derived == 3
    office.store.revoke([Revocation(RevocationKind.TOKEN, f"{ISSUER} gone", now_s, now_s + 60)])
    assert office.answer("show").derived == 2
    done = office.order("revoke")
    assert (done.event, done.subject, done.details["name"]) == ("personal_token.revoked", "alice", "ci")
    (_, row) = office.store.revocations_after(0, 10)
    assert (row.kind, row.handle, row.actor) == (RevocationKind.TOKEN, f"{ISSUER} {view.id}", "tester")
    assert row.expires_at_s == view.expires_at_s
    assert office.find(secret).principal is None


@pytest.mark.parametrize("action", ["show", "roll", "revoke"])
def test_what_is_not_there_is_said_so(office: Office, action: Action) -> None:
    office.create("other")
    error = refused(office, action)
    assert isinstance(error, RecordMissing)
    assert error.code is Code.RECORD_MISSING


class Hurried(MemoryStore):
    """A store in which somebody else changes each token right after it was read."""

    def personal_tokens(self, owner: str, after: str, limit: int) -> Sequence[PersonalToken]:
        found = super().personal_tokens(owner, after, limit)
        for one in found:
            self.put_personal_token(one)
        return found


@pytest.mark.parametrize("action", ["roll", "revoke"])
def test_who_was_second_is_told_so(action: Action) -> None:
    office = Office(Hurried())
    office.create()
    assert refused(office, action).code is Code.RECORD_CHANGED

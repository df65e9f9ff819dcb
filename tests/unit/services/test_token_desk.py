"""What a revocation would invalidate is counted to the last child; of what was made elsewhere it is unknown."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from jotgate.core.durable import Issuance, IssuanceQuery, Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.revocations import token_handle
from jotgate.core.status import IssuerState
from jotgate.core.token_orders import TokenListing, TokenOrder
from jotgate.errors import CommandError
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import RevokedSet, Revoker
from jotgate.services.token_desk import Installation, OwnName, TokenDesk
from jotgate.services.token_impact import COUNT_MAX
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NAME
from tests.token_stage import EventLog

T = TypeVar("T")
_ELSEWHERE = "https://other.example"
_FAMILY = Family(family_id="f", client_id="c", subject="s", idle_s=60, created_at_s=1, ends_at_s=9)


class Watched(MemoryStore):
    """A store that says what was asked of it, and where a visit to it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = ""

    def revoke(self, rows: Sequence[Revocation]) -> int:
        self.asked += "r"
        return super().revoke(rows)

    def find_issuances(self, query: IssuanceQuery, after: str, limit: int) -> Sequence[Issuance]:
        self.asked += "f"
        return super().find_issuances(query, after, limit)


class Visits(DirectAccess):
    """The way to such a store."""

    def __init__(self, store: Watched) -> None:
        super().__init__(store)
        self._watched = store

    async def run(self, work: Callable[[Store], T]) -> T:
        found = await super().run(work)
        self._watched.asked += " "
        return found


class Office:
    """A desk, its store, and what was issued there."""

    def __init__(self) -> None:
        self.store = Watched()
        self.log = EventLog()
        self.revoked = RevokedSet()
        clock, access = ManualClock(), Visits(self.store)
        self.now_s = int(clock.now_s())
        self.desk = TokenDesk(
            access,
            Revoker(access, Recorder(self.log, clock), clock, self.look),
            clock,
            Installation(OwnName(NAME, shared=False), self.revoked, self.others),
        )

    @staticmethod
    def others() -> list[IssuerState]:
        return [
            IssuerState("other", _ELSEWHERE, "file", True, "jwks", "", []),
            IssuerState("nameless", "", "file", True, "secret", "", []),
        ]

    async def look(self) -> None:
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, 100))

    def issue(self, token_id: str, parent: str | None = None, family: str | None = None, life_s: int = 60) -> None:
        row = Issuance(token_id, "s", "c", "k", self.now_s, self.now_s + life_s, parent=parent, family=family)
        self.store.add_issuances([row])

    def states(self, *, live: bool = False) -> dict[str, str]:
        page = asyncio.run(self.desk.list(TokenListing(live=live)))
        assert page.elsewhere == ["other", "nameless"]
        return {one.token_id: one.state for one in page.tokens}


@pytest.fixture
def office() -> Office:
    """One with a token, its children, and a family."""
    made = Office()
    made.store.add_family(
        _FAMILY, RefreshRecord(digest=b"1", family_id="f", generation=0, issued_at_s=1, expires_at_s=9)
    )
    made.issue("root", family="f")
    made.issue("child", parent="root", family="f")
    made.issue("grandchild", parent="child", family="f")
    made.issue("ended child", parent="root", life_s=0)
    made.issue("sibling", family="f")
    made.issue("nephew", parent="sibling", family="f")
    made.issue("stranger")
    made.issue("traded", parent=token_handle(_ELSEWHERE, "theirs"))
    return made


def test_the_impact_counts_what_lives_and_came_of_it_and_does_nothing(office: Office) -> None:
    answer = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root", "root"))))
    assert (answer.live, answer.derived, answer.families, answer.done) == (3, 2, ["f"], False)
    whole = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root",), families=True)))
    assert (whole.live, whole.derived, whole.ended_families) == (5, 4, ["f"])
    assert office.store.versions().revocations == 0
    assert set(office.states().values()) == {"live", "ended"}


def test_a_confirmed_order_is_done_and_recorded_and_the_list_shows_it(office: Office) -> None:
    order = TokenOrder(token_ids=("root",), reason="lost", confirmed=True)
    assert asyncio.run(office.desk.revoke(order)).done
    assert {name for name, state in office.states().items() if state == "revoked"} == {"root", "child", "grandchild"}
    assert set(office.states(live=True)) == {"sibling", "nephew", "stranger", "traded"}
    assert len(office.log.named("token.revoked")) == 1
    assert asyncio.run(office.desk.revoke(order)).live == 0, "it was revoked before"


def test_a_family_that_is_ended_too_takes_its_tokens_along(office: Office) -> None:
    asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root",), families=True, confirmed=True)))
    assert set(office.states(live=True)) == {"stranger", "traded"}
    family = office.store.family("f")
    assert family is not None
    assert family.ended_at_s is not None
    assert {row.kind for row in office.store.revocations_after(0, 9)} == {RevocationKind.TOKEN, RevocationKind.FAMILY}
    assert office.log.named("family.ended")


@pytest.mark.parametrize("named", ["other", _ELSEWHERE])
def test_how_many_tokens_of_another_issuer_live_is_unknown_and_what_was_traded_here_is_not(
    office: Office, named: str
) -> None:
    answer = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("theirs",), issuer=named, confirmed=True)))
    assert (answer.live, answer.derived, answer.tokens) == (None, 1, [])
    (row,) = office.store.revocations_after(0, 9)
    assert (row.handle, row.expires_at_s) == (token_handle(_ELSEWHERE, "theirs"), None)
    assert office.states()["traded"] == "revoked"


def test_an_issuer_without_a_name_of_its_own_is_called_by_ours(office: Office) -> None:
    asyncio.run(office.desk.revoke(TokenOrder(token_ids=("theirs",), issuer="nameless", confirmed=True)))
    (row,) = office.store.revocations_after(0, 9)
    assert row.handle == token_handle("nameless", "theirs")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (TokenOrder(token_ids=("root", "nobody"), confirmed=True), "has issued no token 'nobody'"),
        (TokenOrder(token_ids=("root",), issuer="nobody", confirmed=True), "no issuer 'nobody' is trusted here"),
    ],
)
def test_what_is_not_known_is_said_and_nothing_is_done(office: Office, order: TokenOrder, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        asyncio.run(office.desk.revoke(order))
    assert office.store.versions().revocations == 0


def test_more_than_a_page_is_listed_page_by_page(office: Office) -> None:
    for number in range(1_500):
        office.issue(f"t{number:04d}")
    seen: list[str] = []
    after, pages = "", 0
    while pages == 0 or after:
        page = asyncio.run(office.desk.list(TokenListing(after=after)))
        seen += [one.token_id for one in page.tokens]
        after, pages = page.after, pages + 1
    assert (pages, len(seen), len(set(seen))) == (2, 1_508, 1_508)


def test_a_token_with_very_many_children_is_revoked_first_and_counted_afterwards_in_short_steps() -> None:
    office = Office()
    store = office.store
    office.issue("root")
    children = [
        Issuance(f"c{number:05d}", "s", "c", "k", office.now_s, office.now_s + 60, parent="root")
        for number in range(COUNT_MAX + 200)
    ]
    store.add_issuances(children)
    asking = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root",))))
    assert (asking.live, asking.more, asking.done) == (COUNT_MAX, True, False)
    store.asked = ""
    done = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root",), confirmed=True)))
    assert (done.live, done.derived, done.more) == (COUNT_MAX, COUNT_MAX - 1, True)
    assert "f" not in store.asked[: store.asked.index("r")]
    assert max(map(len, store.asked.split())) <= 50
    again = asyncio.run(office.desk.revoke(TokenOrder(token_ids=("root",), confirmed=True)))
    assert again.live == 0, "all of them were revoked before"

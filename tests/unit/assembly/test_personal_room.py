"""Control about personal tokens: no worker gets an answer older than the news it has had, and uses are kept."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TypeVar

import pytest

from jotgate.assembly.account_feed import AccountFeed
from jotgate.assembly.personal_room import PersonalRoom
from jotgate.assembly.revocation_feed import RevocationFeed
from jotgate.core.accounts import PrincipalRecord, TokenUse
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.personal_tokens import PersonalAnswer, PersonalOrder
from jotgate.core.principals import Principal
from jotgate.errors import AuditUnavailable, Code, JotgateError, StoreUnavailable
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import load_revocations
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from tests.personal import ISSUER, Office

_Result = TypeVar("_Result")


class Log:
    """An audit log that can be full."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    def append(self, lines: Iterable[bytes]) -> None:
        if self.full:
            raise AuditUnavailable("it is full")
        self.lines += lines

    def flush(self) -> None:
        return

    def sync(self) -> None:
        return

    def close(self) -> None:
        return


class Way:
    """The way to a store (ports.StoreAccess), which may be closed, and on which things happen after each look-up."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.closed = False
        self.after: list[Callable[[], object]] = []

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        if self.closed:
            raise StoreUnavailable("it is away")
        found = work(self.store)
        if self.after:
            self.after.pop(0)()
        return found


class Bench:
    """A room, and a token of alice."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.office = Office(self.store)
        self.secret = self.office.create()
        self.way = Way(self.store)
        self.log = Log()
        clock = self.office.clock
        self.feed = AccountFeed(self.way, clock, self.store.versions().accounts)
        self.revocations = RevocationFeed(self.way, clock, load_revocations(self.store))
        self.room = PersonalRoom(
            self.way, ISSUER, clock, Recorder(self.log, clock), feed=self.feed, revocations=self.revocations
        )

    def find(self) -> Principal | None:
        found = asyncio.run(self.room.find(sha256(self.secret.encode()).digest()))
        return None if found is None else found.principal

    def order(self, order: PersonalOrder) -> PersonalAnswer:
        return asyncio.run(self.room.carry_out(order))

    def disable(self) -> None:
        """Alice is disabled, and every worker is told so."""
        self.office.change(PrincipalRecord, "alice", enabled=False)
        self.feed.version = self.store.versions().accounts

    def keep(self, *uses: TokenUse) -> None:
        self.room.used(uses)
        asyncio.run(self.room.keep_uses())

    @property
    def last_use(self) -> tuple[int, str]:
        (found,) = self.store.personal_tokens("alice", "", 2)
        return found.last_used_at_s, found.last_used_from

    @property
    def token_id(self) -> str:
        (found,) = self.store.personal_tokens("alice", "", 2)
        return found.token_id


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_worker_is_told_what_the_store_says(bench: Bench) -> None:
    found = bench.find()
    assert found is not None
    assert found.subject == "alice"


def test_E04_an_answer_that_news_overtook_is_looked_up_again(bench: Bench) -> None:
    """Else a worker would hold it for good: it was told of the change before it had the answer."""
    bench.way.after = [bench.disable]
    assert bench.find() is None
    digest = sha256(bench.secret.encode()).digest()
    found = asyncio.run(bench.room.find(digest))
    assert found is not None
    assert found.reason == "disabled"


def test_when_accounts_change_without_end_nothing_is_said(bench: Bench) -> None:
    bench.way.after = [bench.disable] * 20
    assert asyncio.run(bench.room.find(sha256(bench.secret.encode()).digest())) is None


def test_without_the_store_nothing_is_said(bench: Bench) -> None:
    bench.way.closed = True
    assert asyncio.run(bench.room.find(sha256(bench.secret.encode()).digest())) is None


def test_an_order_is_in_effect_when_its_answer_is_given(bench: Bench) -> None:
    told: list[object] = []
    bench.feed.begin(told.append)
    answer = bench.order(PersonalOrder(action="revoke", subject="alice", name="ci"))
    assert answer.running
    assert len(told) == 1
    assert len(bench.revocations.revoked) == 1
    assert b'"personal_token.revoked"' in bench.log.lines[-1]


def test_what_cannot_be_recorded_is_handed_to_nobody(bench: Bench) -> None:
    bench.log.full = True
    with pytest.raises(AuditUnavailable):
        bench.order(PersonalOrder(action="create", subject="alice", name="other"))


def test_a_list_is_no_event(bench: Bench) -> None:
    assert len(bench.order(PersonalOrder(action="list")).tokens) == 1
    assert bench.log.lines == []


def test_the_newest_use_is_kept_whoever_tells_it(bench: Bench) -> None:
    bench.keep(TokenUse(bench.token_id, 20, "192.0.2.2"), TokenUse(bench.token_id, 10, "192.0.2.1"))
    assert bench.last_use == (20, "192.0.2.2")
    bench.keep(TokenUse(bench.token_id, 15, "192.0.2.1"))
    assert bench.last_use == (20, "192.0.2.2")


def test_uses_of_tokens_that_are_gone_harm_nobody(bench: Bench) -> None:
    bench.keep(TokenUse("gone", 20, "192.0.2.2"))
    assert bench.last_use == (0, "")


def test_uses_wait_for_a_store_that_is_away(bench: Bench) -> None:
    uses: Sequence[TokenUse] = [TokenUse(bench.token_id, 20, "::1"), TokenUse("other", 20, "::1")]
    bench.way.closed = True
    bench.keep(*uses)
    assert bench.last_use == (0, "")
    bench.way.closed = False
    bench.keep()
    assert bench.last_use == (20, "::1")


def test_a_command_may_have_any_token_verified(bench: Bench) -> None:
    async def otherwise(token: bytes) -> Principal:
        raise StoreUnavailable(token.decode())

    async def verify(token: bytes) -> Principal:
        return await bench.room.verifier(otherwise)(token)

    assert asyncio.run(verify(bench.secret.encode())).subject == "alice"
    with pytest.raises(StoreUnavailable, match="eyJ"):
        asyncio.run(verify(b"eyJ"))
    row = Revocation(RevocationKind.TOKEN, f"{ISSUER} {bench.token_id}", 1)
    bench.store.revoke([row])
    asyncio.run(bench.revocations.look())
    with pytest.raises(JotgateError) as caught:
        asyncio.run(verify(bench.secret.encode()))
    assert caught.value.code is Code.TOKEN_REVOKED

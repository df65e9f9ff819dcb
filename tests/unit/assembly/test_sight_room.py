"""Control keeps the sights of tokens that never expire, warns of each once, and loses none while the store is away."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from jotgate.assembly.sight_room import SightRoom
from jotgate.core.endless_tokens import EndlessToken
from jotgate.errors import StoreUnavailable
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NOW_S
from tests.conformance import sample
from tests.token_stage import EventLog
from tests.unit.services.test_endless_sights import chain, signed

_Result = TypeVar("_Result")


class Way:
    """The way to a store (ports.StoreAccess), which may be closed. `written`: something was kept."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.closed = False
        self.written = asyncio.Event()

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        if self.closed:
            raise StoreUnavailable("it is away")
        found = work(self.store)
        if found is None:
            self.written.set()
        return found


class Bench:
    """A room, its store, and what it has recorded."""

    def __init__(self, own: EndlessSights | None = None) -> None:
        self.store = MemoryStore()
        self.way = Way(self.store)
        self.log = EventLog()
        self.room = SightRoom(self.way, Recorder(self.log, ManualClock()), own or EndlessSights())

    def keep(self, *seen: EndlessToken) -> None:
        self.room.seen(seen)
        asyncio.run(self.room.keep_sights())

    @property
    def kept(self) -> list[tuple[str, int, int]]:
        rows = self.store.endless_tokens("", "", 1_000)
        return [(one.digest, one.first_seen_at_s, one.last_seen_at_s) for one in rows]

    @property
    def recorded(self) -> int:
        return len(self.log.named("token.endless_seen"))


def seen(digest: str, at_s: int) -> EndlessToken:
    return replace(sample.ENDLESS, digest=digest, first_seen_at_s=at_s, last_seen_at_s=at_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_sights_of_several_workers_are_one_token_that_is_warned_of_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.keep(seen("a", 9), seen("a", 5), seen("b", 1))
    bench.keep(seen("a", 20))
    assert bench.kept == [("a", 5, 20), ("b", 1, 1)]
    assert bench.recorded == 2
    warnings = [line for line in capsys.readouterr().err.splitlines() if "never expires" in line]
    assert len(warnings) == 2
    assert "jotgate token list --never-expires" in warnings[0]


def test_while_the_store_is_away_sights_wait(bench: Bench) -> None:
    bench.way.closed = True
    bench.keep(seen("a", 9))
    bench.keep(seen("a", 30), seen("b", 31))
    assert (bench.kept, bench.recorded) == ([], 0)
    bench.way.closed = False
    bench.keep()
    assert bench.kept == [("a", 9, 30), ("b", 31, 31)]
    assert bench.recorded == 2


def test_while_the_audit_log_takes_nothing_sights_wait(bench: Bench) -> None:
    bench.log.full = True
    bench.keep(seen("a", 9))
    assert bench.kept == []
    bench.log.full = False
    bench.keep()
    assert (bench.kept, bench.recorded) == ([("a", 9, 9)], 1)


def test_what_waits_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jotgate.assembly.sight_room.SIGHTS_MAX", 250)
    bench.way.closed = True
    bench.keep(*(seen(f"{number:06d}", 1) for number in range(255)))
    bench.room.seen([seen("000000", 7)])
    bench.way.closed = False
    bench.keep()
    assert (len(bench.kept), bench.recorded) == (250, 250)
    assert bench.kept[0] == ("000000", 1, 7)


def test_what_control_takes_itself_is_kept_too() -> None:
    verifier = chain()
    verifier.verify(signed("ann"), NOW_S)
    bench = Bench(verifier.cache.sights)
    bench.keep()
    assert [one.subject for one in bench.store.endless_tokens("", "", 9)] == ["ann"]


def test_it_keeps_on_its_own_until_it_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jotgate.assembly.sight_room.SIGHTS_INTERVAL_S", 0.0)

    async def play() -> None:
        bench.room.seen([seen("a", 3)])
        keeping = asyncio.get_running_loop().create_task(bench.room.keep())
        await asyncio.wait_for(bench.way.written.wait(), 10)
        keeping.cancel()

    asyncio.run(play())
    assert bench.kept == [("a", 3, 3)]

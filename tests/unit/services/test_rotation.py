"""What control does about keys by itself: on time, with keys that all know, and once however many machines do it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from jotgate.core.durable import KeyRing, KeyState
from jotgate.core.key_life import KeyRules
from jotgate.services.keyring import Changed, Keyring
from jotgate.services.rotation import Rotation
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore
from jotgate.stores.opening import open_store
from jotgate.testing.ports import ManualClock
from tests.parts import MemoryParts

_RULES = KeyRules("ES256", rotate_after_s=1_000, publish_ahead_s=100)


class Machine:
    """A control process: its own way to the store, and what it believes of its workers."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.parts = MemoryParts(seals=True)
        self.clock = clock
        self.known: set[str] = set()
        self.asked: list[str] = []
        self.rotation = Rotation(DirectAccess(store), self.parts, clock, self._knows)

    async def _knows(self, kid: str) -> bool:
        self.asked.append(kid)
        return kid in self.known

    def open(self) -> None:
        Keyring(self.store, self.parts, self.clock).open("ES256")

    def step(self, ring: KeyRing | None = None) -> list[str]:
        done: list[Changed] = asyncio.run(self.rotation.step(ring or self.store.key_ring(), _RULES))
        return [event.name for one in done for event in one.events]


def test_a_key_is_published_ahead_signs_on_time_and_goes_in_the_end() -> None:
    machine = Machine(MemoryStore(), ManualClock())
    machine.open()
    (first,) = machine.store.key_ring().keys
    machine.clock.advance(899)
    assert machine.step() == []
    machine.clock.advance(1)
    assert machine.step() == ["key.created"]
    assert machine.step() == []
    (second,) = [key for key in machine.store.key_ring().keys if key.state is KeyState.PENDING]
    machine.known.add(second.kid)
    machine.clock.advance(99)
    assert machine.step() == []
    assert machine.asked == [], "nobody is asked before it is time"
    machine.clock.advance(1)
    assert machine.step() == ["key.retired", "key.activated"]
    machine.clock.advance(60)
    assert machine.step() == ["key.gone"]
    states = {key.kid: key.state.value for key in machine.store.key_ring().keys}
    assert states == {first.kid: "gone", second.kid: "active"}


def test_a_key_that_somebody_does_not_know_waits_past_its_time() -> None:
    machine = Machine(MemoryStore(), ManualClock())
    machine.open()
    machine.clock.advance(900)
    machine.step()
    machine.clock.advance(500)
    assert machine.step() == []
    machine.known |= set(machine.asked)
    assert machine.step() == ["key.retired", "key.activated"]


def test_of_two_machines_with_the_same_picture_one_makes_each_change() -> None:
    clock, store = ManualClock(), MemoryStore()
    machines = [Machine(store, clock), Machine(store, clock)]
    machines[0].open()
    for span_s, wanted in ((900, ["key.created"]), (100, ["key.retired", "key.activated"]), (60, ["key.gone"])):
        clock.advance(span_s)
        ring = store.key_ring()
        for machine in machines:
            machine.known |= {key.kid for key in ring.keys}
        done = [machine.step(ring) for machine in machines]
        assert sorted(done, key=len) == [[], wanted]


@contextmanager
def sqlite(file: Path) -> Iterator[Store]:
    store = open_store(StoreAddress(file=file))
    try:
        yield store
    finally:
        store.close()


def test_controls_that_race_over_one_database_rotate_exactly_once(tmp_path: Path) -> None:
    clock = ManualClock()
    with sqlite(tmp_path / "s.db") as one, sqlite(tmp_path / "s.db") as other, ThreadPoolExecutor(2) as threads:
        machines = [Machine(one, clock), Machine(other, clock)]
        machines[0].open()
        for _ in range(5):
            for span_s, wanted in ((900, ["key.created"]), (100, ["key.retired", "key.activated"])):
                clock.advance(span_s)
                ring = one.key_ring()
                machines[0].known = machines[1].known = {key.kid for key in ring.keys}
                done = [name for names in threads.map(Machine.step, machines, [ring, ring]) for name in names]
                assert [name for name in done if name != "key.gone"] == wanted
        states = [key.state for key in one.key_ring().keys]
        assert (len(states), states.count(KeyState.ACTIVE)) == (6, 1)

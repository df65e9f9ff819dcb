"""Two machines on one database, each with its own way to it, and many who ask for the same thing at once."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from msgspec.structs import replace

from jotgate.core.durable import Mark
from jotgate.core.families import FoundFamily, RefreshRecord
from jotgate.core.ledger import LeaseAsk
from jotgate.core.quotas import Meter
from jotgate.errors import StoreUnavailable
from jotgate.ports import StoreAccess
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_access, open_store
from tests.conformance.leasing import START_S, metered, rated
from tests.conformance.records import SEALED, begin, digest, fresh, revocation
from tests.loops import on_loop

AT_ONCE = 50
ROUNDS = 10


@pytest.fixture
def machines(address: StoreAddress) -> Iterator[tuple[StoreAccess, StoreAccess]]:
    """Two ways to one database."""
    opened = open_access(address), open_access(address)
    yield opened
    for one in opened:
        one.close()


def found_by(name: str) -> Callable[[Store], FoundFamily]:
    """Finds the family of a token that is there."""

    def find(store: Store) -> FoundFamily:
        found = store.find_family(digest(name))
        assert found is not None
        return found

    return find


def refresh(found: FoundFamily, current: RefreshRecord, name: str) -> Callable[[Store], bool]:
    """Uses the token that counts, as one of several requests that have all read the same state."""
    used = replace(current, used_at_s=10, successor=SEALED)
    successor = fresh(name, generation=current.generation + 1)
    return lambda store: store.rotate_family(found.family, used, successor)


@on_loop
async def test_of_fifty_rotations_over_two_machines_one_is_done_each_time(
    machines: tuple[StoreAccess, StoreAccess],
) -> None:
    await machines[0].run(begin)
    for turn in range(ROUNDS):
        found = await machines[turn % 2].run(found_by("f0"))
        current = found.later[-1] if found.later else found.token
        names = [f"{turn}-{index}" for index in range(AT_ONCE)]
        done = await asyncio.gather(
            *(one.run(refresh(found, current, name)) for one, name in zip(cycle(machines), names, strict=False))
        )
        assert done.count(True) == 1
        after = await machines[0].run(found_by("f0"))
        assert [one.generation for one in after.later] == list(range(1, turn + 2))
        assert [one.digest for one in after.later if one.used_at_s is None] == [digest(names[done.index(True)])]
        assert await machines[1].run(found_by("f0")) == after


@on_loop
async def test_nothing_is_rotated_after_an_end_that_another_machine_was_told(
    machines: tuple[StoreAccess, StoreAccess],
) -> None:
    """Rotations before it are done, later ones are not, and no successor can be had in either case."""
    here, there = machines
    await here.run(begin)
    found = await here.run(found_by("f0"))
    asked = [here.run(refresh(found, found.token, f"n{index}")) for index in range(AT_ONCE)]
    ending = there.run(lambda store: store.end_family("f", 7, revocation()))
    *done, ended = await asyncio.gather(*asked, ending)
    assert ended
    assert done.count(True) <= 1
    after = await here.run(found_by("f0"))
    assert after.family.ended_at_s == 7
    kept = ["f0", *(f"n{index}" for index, rotated in enumerate(done) if rotated)]
    tokens = [(await here.run(found_by(name))).token for name in kept]
    assert {one.successor for one in tokens} == {None}
    assert not await there.run(refresh(after, tokens[-1], "late"))


@on_loop
async def test_of_fifty_marks_over_two_machines_one_counts(machines: tuple[StoreAccess, StoreAccess]) -> None:
    marks = [Mark("jti", "a", 100, str(index).encode()) for index in range(AT_ONCE)]

    def put(mark: Mark) -> Callable[[Store], Mark | None]:
        return lambda store: store.mark(mark, 1)

    found = await asyncio.gather(*(one.run(put(mark)) for one, mark in zip(cycle(machines), marks, strict=False)))
    winner = found.index(None)
    assert [one for one in found if one is not None] == [marks[winner]] * (AT_ONCE - 1)


@on_loop
async def test_of_one_ask_that_two_machines_carry_out_at_once_one_lease_comes(
    machines: tuple[StoreAccess, StoreAccess],
) -> None:
    """As when control dies while it asks, and its successor asks again; some of them fail, and ask once more."""
    meter = metered(100)

    async def ask(machine: StoreAccess, index: int) -> int:
        asked = LeaseAsk(f"l{index // 10}", meter, 7, 1)
        try:
            answers = await machine.run(lambda store: store.turn([asked]))
        except StoreUnavailable:
            answers = await machine.run(lambda store: store.turn([asked]))
        return answers[0].units

    places = zip(cycle(machines), range(AT_ONCE), strict=False)
    assert set(await asyncio.gather(*(ask(one, index) for one, index in places))) == {7}
    (balance,) = await machines[0].run(lambda store: store.balances([meter]))
    assert balance.leased == 5 * 7


@on_loop
async def test_accounts_that_are_dropped_while_they_are_asked_for_are_made_again(
    machines: tuple[StoreAccess, StoreAccess], address: StoreAddress
) -> None:
    meters = [rated(100, 60, holder=f"iss {number}") for number in range(AT_ONCE)]
    once = open_store(address, lambda: START_S - 1_000_000_000)
    once.turn([LeaseAsk(meter.key, meter, 7, 1) for meter in meters])
    once.turn([LeaseAsk("", meter, previous=meter.key) for meter in meters])
    once.close()
    here, there = machines

    def ask(meter: Meter) -> Callable[[Store], object]:
        return lambda store: store.turn([LeaseAsk(f"{meter.key} now", meter, 7, 1)])

    asked = [here.run(ask(meter)) for meter in meters]
    dropping = [there.run(lambda store: store.drop_windows(1)) for _ in meters]
    await asyncio.gather(*asked, *dropping)
    balances = await here.run(lambda store: store.balances(meters))
    assert [one.leased for one in balances] == [7] * AT_ONCE

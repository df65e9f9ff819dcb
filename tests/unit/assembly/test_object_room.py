"""Control carries out orders about owned objects for workers, and says so where the store is away."""

import asyncio

import pytest

from jotgate.assembly.object_room import ObjectRoom
from jotgate.core.owned_objects import FindObject, ObjectKey, PutObject
from jotgate.errors import StoreUnavailable
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.unit.assembly.test_sight_room import Way

KEY = ObjectKey("conversation", "coze", "ann", "label")


def test_what_is_kept_is_found_by_the_clock_of_control() -> None:
    clock = ManualClock()
    room = ObjectRoom(Way(MemoryStore()), clock)

    async def script() -> None:
        kept = await room.answer(PutObject(KEY, b"1", 10))
        assert kept is not None
        assert kept.objects[0].expires_s == int(clock.now_s()) + 10
        assert await room.carry_out(FindObject(KEY)) == kept
        clock.advance(10)
        found = await room.answer(FindObject(KEY))
        assert found is not None
        assert not found.done

    asyncio.run(script())


def test_a_worker_is_told_that_it_is_not_known_and_a_route_that_the_store_is_away() -> None:
    way = Way(MemoryStore())
    way.closed = True
    room = ObjectRoom(way, ManualClock())
    assert asyncio.run(room.answer(FindObject(KEY))) is None
    with pytest.raises(StoreUnavailable):
        asyncio.run(room.carry_out(FindObject(KEY)))

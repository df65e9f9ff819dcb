"""What is kept of fetched keys from one control process to the next."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.errors import DirectoryRefused
from tests.key_keeping import Desk, key_set

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def saved(desk: Desk) -> None:
    """Wait until what was fetched is kept."""
    desk.keeper.sweep()
    assert desk.keeper._saving is not None
    await asyncio.wait([desk.keeper._saving])


async def test_another_process_goes_on_with_what_was_fetched(desk: Desk) -> None:
    await desk.start()
    await saved(desk)
    after = Desk(drawer=desk.drawer)
    after.clock.advance(1_000.0)
    after.web.fail()
    after.keeper.sources([after.source])
    assert after.keeper.sets == {"idp": key_set(desk.key)}, "before anything is fetched"
    assert after.standing.age_s == 1_000.0
    await after.settle()
    assert after.keeper.sets == {"idp": key_set(desk.key)}
    assert after.news.lines == ["failing idp True: it is gone"]
    await after.after(85_400.0)
    assert after.keeper.sets == {}, "it counts from when the issuer last confirmed them"


async def test_what_was_kept_of_elsewhere_or_too_long_ago_or_ahead_of_time_is_not_used(desk: Desk) -> None:
    await desk.start()
    await saved(desk)
    for source, later_s in (
        (replace(desk.source, location="https://idp.example/moved"), 0.0),
        (replace(desk.source, algorithms=("RS256",)), 0.0),
        (desk.source, 86_400.0),
        (desk.source, -1.0),
    ):
        after = Desk(source, desk.drawer)
        after.clock.advance(later_s)
        after.web.fail()
        after.web.fail(location="https://idp.example/moved")
        after.keeper.sources([source])
        assert after.keeper.sets == {}
        await after.settle()


async def test_a_disk_that_fails_costs_nothing_but_that(desk: Desk) -> None:
    desk.drawer.refusal = DirectoryRefused("the disk is full")
    await desk.start()
    for _ in range(3):
        await saved(desk)
        await desk.after(240.0)
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    assert desk.news.lines == ["unkept: the disk is full"] * 2, "for reading, and once for writing"


async def test_a_start_waits_only_for_those_of_whom_nothing_is_held(desk: Desk) -> None:
    await desk.start()
    await saved(desk)
    after = Desk(drawer=desk.drawer)
    after.web.hold()
    after.keeper.sources([after.source])
    assert await after.keeper.settle(0.0, keyless=True)
    assert not await after.keeper.settle(0.0)
    after.web.release()
    await after.settle()

"""What a worker knows of an upstream goes on over a reload, as long as it is the same place."""

import asyncio

from msgspec import structs

from jotgate.assembly.system import SystemClock
from jotgate.assembly.worlds import Worlds
from jotgate.core.routes import Bounds, Proxy, Reach, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.core.values import Secret
from jotgate.gateway.standing import Standing
from jotgate.gateway.world import World
from jotgate.jose.keys import KeySet, generate
from tests.callers import own_issuer
from tests.loops import on_loop, until

_JWKS = KeySet([generate("ES256").verification_key]).to_jwks()
_ISSUER = own_issuer(_JWKS)
_ONE = Upstream("one", "openai", "http://127.0.0.1:1/v1", Secret("sk-1"), bounds=Bounds(concurrent=5))


async def standings(*versions: Upstream, slot: int = 0, workers: int = 1) -> list[Standing]:
    """How the upstream stands in a worker's worlds, one for each of its versions."""
    worlds: list[World] = []
    builder = Worlds(
        asyncio.get_running_loop(),
        SystemClock(),
        swap=worlds.append,
        settled=lambda *_: None,
        slot=slot,
        workers=workers,
    )
    keeping = asyncio.get_running_loop().create_task(builder.keep())
    for number, upstream in enumerate(versions):
        builder.offer(Snapshot(number, (_ISSUER,), (upstream,), ()))
        await until(lambda count=number: len(worlds) > count)  # type: ignore[misc] # mypy sees no default here
    keeping.cancel()
    return [world.places["one"].standing for world in worlds]


@on_loop
async def test_new_settings_of_the_same_place_change_its_bound_and_forget_nothing() -> None:
    first, second = await standings(_ONE, structs.replace(_ONE, credential=Secret("sk-2"), bounds=Bounds(concurrent=9)))
    assert second is first
    assert second.bound == 9


@on_loop
async def test_another_place_of_the_same_name_begins_anew() -> None:
    elsewhere = structs.replace(_ONE, base_url="http://127.0.0.1:2/v1")
    proxied = structs.replace(elsewhere, reach=Reach(Proxy("127.0.0.1", 3)))
    found = await standings(_ONE, elsewhere, proxied)
    assert len(set(map(id, found))) == 3


@on_loop
async def test_a_worker_takes_its_own_share_of_a_bound() -> None:
    shares = [(await standings(_ONE, slot=slot, workers=2))[0].bound for slot in range(2)]
    assert shares == [3, 2]

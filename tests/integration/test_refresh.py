"""Refresh tokens at running machines: many at once on two of them, and around the death of control (F01, F02)."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from bench.soak.outcomes import Wrong
from bench.soak.raw import Door, connect
from bench.soak.refresh import (
    AT_ONCE,
    ROUNDS_SMALL,
    begin,
    present,
    rotations,
    run_refresh,
    running_fleet,
    seed,
)
from jotgate.core.opaque import opaque_digest
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.testing.running import Gateway, NeverCameTrue, until

_SESSIONS = 8
_KILLS = 2
_PATIENCE_S = 30.0
_NAME = "https://gate.example"
_SETTINGS = f'[server]\npublic_url = "{_NAME}"\n'
StartGateway = Callable[..., Gateway]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_F01_50_at_once_over_two_machines_get_one_successor_and_lose_no_session() -> None:
    """`make soak` does it 200 times."""
    with running_fleet() as fleet:
        found = asyncio.run(run_refresh(fleet, ROUNDS_SMALL))

    assert found.faults == []
    assert (found.rounds, found.rotated, found.answers) == (ROUNDS_SMALL, ROUNDS_SMALL, ROUNDS_SMALL * AT_ONCE)


@contextmanager
def store_of(gateway: Gateway) -> Iterator[Store]:
    """The store of a machine that has one for itself."""
    with closing(open_store(StoreAddress(file=gateway.data / "store.db"))) as store:
        yield store


def kill_control(gateway: Gateway) -> None:
    """Kill control, and wait until there is another."""
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")


async def refresh(gateway: Gateway, token: str, secret: str) -> str:
    """The refresh token that a gateway gives for one, over a connection of its own. Raises as `present`."""
    line = await connect(Door(int(gateway.url.rpartition(":")[2]), "", None))
    try:
        return await present(line, token, secret)
    finally:
        await line.close()


async def keep_session(gateway: Gateway, token: str, secret: str, stop: asyncio.Event) -> tuple[str, int]:
    """Refresh until it is enough; what is not answered is asked again. Returns the last token and how many there were.

    Raises NeverCameTrue when a session is lost: a token is refused, or nobody answers any more.
    """
    done = 0
    while not stop.is_set():
        try:
            token = await refresh(gateway, token, secret)
        except (OSError, asyncio.IncompleteReadError, Wrong) as failure:
            if "HTTP/1.1 4" in str(failure):
                raise NeverCameTrue(f"after {done} refreshes: {failure}") from failure
            await asyncio.to_thread(until, lambda: answers(gateway), "control answers", _PATIENCE_S)
        else:
            done += 1
    return token, done


def answers(gateway: Gateway) -> bool:
    """Whether control answers."""
    try:
        return bool(gateway.status()["snapshot"])
    except (OSError, ValueError):
        return False


@pytest.mark.slow
def test_F02_no_session_is_lost_when_control_is_killed_while_it_refreshes(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_SETTINGS + '[tokens]\nrefresh_grace = "60s"\n')
    with store_of(gateway) as store:
        secret, firsts = seed(store), [begin(store, _NAME) for _ in range(_SESSIONS)]

        async def run() -> list[tuple[str, int]]:
            stop = asyncio.Event()
            sessions = [asyncio.create_task(keep_session(gateway, first, secret, stop)) for first in firsts]
            for _ in range(_KILLS):
                before = [generation(store, first) for first in firsts]
                await grown(store, firsts, before, sessions)
                await asyncio.to_thread(kill_control, gateway)
                await grown(store, firsts, [generation(store, first) for first in firsts], sessions)
            stop.set()
            return await asyncio.gather(*sessions)

        for first, (last, done) in zip(firsts, asyncio.run(run()), strict=True):
            assert done > 0
            assert rotations(store, last) == generation(store, first)


async def grown(
    store: Store, firsts: list[str], before: list[int], sessions: "list[asyncio.Task[tuple[str, int]]]"
) -> None:
    """Wait until every session has been rotated since."""

    def all_have() -> bool:
        if any(session.done() for session in sessions):
            return True
        return all(generation(store, first) > count for first, count in zip(firsts, before, strict=True))

    await asyncio.to_thread(until, all_have, "all sessions go on", _PATIENCE_S)
    for session in sessions:
        if session.done():
            session.result()


def generation(store: Store, first: str) -> int:
    """How often a family was rotated."""
    found = store.find_family(opaque_digest(first))
    assert found is not None
    return found.family.version


def test_F02_the_death_of_control_gives_no_used_token_a_new_life(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_SETTINGS + '[tokens]\nrefresh_grace = "1s"\n')

    def word(token: str) -> str:
        """What is said to a token, by whoever is control by then."""
        while True:
            try:
                return asyncio.run(refresh(gateway, token, secret))
            except (OSError, asyncio.IncompleteReadError, Wrong) as failure:
                if "HTTP/1.1 4" in str(failure):
                    return str(failure)
            until(lambda: answers(gateway), "control answers", _PATIENCE_S)

    with store_of(gateway) as store:
        secret, first = seed(store), begin(store, _NAME)
        second = asyncio.run(refresh(gateway, first, secret))
        kill_control(gateway)
        until(lambda: "used before" in word(first), "the grace is over", _PATIENCE_S)
        assert [rotations(store, token) for token in (first, second)] == [None, None]
        kill_control(gateway)
        assert "was revoked" in word(first)
        assert "was revoked" in word(second)

"""Several real processes on one database: nothing is lost, and a reader that follows the revocations misses none."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from jotgate.core.durable import KeyState, Revocation, RevocationKind
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.testing.running import until
from tests.architecture.sources import ROOT

PROCESSES = 4
COUNT = 25


@contextmanager
def processes(address: StoreAddress, task: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have opened the store and begin their task together; at the end all of them have done it."""
    place = address.url or str(address.file)
    words = [sys.executable, "-m", "tests.conformance.hammer", place, task, str(COUNT)]
    running = [
        subprocess.Popen([*words, f"p{index}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for index in range(PROCESSES)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        yield running
        assert [one.wait(30) for one in running] == [0] * PROCESSES
    finally:
        for one in running:
            one.kill()
            one.communicate()


def test_no_update_is_lost(address: StoreAddress) -> None:
    """The processes also meet on the empty database: each finds the schema or makes it."""
    with processes(address, "add_up"):
        pass
    store = open_store(address)
    (record,) = store.issuers()
    assert (record.content, record.version) == (b"%d" % (PROCESSES * COUNT), PROCESSES * COUNT)
    store.close()


def test_no_rotation_is_lost(address: StoreAddress) -> None:
    with processes(address, "rotate"):
        pass
    store = open_store(address)
    ring = store.key_ring()
    assert ring.version == len(ring.keys) == PROCESSES * COUNT
    assert [key.state for key in ring.keys].count(KeyState.ACTIVE) == 1
    assert [key.created_at_s for key in ring.keys] == list(range(PROCESSES * COUNT))
    store.close()


def test_a_reader_with_a_cursor_sees_every_revocation_once_and_in_order(address: StoreAddress) -> None:
    store = open_store(address)
    seen: list[Revocation] = []
    with processes(address, "revoke") as running:
        while len(seen) < PROCESSES * COUNT:
            over = all(one.poll() is not None for one in running)
            seen += store.revocations_after(seen[-1].number if seen else 0, 7)
            assert len(seen) >= PROCESSES * COUNT or not over, "a revocation was missed"
    assert [row.number for row in seen] == list(range(1, PROCESSES * COUNT + 1))
    assert len({row.handle for row in seen}) == PROCESSES * COUNT
    store.close()


COMMITTING = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
SLOW_COMMIT = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.handle = 'slow' THEN PERFORM pg_sleep(0.5); END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON jotgate_revocations
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_a_slow_commit_holds_back_the_later_numbers(address: StoreAddress) -> None:
    """With a plain sequence the quick one would be seen first, and the cursor would pass the slow one for good."""
    store = open_store(address)
    with psycopg.connect(address.url, autocommit=True) as watcher, ThreadPoolExecutor(2) as threads:
        watcher.execute(SLOW_COMMIT)
        slow = threads.submit(store.revoke, [Revocation(RevocationKind.TOKEN, "slow", 1)])
        until(lambda: watcher.execute(COMMITTING).fetchone() is not None, "the slow commit")
        quick = threads.submit(store.revoke, [Revocation(RevocationKind.TOKEN, "quick", 1)])
        seen: list[Revocation] = []
        while len(seen) < 2:
            over = slow.done() and quick.done()
            seen += store.revocations_after(seen[-1].number if seen else 0, 10)
            assert len(seen) == 2 or not over, "a revocation was missed"
        assert [(row.number, row.handle) for row in seen] == [(1, "slow"), (2, "quick")]
        assert (slow.result(), quick.result()) == (1, 2)
    store.close()

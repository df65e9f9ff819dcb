"""Several real processes on one database: nothing is lost, and a reader that follows the revocations misses none."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from jotgate.core.accounts import AccountChange, ClientRecord
from jotgate.core.durable import IssuanceQuery, KeyState, Revocation, RevocationKind
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.testing.running import until
from tests.architecture.sources import ROOT
from tests.conformance.leasing import metered
from tests.conformance.records import begin, client, digest, family, personal_token

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


def test_no_change_of_a_client_is_lost(address: StoreAddress) -> None:
    with processes(address, "enlarge"):
        pass
    store = open_store(address)
    found = store.account(ClientRecord, "cli")
    assert found is not None
    assert (len(set(found.scopes)), found.version) == (PROCESSES * COUNT, PROCESSES * COUNT)
    assert store.accounts_after(0, 10) == (AccountChange("client", "cli", PROCESSES * COUNT),)
    store.close()


def test_a_reader_with_a_cursor_sees_every_change_of_an_account_once_and_in_order(address: StoreAddress) -> None:
    store = open_store(address)
    seen: list[AccountChange] = []
    with processes(address, "put") as running:
        while len(seen) < PROCESSES * COUNT:
            over = all(one.poll() is not None for one in running)
            seen += store.accounts_after(seen[-1].version if seen else 0, 7)
            assert len(seen) >= PROCESSES * COUNT or not over, "a change was missed"
    assert [one.version for one in seen] == list(range(1, PROCESSES * COUNT + 1))
    assert len({one.name for one in seen}) == PROCESSES * COUNT
    store.close()


def test_each_version_of_a_family_is_rotated_by_one_process(address: StoreAddress) -> None:
    store = open_store(address)
    begin(store)
    with processes(address, "rotate_family"):
        pass
    found = store.find_family(digest("f0"))
    assert found is not None
    assert found.family == family(version=COUNT)
    assert [one.generation for one in found.later] == list(range(1, COUNT + 1))
    assert [one.used_at_s for one in found.later] == [10] * (COUNT - 1) + [None]
    assert sorted(winners(store)) == sorted(map(str, range(COUNT)))
    store.close()


def test_what_several_processes_mark_counts_once(address: StoreAddress) -> None:
    store = open_store(address)
    with processes(address, "mark"):
        pass
    assert sorted(winners(store)) == sorted(map(str, range(COUNT)))
    store.close()


def winners(store: Store) -> list[str]:
    """What the processes have kept, each for itself, of that which it did alone."""
    rows = store.find_issuances(IssuanceQuery(live_at_s=1), "", PROCESSES * COUNT)
    return [row.token_id.partition(" ")[0] for row in rows]


COMMITTING = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
SLOW_COMMIT = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF to_jsonb(NEW)->>'{name}' = 'slow' THEN PERFORM pg_sleep(0.5); END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


@contextmanager
def slow_commit(address: StoreAddress, table: str, name: str) -> Iterator[Callable[[], None]]:
    """Let a commit that adds the row `slow` to a table take its time; what is given waits until one does."""
    with psycopg.connect(address.url, autocommit=True) as watcher:
        watcher.execute(SLOW_COMMIT.format(table=table, name=name).encode())
        yield lambda: until(lambda: watcher.execute(COMMITTING).fetchone() is not None, "the slow commit")


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_a_slow_commit_holds_back_the_later_numbers(address: StoreAddress) -> None:
    """With a plain sequence the quick one would be seen first, and the cursor would pass the slow one for good."""
    store = open_store(address)
    with slow_commit(address, "jotgate_revocations", "handle") as begun, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(store.revoke, [Revocation(RevocationKind.TOKEN, "slow", 1)])
        begun()
        quick = threads.submit(store.revoke, [Revocation(RevocationKind.TOKEN, "quick", 1)])
        seen: list[Revocation] = []
        while len(seen) < 2:
            over = slow.done() and quick.done()
            seen += store.revocations_after(seen[-1].number if seen else 0, 10)
            assert len(seen) == 2 or not over, "a revocation was missed"
        assert [(row.number, row.handle) for row in seen] == [(1, "slow"), (2, "quick")]
        assert (slow.result(), quick.result()) == (1, 2)
    store.close()


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_a_slow_commit_holds_back_the_later_versions_of_accounts(address: StoreAddress) -> None:
    """Also those of personal tokens, which another statement keeps."""
    store = open_store(address)
    with slow_commit(address, "jotgate_account_changes", "name") as begun, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(store.put_account, client("slow"))
        begun()
        quick = threads.submit(store.put_personal_token, personal_token("quick"))
        seen: list[AccountChange] = []
        while len(seen) < 2:
            over = slow.done() and quick.done()
            seen += store.accounts_after(seen[-1].version if seen else 0, 10)
            assert len(seen) == 2 or not over, "a change was missed"
        assert [(one.version, one.name) for one in seen] == [(1, "slow"), (2, "quick")]
        assert (slow.result(), quick.result()) == (1, 2)
    store.close()


def test_no_unit_is_leased_twice(address: StoreAddress) -> None:
    """They lock the same three accounts in different orders, and ask twice for everything."""
    with processes(address, "lease"):
        pass
    store = open_store(address)
    rows = store.find_issuances(IssuanceQuery(live_at_s=0), "", 100)
    assert len(rows) == 3 * PROCESSES
    meters = [metered(COUNT, holder=f"iss {number}") for number in range(3)]
    for meter, balance in zip(meters, store.balances(meters), strict=True):
        had = sum(row.issued_at_s for row in rows if row.token_id.startswith(f"{meter.holders[0]} "))
        assert had == balance.posted == COUNT
        assert (balance.leased, balance.lost, balance.debt) == (0, 0, 0)
    store.close()

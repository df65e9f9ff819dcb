"""One of several processes that work on the same store: `python -m tests.conformance.hammer FILE|URL TASK COUNT`."""

import sys
from pathlib import Path

import msgspec

from jotgate.core.durable import IssuerRecord, KeyRecord, KeyState, Revocation, RevocationKind
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store


def add_up(store: Store, count: int, name: str) -> None:
    """Add one to a number in an issuer's content, so many times; each time read, decide, write."""
    done = 0
    while done < count:
        (record,) = store.issuers() or (IssuerRecord("sum", b"0"),)
        done += store.put_issuer(msgspec.structs.replace(record, content=b"%d" % (int(record.content) + 1))) is not None


def rotate(store: Store, count: int, name: str) -> None:
    """Add one key to the ring, so many times, and retire all others."""
    done = 0
    while done < count:
        ring = store.key_ring()
        retired = [msgspec.structs.replace(key, state=KeyState.RETIRED) for key in ring.keys[-3:]]
        fresh = KeyRecord(f"{name}-{done}", "ES256", b"{}", None, KeyState.ACTIVE, len(ring.keys))
        done += store.put_keys(ring.version, [*retired, fresh]) is not None


def revoke(store: Store, count: int, name: str) -> None:
    """Revoke so many tokens, one by one."""
    for index in range(count):
        store.revoke([Revocation(RevocationKind.TOKEN, f"{name}-{index}", 1)])


TASKS = {task.__name__: task for task in (add_up, rotate, revoke)}


def main(place: str, task: str, count: str, name: str) -> None:
    """Open the store, say so, wait for the word to begin, and do the task."""
    store = open_store(StoreAddress(url=place) if "://" in place else StoreAddress(file=Path(place)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    TASKS[task](store, int(count), name)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

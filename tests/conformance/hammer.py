"""One of several processes that work on the same store: `python -m tests.conformance.hammer FILE|URL TASK COUNT`."""

import sys
from pathlib import Path

from msgspec import structs

from jotgate.core.accounts import ClientRecord
from jotgate.core.durable import Issuance, IssuerRecord, KeyRecord, KeyState, Mark, Revocation, RevocationKind
from jotgate.core.ledger import LeaseAsk
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from tests.conformance.leasing import metered
from tests.conformance.records import client, digest, fresh


def add_up(store: Store, count: int, name: str) -> None:
    """Add one to a number in an issuer's content, so many times; each time read, decide, write."""
    done = 0
    while done < count:
        (record,) = store.issuers() or (IssuerRecord("sum", b"0"),)
        done += store.put_issuer(structs.replace(record, content=b"%d" % (int(record.content) + 1))) is not None


def rotate(store: Store, count: int, name: str) -> None:
    """Add one key to the ring, so many times, and retire all others."""
    done = 0
    while done < count:
        ring = store.key_ring()
        retired = [structs.replace(key, state=KeyState.RETIRED) for key in ring.keys[-3:]]
        fresh = KeyRecord(f"{name}-{done}", "ES256", b"{}", None, KeyState.ACTIVE, len(ring.keys))
        done += store.put_keys(ring.version, [*retired, fresh]) is not None


def revoke(store: Store, count: int, name: str) -> None:
    """Revoke so many tokens, one by one."""
    for index in range(count):
        store.revoke([Revocation(RevocationKind.TOKEN, f"{name}-{index}", 1)])


def put(store: Store, count: int, name: str) -> None:
    """Keep so many clients, one by one."""
    for index in range(count):
        store.put_account(client(f"{name}-{index}"))


def enlarge(store: Store, count: int, name: str) -> None:
    """Add a scope to one client, so many times; each time read, decide, write."""
    done = 0
    while done < count:
        record = store.account(ClientRecord, "cli") or client()
        longer = structs.replace(record, scopes=(*record.scopes, f"{name}-{done}"))
        done += store.put_account(longer) is not None


def rotate_family(store: Store, count: int, name: str) -> None:
    """Rotate one family until it was rotated so many times by everybody together; keep whose each rotation was."""
    while (found := store.find_family(digest("f0"))) is not None and found.family.version < count:
        version = found.family.version
        current = found.later[-1] if found.later else found.token
        used = structs.replace(current, used_at_s=10, successor=b"sealed")
        if store.rotate_family(found.family, used, fresh(f"{version + 1} {name}", generation=version + 1)):
            store.add_issuances([Issuance(f"{version} {name}", name, "cli", "k", 1, 100)])


def mark(store: Store, count: int, name: str) -> None:
    """Mark so many things, which everybody marks; keep those that nobody else had marked."""
    for index in range(count):
        if store.mark(Mark("jti", str(index), 100), 1) is None:
            store.add_issuances([Issuance(f"{index} {name}", name, "cli", "k", 1, 100)])


def lease(store: Store, count: int, name: str) -> None:
    """Lease of three accounts at once, in an order of one's own, and spend all, until nothing is left; keep how much.

    Each ask is sent twice, as by one who did not hear the first answer.
    """
    first = int(name[-1])
    meters = [metered(count, holder=f"iss {(first + number) % 3}") for number in range(3)]
    had = [0, 0, 0]
    spent = [0, 0, 0]
    turns = 0
    while turns == 0 or any(spent):
        asks = [
            LeaseAsk(
                f"{name} {turns} {meter.key}", meter, 2, 1, f"{name} {turns - 1} {meter.key}" if turns else "", used
            )
            for meter, used in zip(meters, spent, strict=True)
        ]
        store.turn(asks)
        spent = [answer.units for answer in store.turn(asks)]
        had = [before + more for before, more in zip(had, spent, strict=True)]
        turns += 1
    rows = zip(meters, had, strict=True)
    store.add_issuances([Issuance(f"{meter.holders[0]} {name}", name, "cli", "k", units, 100) for meter, units in rows])


TASKS = {task.__name__: task for task in (add_up, rotate, revoke, put, enlarge, rotate_family, mark, lease)}


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

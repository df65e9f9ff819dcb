"""What only a PostgreSQL does: it asks for a password, and goes away and comes back."""

import psycopg
import pytest
from msgspec import structs
from psycopg import sql
from sqlalchemy import text

from jotgate.core.values import Secret
from jotgate.errors import StoreUnavailable
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine, writing
from jotgate.stores.opening import open_access, open_store
from tests.conformance.records import begin, client, family, fresh, used
from tests.conformance.threads import THREADS, in_parallel
from tests.databases import Postgres
from tests.loops import on_loop


def test_the_password_is_given_and_a_wrong_one_is_not_shown(server: Postgres) -> None:
    server.ask_password_of("ann", "right horse")
    address = server.make_database()
    asked = structs.replace(address, url=address.url.replace("postgres@", "ann@"), password=Secret("right horse"))
    store = open_store(asked)
    assert store.fact("issuer") is None
    store.close()
    with pytest.raises(StoreUnavailable, match='password authentication failed for user "ann"') as caught:
        open_store(structs.replace(asked, password=Secret("wrong battery")))
    assert "battery" not in f"{caught.value.message}{caught.value.hint}{caught.value.debug}"


def set_default(address: StoreAddress, name: str, value: str) -> None:
    """Let the server do this in each transaction that says nothing else."""
    database = address.url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(address.url, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
        connection.execute(statement.format(sql.Identifier(database), sql.Identifier(name), sql.Literal(value)))


def test_a_server_that_isolates_more_by_itself_loses_no_number(server: Postgres) -> None:
    """What waits to be alone must see what was committed meanwhile, whatever the server does when it is not told."""
    address = server.make_database()
    set_default(address, "default_transaction_isolation", "serializable")
    store = open_store(address)
    found = in_parallel(lambda index: store.put_account(client(str(index))))
    assert sorted(map(str, found)) == [str(version) for version in range(1, THREADS + 1)]
    begin(store)
    rotated = in_parallel(lambda _: store.rotate_family(family(), used(), fresh("f1", generation=1)))
    assert (rotated.count(True), rotated.count(False)) == (1, THREADS - 1)
    store.close()


@pytest.mark.parametrize(("value", "kept"), [("off", "on"), ("remote_apply", "remote_apply"), ("on", "on")])
def test_a_server_that_does_not_wait_for_its_disk_is_told_to(server: Postgres, value: str, kept: str) -> None:
    """What was revoked or used stays so through a power cut; who asks for more than the disk gets that."""
    address = server.make_database()
    set_default(address, "synchronous_commit", value)
    engine = make_engine(address)
    for _ in range(2):
        with writing(engine) as connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == kept
    engine.dispose()


@on_loop
async def test_a_connection_that_the_server_ended_is_made_anew(server: Postgres) -> None:
    """A server that is restarted, or a proxy that ends idle connections, costs no request."""
    address = server.make_database()
    access = open_access(address)
    assert await access.run(lambda store: store.fix_fact("a", "1")) == "1"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [address.url.rpartition("/")[2].partition("?")[0]],
        ).fetchall()
    assert ended == [(True,)]
    assert await access.run(lambda store: store.fact("a")) == "1"
    access.close()

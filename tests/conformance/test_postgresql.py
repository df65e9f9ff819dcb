"""What only a PostgreSQL does: it asks for a password, and goes away and comes back."""

import psycopg
import pytest
from msgspec import structs

from jotgate.core.values import Secret
from jotgate.errors import StoreUnavailable
from jotgate.stores.opening import open_access, open_store
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

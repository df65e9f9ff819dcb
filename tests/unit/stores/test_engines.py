"""Transactions of a SQLite file, and what is said when a database fails."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from jotgate.core.values import Secret
from jotgate.errors import Code, DirectoryRefused, StoreUnavailable
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine, reading, writing
from jotgate.stores.opening import open_store, read_schema


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "private" / "store.db"


def test_what_was_written_is_synced_before_it_is_answered(file: Path) -> None:
    engine = make_engine(StoreAddress(file=file))
    with reading(engine) as connection:
        settings = [connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]
    engine.dispose()


def test_a_writer_is_alone_from_its_beginning(file: Path) -> None:
    """The driver's own transaction would begin as a reader, and find out too late that another wrote."""
    engine = make_engine(StoreAddress(file=file))
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    with writing(engine), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()


def test_a_reader_waits_for_no_writer(file: Path) -> None:
    store = open_store(StoreAddress(file=file))
    store.fix_fact("a", "1")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE jotgate_facts SET value = '2'")
    assert store.fact("a") == "1"
    other.close()
    store.close()


def test_a_block_that_raises_leaves_nothing(file: Path) -> None:
    engine = make_engine(StoreAddress(file=file))
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x)"))

    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM t")) == 0
    engine.dispose()


def test_a_failing_database_is_store_unavailable(file: Path) -> None:
    store = open_store(StoreAddress(file=file))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("DROP TABLE jotgate_facts")
    other.close()
    with pytest.raises(StoreUnavailable) as caught:
        store.fix_fact("secret", "value")
    assert caught.value.code is Code.STORE_UNAVAILABLE
    assert caught.value.message == "the store does not answer"
    assert caught.value.debug == "OperationalError: no such table: jotgate_facts"
    store.close()


def test_a_file_that_is_no_database_is_said_to_be_none(file: Path) -> None:
    file.parent.mkdir(0o700)
    file.touch(0o600)
    file.write_text("something else altogether")
    with pytest.raises(StoreUnavailable, match="file is not a database") as caught:
        read_schema(StoreAddress(file=file))
    assert str(file) in caught.value.hint


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    file.parent.mkdir(0o700)
    file.touch(0o600)
    file.chmod(0o644)
    with pytest.raises(DirectoryRefused, match="has mode 0644"):
        open_store(StoreAddress(file=file))


def test_a_server_that_cannot_be_reached_is_named_without_the_password() -> None:
    address = StoreAddress(url="postgresql://ann@127.0.0.1:1/jotgate", password=Secret("hunter2-hunter2"))
    with pytest.raises(StoreUnavailable, match="Connection refused") as caught:
        open_store(address)
    assert "hunter2" not in f"{caught.value!r} {caught.value.message} {caught.value.debug} {address!r} {address.place}"
    assert caught.value.retry_after_s > 0


def test_the_engine_does_not_show_the_password() -> None:
    engine = make_engine(StoreAddress(url="postgresql://ann@127.0.0.1:1/jotgate", password=Secret("hunter2-hunter2")))
    assert "hunter2" not in f"{engine!r} {engine.url}"
    engine.dispose()

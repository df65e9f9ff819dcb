"""The schema: made once, migrated from every older revision wholly or not at all, and refused when it is unknown."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec import structs
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.durable import IssuanceQuery, Versions
from jotgate.core.families import FoundFamily
from jotgate.core.ledger import Balance
from jotgate.core.mcp_pins import KeptPins
from jotgate.core.policy_values import KeptPolicies
from jotgate.errors import Code, StoreRefused
from jotgate.store_ports import Store
from jotgate.stores import migrator, opening
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine
from jotgate.stores.opening import SchemaState, migrate, open_store, read_schema
from jotgate.stores.schema import METADATA, REVISION_TABLE, REVISIONS, SCHEMA_REVISION
from tests.conformance import sample

LATER = '''"""A later revision."""
import sqlalchemy as sa
from alembic import op
revision = "later"
down_revision = "{before}"
def upgrade():
    op.add_column("jotgate_keys", sa.Column("later", sa.Text))
    op.execute("INSERT INTO jotgate_facts VALUES ('later', '1')")
    {more}
'''


@contextmanager
def engine_of(address: StoreAddress) -> Iterator[Engine]:
    """An engine for looking at a database from outside."""
    engine = make_engine(address)
    yield engine
    engine.dispose()


def execute(address: StoreAddress, statement: str) -> None:
    """Change a database behind the store's back."""
    with engine_of(address) as engine, engine.begin() as connection:
        connection.execute(text(statement))


def add_revision(monkeypatch: pytest.MonkeyPatch, folder: Path, more: str = "") -> None:
    """Let this jotgate be a later one, which knows one revision more."""
    scripts = folder / "migrations"
    shutil.copytree(Path(migrator.__file__).with_name("migrations"), scripts)
    (scripts / "revisions" / "later.py").write_text(LATER.format(before=SCHEMA_REVISION, more=more))
    monkeypatch.setattr(migrator, "_SCRIPTS", scripts)
    monkeypatch.setattr(opening, "REVISIONS", (*REVISIONS, "later"))
    monkeypatch.setattr(opening, "SCHEMA_REVISION", "later")


def test_the_tables_that_statements_name_are_those_that_revisions_make(address: StoreAddress) -> None:
    open_store(address).close()
    with engine_of(address) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": REVISION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_the_code_knows_its_revisions_in_order() -> None:
    """A start compares with this list, and does not load what is behind it."""
    assert tuple(one.name for one in migrator.pending(None)) == REVISIONS
    assert migrator.pending(SCHEMA_REVISION) == []
    assert all(one.purpose for one in migrator.pending(None))


def test_every_revision_has_its_fixtures() -> None:
    """A new revision: `python -m tests.conformance.sample` writes them."""
    found = {path.name for path in sample.FOLDER.iterdir()}
    assert found == {f"{one}.{kind}.sql" for one in REVISIONS for kind in ("sqlite", "postgresql")}


def check_tokens(store: Store) -> None:
    """Look for all that `sample.fill_tokens` keeps."""
    tenants, principals = store.accounts(TenantRecord, "", 10), store.accounts(PrincipalRecord, "", 10)
    accounts = [*tenants, *principals, *store.accounts(ClientRecord, "", 10)]
    assert accounts == [structs.replace(one, version=index + 1) for index, one in enumerate(sample.ACCOUNTS)]
    kept = structs.replace(sample.PERSONAL_TOKEN, version=4)
    found = {store.find_personal_token(secret.digest) for secret in kept.secrets}
    assert found == {kept}
    changes = [(one.kind, one.name) for one in store.accounts_after(0, 10)]
    assert changes == [("tenant", "acme"), ("principal", "ann"), ("client", "cli"), ("personal_token", "pt")]
    family = structs.replace(sample.FAMILY, version=1)
    assert store.find_family(sample.USED.digest) == FoundFamily(family, sample.USED, (sample.SUCCESSOR,))
    assert store.mark(sample.MARK, 0) == sample.MARK


def check_quotas(store: Store) -> None:
    """Look for all that `sample.fill_quotas` keeps."""
    assert store.limits(("", ""), 10) == (structs.replace(sample.LIMITED, version=1),)
    assert store.balances([sample.METER]) == (Balance(sample.METER.key, leased=4, left=6),)
    assert store.turn([sample.LEASED])[0].units == 4
    assert store.issuance("limited") == sample.LIMITED_ISSUANCE


def test_families_that_were_begun_before_remember_whose_word_they_rest_on(address: StoreAddress) -> None:
    """All of them were, until 0003, begun with a token of another issuer."""
    sample.load(address, "0002")
    execute(address, "UPDATE jotgate_families SET subject = 'ci/repo:a/b'")
    migrate(address)
    store = open_store(address)
    found = store.family("f")
    assert found is not None
    assert (found.subject, found.voucher, found.ancestors, found.may_act) == ("ci/repo:a/b", "ci", (), None)
    store.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_revision_is_migrated_with_all_that_it_holds(address: StoreAddress, revision: str) -> None:
    sample.load(address, revision)
    missing = REVISIONS[REVISIONS.index(revision) + 1 :]
    assert migrate(address) == SchemaState(revision, missing)
    assert read_schema(address) == SchemaState(SCHEMA_REVISION, ())
    store = open_store(address)
    assert store.fact("issuer") == "https://gateway.example"
    ring = store.key_ring()
    assert (ring.version, ring.keys) == (1, sample.KEYS)
    assert store.issuers() == (structs.replace(sample.ISSUER, version=1),)
    issuances = [sample.ISSUANCES[1], *([] if revision < "0004" else [sample.LIMITED_ISSUANCE])]
    issuances += [] if revision < "0007" else [sample.ORIGINATED]
    found = store.find_issuances(IssuanceQuery(live_at_s=0), "", 10)
    assert found == (*issuances, sample.ISSUANCES[0])
    numbered = tuple(structs.replace(row, number=index + 1) for index, row in enumerate(sample.REVOCATIONS))
    assert store.revocations_after(0, 10) == numbered
    came = [0 if revision < first else last for first, last in (("0002", 4), ("0003", 1), ("0004", 1), ("0011", 1))]
    assert store.versions() == Versions(1, 1, 2, *came)
    if revision < "0002":
        assert store.accounts_after(0, 10) == ()
        # What came with 0002 is there now, and works.
        sample.fill_tokens(store)
    check_tokens(store)
    if revision < "0003":
        assert store.policies() == KeptPolicies(0, ())
        store.put_policies(0, sample.POLICIES)
    assert store.policies() == KeptPolicies(1, tuple(structs.replace(one, version=1) for one in sample.POLICIES))
    if revision < "0004":
        assert (store.limits(("", ""), 10), store.balances([sample.METER])[0].leased) == ((), 0)
        sample.fill_quotas(store)
    check_quotas(store)
    if revision < "0005":
        assert store.endless_tokens("", "", 10) == ()
        store.see_endless_tokens([sample.ENDLESS])
    assert store.endless_tokens("", "", 10) == (sample.ENDLESS,)
    if revision < "0006":
        assert store.family(sample.LOGGED_IN.family_id) is None
        sample.fill_logins(store)
    assert store.family(sample.LOGGED_IN.family_id) == sample.LOGGED_IN
    if revision < "0008":
        assert store.owned_object(sample.OBJECT.key, 44) is None
        store.put_owned_object(sample.OBJECT, 10)
    assert store.owned_object(sample.OBJECT.key, 44) == structs.replace(sample.OBJECT, version=1)
    if revision < "0009":
        assert store.upstream_logins() == ()
        store.put_upstream_login(sample.UPSTREAM_LOGIN)
    assert store.upstream_login("coze") == structs.replace(sample.UPSTREAM_LOGIN, version=1)
    if revision < "0010":
        assert store.credential_page("", 10) == ()
        store.take_credential(sample.KONG_CREDENTIAL, 1)
    assert store.credential_page("", 10) == (sample.KONG_CREDENTIAL,)
    if revision < "0011":
        assert store.tool_pins() == KeptPins()
        sample.fill_mcp(store)
    assert store.tool_pins() == KeptPins(1, (structs.replace(sample.TOOL_PIN, version=1),))
    kept = store.upstream_login("mcp:files", sample.USER_LOGIN.holder)
    assert kept == structs.replace(sample.USER_LOGIN, version=2)
    store.close()


def test_an_older_schema_is_refused_until_it_is_migrated(
    address: StoreAddress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample.load(address, SCHEMA_REVISION)
    add_revision(monkeypatch, tmp_path)
    with pytest.raises(StoreRefused) as caught:
        open_store(address)
    assert caught.value.code is Code.STORE_REFUSED
    assert caught.value.message == f"the store has the schema {SCHEMA_REVISION}, and this jotgate needs later"
    assert caught.value.hint.endswith("jotgate migrate")
    assert read_schema(address) == SchemaState(SCHEMA_REVISION, ("later",))
    assert migrate(address) == SchemaState(SCHEMA_REVISION, ("later",))
    assert migrate(address) == SchemaState("later", ())
    store = open_store(address)
    assert (store.fact("later"), len(store.key_ring().keys)) == ("1", 2)
    store.close()


def test_a_migration_that_fails_changes_nothing(
    address: StoreAddress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample.load(address, SCHEMA_REVISION)
    add_revision(monkeypatch, tmp_path, more='op.drop_table("nowhere")')
    with pytest.raises(StoreRefused, match=r"cannot be made later, and nothing was changed: .*nowhere"):
        migrate(address)
    monkeypatch.undo()
    store = open_store(address)
    assert store.fact("later") is None
    store.close()
    with engine_of(address) as engine, engine.connect() as connection, pytest.raises(DatabaseError):
        connection.execute(text("SELECT later FROM jotgate_keys"))


@pytest.mark.parametrize("newer", ["9999", "0001-newer"])
def test_a_newer_schema_is_refused(address: StoreAddress, newer: str) -> None:
    open_store(address).close()
    execute(address, f"UPDATE {REVISION_TABLE} SET version_num = '{newer}'")  # noqa: S608
    for ask in (open_store, read_schema, migrate):
        with pytest.raises(StoreRefused, match=f"a newer jotgate made the store's schema {newer}") as caught:
            ask(address)
        assert "newer jotgate" in caught.value.hint


def test_a_schema_of_two_revisions_is_refused(address: StoreAddress) -> None:
    open_store(address).close()
    execute(address, f"INSERT INTO {REVISION_TABLE} VALUES ('other')")  # noqa: S608
    with pytest.raises(StoreRefused):
        open_store(address)


def test_what_else_is_in_the_database_is_left_alone(address: StoreAddress) -> None:
    if address.file is not None:
        address.file.parent.mkdir(0o700)
    execute(address, "CREATE TABLE issuers (name TEXT)")
    open_store(address).close()
    execute(address, "INSERT INTO issuers VALUES ('ours')")


def test_looking_makes_no_file(tmp_path: Path) -> None:
    address = StoreAddress(file=tmp_path / "private" / "store.db")
    assert read_schema(address) == SchemaState(None, REVISIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_file_and_its_log_are_private_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "private" / "store.db"
    store = open_store(StoreAddress(file=file))
    store.fix_fact("a", "b")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    store.close()

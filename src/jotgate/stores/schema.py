"""The tables of the store, as the newest revision leaves them; `stores.migrations` makes them.

Every name begins with `jotgate_`, so a database may hold other things too. Times are whole seconds since the epoch.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text

REVISIONS: Final = ("0001",)
"""All revisions of the schema, oldest first. A start compares with these, so that it need not load Alembic."""

SCHEMA_REVISION: Final = REVISIONS[-1]

REVISION_TABLE: Final = "jotgate_schema"
REVISION_COLUMN: Final = "version_num"

METADATA: Final = MetaData()

# Compared byte by byte everywhere: a language's order of letters would page through tokens differently on each server.
_TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")

FACTS: Final = Table(
    "jotgate_facts",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("value", _TEXT, nullable=False),
)

COUNTERS: Final = Table(
    "jotgate_counters",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""How often each part has changed: one row for each of `keys`, `issuers` and `revocations`."""

KEYS: Final = Table(
    "jotgate_keys",
    METADATA,
    Column("kid", _TEXT, primary_key=True),
    Column("algorithm", _TEXT, nullable=False),
    Column("public_jwk", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("state", _TEXT, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("signs_from_s", BigInteger),
    Column("activated_at_s", BigInteger),
    Column("retired_at_s", BigInteger),
    Column("verifies_until_s", BigInteger),
    Column("ended_at_s", BigInteger),
)

ISSUERS: Final = Table(
    "jotgate_issuers",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
)

ISSUANCES: Final = Table(
    "jotgate_issuances",
    METADATA,
    Column("token_id", _TEXT, primary_key=True),
    Column("subject", _TEXT, nullable=False),
    Column("client_id", _TEXT, nullable=False),
    Column("kid", _TEXT, nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("parent", _TEXT),
    Column("family", _TEXT),
    Index("jotgate_issuances_subject", "subject", "expires_at_s"),
    Index("jotgate_issuances_client", "client_id", "expires_at_s"),
    Index("jotgate_issuances_parent", "parent"),
    Index("jotgate_issuances_family", "family"),
    Index("jotgate_issuances_end", "expires_at_s"),
)

REVOCATIONS: Final = Table(
    "jotgate_revocations",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", _TEXT, nullable=False),
    Column("handle", _TEXT, nullable=False),
    Column("revoked_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger),
    Column("before_s", BigInteger),
    Column("reason", _TEXT, nullable=False),
    Column("actor", _TEXT, nullable=False),
    Index("jotgate_revocations_handle", "kind", "handle"),
    Index("jotgate_revocations_end", "expires_at_s"),
)

"""The table of the credentials that Kong is to have, beside those of `stores.schema`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, text

from jotgate.stores.schema import METADATA, TEXT

_LIVING: Final = text("state IN ('wanted', 'held')")
_KNOWN: Final = text("state <> 'gone'")

KONG_CREDENTIALS: Final = Table(
    "jotgate_kong_credentials",
    METADATA,
    Column("credential_id", TEXT, primary_key=True),
    Column("key", TEXT, nullable=False),
    Column("consumer", TEXT, nullable=False),
    Column("consumer_id", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("token_name", TEXT, nullable=False),
    Column("algorithm", TEXT, nullable=False),
    Column("public_key_pem", TEXT),
    Column("sealed", LargeBinary),
    Column("created_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("changed_at_s", BigInteger, nullable=False),
    Column("description", TEXT, nullable=False),
    Index(
        "jotgate_kong_credentials_name",
        "consumer",
        "token_name",
        unique=True,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    ),
    Index("jotgate_kong_credentials_key", "key", unique=True, sqlite_where=_KNOWN, postgresql_where=_KNOWN),
    Index("jotgate_kong_credentials_consumer", "consumer", "credential_id"),
    Index("jotgate_kong_credentials_subject", "subject", "credential_id"),
    Index("jotgate_kong_credentials_state", "state", "changed_at_s"),
    Index("jotgate_kong_credentials_end", "state", "expires_at_s"),
)
"""What Kong is to have, and what it is to be rid of."""

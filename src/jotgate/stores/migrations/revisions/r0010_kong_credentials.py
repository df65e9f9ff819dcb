"""The credentials that Kong is to have, and the outbox of what it is to be told.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_LIVING = sa.text("state IN ('wanted', 'held')")
_KNOWN = sa.text("state <> 'gone'")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "jotgate_kong_credentials",
        sa.Column("credential_id", _TEXT, primary_key=True),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("consumer", _TEXT, nullable=False),
        sa.Column("consumer_id", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("token_name", _TEXT, nullable=False),
        sa.Column("algorithm", _TEXT, nullable=False),
        sa.Column("public_key_pem", _TEXT),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("changed_at_s", sa.BigInteger, nullable=False),
        sa.Column("description", _TEXT, nullable=False),
    )
    table = "jotgate_kong_credentials"
    op.create_index(
        "jotgate_kong_credentials_name",
        table,
        ["consumer", "token_name"],
        unique=True,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
    op.create_index(
        "jotgate_kong_credentials_key", table, ["key"], unique=True, sqlite_where=_KNOWN, postgresql_where=_KNOWN
    )
    op.create_index("jotgate_kong_credentials_consumer", table, ["consumer", "credential_id"])
    op.create_index("jotgate_kong_credentials_subject", table, ["subject", "credential_id"])
    op.create_index("jotgate_kong_credentials_state", table, ["state", "changed_at_s"])
    op.create_index("jotgate_kong_credentials_end", table, ["state", "expires_at_s"])

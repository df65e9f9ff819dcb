"""Accounts, personal tokens, refresh-token families and marks.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of the token service."""
    counters = sa.table("jotgate_counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "accounts", "value": 0}])
    _create_tenants()
    _create_principals()
    _create_clients()
    _create_personal_tokens()
    op.create_table(
        "jotgate_account_changes",
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_account_changes_version", "jotgate_account_changes", ["version"], unique=True)
    _create_families()
    _create_refresh_tokens()
    op.create_table(
        "jotgate_marks",
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("handle", _TEXT, primary_key=True),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("jotgate_marks_end", "jotgate_marks", ["expires_at_s"])


def _create_tenants() -> None:
    op.create_table(
        "jotgate_tenants",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )


def _create_principals() -> None:
    op.create_table(
        "jotgate_principals",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("tenant", _TEXT, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("models", sa.Text),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_principals_tenant", "jotgate_principals", ["tenant", "name"])


def _create_clients() -> None:
    op.create_table(
        "jotgate_clients",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("tenant", _TEXT, nullable=False),
        sa.Column("authentication", _TEXT, nullable=False),
        sa.Column("grants", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("models", sa.Text),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("jwks", sa.LargeBinary, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("access_ttl_s", sa.BigInteger, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_clients_tenant", "jotgate_clients", ["tenant", "name"])


def _create_personal_tokens() -> None:
    op.create_table(
        "jotgate_personal_tokens",
        sa.Column("token_id", _TEXT, primary_key=True),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("models", sa.Text),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
        sa.Column("last_used_at_s", sa.BigInteger, nullable=False),
        sa.Column("last_used_from", _TEXT, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_personal_tokens_name", "jotgate_personal_tokens", ["owner", "name"], unique=True)
    op.create_index("jotgate_personal_tokens_owner", "jotgate_personal_tokens", ["owner", "token_id"])
    op.create_index("jotgate_personal_tokens_end", "jotgate_personal_tokens", ["expires_at_s"])
    op.create_table(
        "jotgate_personal_digests",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("token_id", _TEXT, nullable=False),
    )
    op.create_index("jotgate_personal_digests_token", "jotgate_personal_digests", ["token_id"])


def _create_families() -> None:
    op.create_table(
        "jotgate_families",
        sa.Column("family_id", _TEXT, primary_key=True),
        sa.Column("client_id", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("tenant", _TEXT, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("models", sa.Text),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("idle_s", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("ends_at_s", sa.BigInteger, nullable=False),
        sa.Column("ended_at_s", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("last_ends_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_families_client", "jotgate_families", ["client_id", "family_id"])
    op.create_index("jotgate_families_subject", "jotgate_families", ["subject", "family_id"])
    op.create_index("jotgate_families_end", "jotgate_families", ["last_ends_at_s"])


def _create_refresh_tokens() -> None:
    op.create_table(
        "jotgate_refresh_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("family_id", _TEXT, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("issued_at_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
        sa.Column("used_at_s", sa.BigInteger),
        sa.Column("successor", sa.LargeBinary),
    )
    op.create_index("jotgate_refresh_tokens_family", "jotgate_refresh_tokens", ["family_id", "generation"])
    sealed = sa.text("successor IS NOT NULL")
    op.create_index(
        "jotgate_refresh_tokens_sealed",
        "jotgate_refresh_tokens",
        ["used_at_s"],
        sqlite_where=sealed,
        postgresql_where=sealed,
    )

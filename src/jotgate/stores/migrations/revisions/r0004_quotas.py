"""The ledger of quotas with its leases, limits of holders, the limits that tokens bring, and the roles of families.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and the tables."""
    for name in ("jotgate_issuances", "jotgate_personal_tokens", "jotgate_families"):
        op.add_column(name, sa.Column("limits", sa.Text, nullable=False, server_default="[]"))
    # What roles an earlier family was given is unknown: its tokens have none from now on.
    op.add_column("jotgate_families", sa.Column("roles", sa.Text, nullable=False, server_default="[]"))
    _create_limits()
    _create_ledger()
    _create_leases()


def _create_limits() -> None:
    counters = sa.table("jotgate_counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "limits", "value": 0}])
    op.create_table(
        "jotgate_limits",
        sa.Column("level", _TEXT, primary_key=True),
        sa.Column("holder", _TEXT, primary_key=True),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )


def _create_ledger() -> None:
    op.create_table(
        "jotgate_ledger",
        sa.Column("meter", _TEXT, primary_key=True),
        sa.Column("window_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ends_at_s", sa.BigInteger),
        sa.Column("unit", _TEXT, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("posted", "leased", "debt", "lost")),
        sa.Column("arrival_us", sa.BigInteger, nullable=False),
        sa.Column("keep_until_s", sa.BigInteger),
        sa.Column("label", sa.Text, nullable=False),
    )
    op.create_index("jotgate_ledger_end", "jotgate_ledger", ["keep_until_s"])


def _create_leases() -> None:
    op.create_table(
        "jotgate_leases",
        sa.Column("lease_id", _TEXT, primary_key=True),
        sa.Column("meter", _TEXT, nullable=False),
        sa.Column("window_s", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("follows_lost", sa.Boolean, nullable=False),
        sa.Column("pushed_us", sa.BigInteger, nullable=False),
        sa.Column("granted_at_ms", sa.BigInteger, nullable=False),
        sa.Column("spend_until_ms", sa.BigInteger, nullable=False),
        sa.Column("not_after_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_leases_end", "jotgate_leases", ["state", "not_after_ms"])
    open_ = sa.text("state = 'open'")
    op.create_index(
        "jotgate_leases_meter",
        "jotgate_leases",
        ["meter", "window_s"],
        sqlite_where=open_,
        postgresql_where=open_,
    )

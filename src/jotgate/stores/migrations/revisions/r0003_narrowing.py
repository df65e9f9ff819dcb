"""What refresh-token families come of, who acts by a token, what tokens are bound to, and policies.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and the table."""
    for name in ("actor", "tenant"):
        op.add_column("jotgate_issuances", sa.Column(name, _TEXT))
    _add_to_families()
    _add_bindings()
    _create_policies()


def _add_bindings() -> None:
    for name in ("tls_subject_dn", "tls_san_dns", "tls_san_uri", "binding"):
        op.add_column("jotgate_clients", sa.Column(name, _TEXT, nullable=False, server_default=""))
    op.add_column("jotgate_families", sa.Column("confirmation", sa.Text))


def _add_to_families() -> None:
    for name in ("ancestors", "origins", "actors"):
        op.add_column("jotgate_families", sa.Column(name, sa.Text, nullable=False, server_default="[]"))
    op.add_column("jotgate_families", sa.Column("may_act", sa.Text))
    op.add_column("jotgate_families", sa.Column("voucher", _TEXT, nullable=False, server_default=""))
    # All families until now were begun with a token of another issuer, whose name stands before a principal's own.
    families = sa.table("jotgate_families", sa.column("subject", sa.Text), sa.column("voucher", sa.Text))
    place = sa.func.instr if op.get_bind().dialect.name == "sqlite" else sa.func.strpos
    slash = place(families.c.subject, "/")
    op.execute(families.update().where(slash > 1).values(voucher=sa.func.substr(families.c.subject, 1, slash - 1)))


def _create_policies() -> None:
    counters = sa.table("jotgate_counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "policies", "value": 0}])
    op.create_table(
        "jotgate_policies",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
    )

"""The refresh tokens of upstreams, sealed.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, and the counter of its versions."""
    counters = sa.table("jotgate_counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "upstream_logins", "value": 0}])
    op.create_table(
        "jotgate_upstream_logins",
        sa.Column("upstream", _TEXT, primary_key=True),
        sa.Column("origin", _TEXT, nullable=False),
        sa.Column("client_id", _TEXT, nullable=False),
        sa.Column("token_url", _TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("begun_at_s", sa.BigInteger, nullable=False),
        sa.Column("obtained_at_s", sa.BigInteger, nullable=False),
        sa.Column("ends_at_s", sa.BigInteger),
        sa.Column("under_way_s", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
    )

"""Tokens that never expire: which ones were seen, and when for the first and the last time.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "jotgate_endless_tokens",
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("issuer", _TEXT, nullable=False),
        sa.Column("token_id", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("issued_at_s", sa.BigInteger),
        sa.Column("first_seen_at_s", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_endless_tokens_seen", "jotgate_endless_tokens", ["last_seen_at_s", "digest"])

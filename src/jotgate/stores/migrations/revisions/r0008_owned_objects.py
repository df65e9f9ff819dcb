"""What upstreams keep under the credential that callers share, and whose each of it is.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "jotgate_objects",
        sa.Column("owner", _TEXT, primary_key=True),
        sa.Column("place", _TEXT, primary_key=True),
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_s", sa.BigInteger, nullable=False),
        sa.Column("used_s", sa.BigInteger, nullable=False),
        sa.Column("expires_s", sa.BigInteger, nullable=False),
    )
    op.create_index("jotgate_objects_end", "jotgate_objects", ["expires_s"])

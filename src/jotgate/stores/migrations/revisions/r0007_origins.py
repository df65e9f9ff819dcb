"""What issued tokens come of beside the tokens before them: that of who acts by them, sessions, other issuers' holders.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column. Of tokens that were issued before it is unknown; they have ended soon."""
    op.add_column("jotgate_issuances", sa.Column("origins", sa.Text, nullable=False, server_default="[]"))

"""What is kept of logins: of whose surface a refresh-token family is, and what its tokens say of a person.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jotgate_families", sa.Column("login", sa.Text))

"""The tools of MCP servers; and what is kept for upstreams, for one of their callers too.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEPT = "upstream, origin, client_id, token_url, sealed, begun_at_s, obtained_at_s, ends_at_s, under_way_s, version"


def upgrade() -> None:
    """Add the table of tools and its counter, and put that of logins in the place of one without holders."""
    counters = sa.table("jotgate_counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": "mcp_tools", "value": 0}])
    op.create_table(
        "jotgate_mcp_tools",
        sa.Column("server", _TEXT, primary_key=True),
        sa.Column("tool", _TEXT, primary_key=True),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
        sa.Column("read_only", sa.Boolean, nullable=False),
        sa.Column("pinned_at_s", sa.BigInteger, nullable=False),
        sa.Column("pinned_by", _TEXT, nullable=False),
        sa.Column("seen", _TEXT, nullable=False),
        sa.Column("seen_definition", sa.LargeBinary, nullable=False),
        sa.Column("seen_read_only", sa.Boolean, nullable=False),
        sa.Column("seen_at_s", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jotgate_logins",
        sa.Column("upstream", _TEXT, primary_key=True),
        sa.Column("holder", _TEXT, primary_key=True),
        sa.Column("origin", _TEXT, nullable=False),
        sa.Column("client_id", _TEXT, nullable=False),
        sa.Column("token_url", _TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("begun_at_s", sa.BigInteger, nullable=False),
        sa.Column("obtained_at_s", sa.BigInteger, nullable=False),
        sa.Column("ends_at_s", sa.BigInteger),
        sa.Column("under_way_s", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("fault", _TEXT, nullable=False),
        sa.Column("faulted_at_s", sa.BigInteger),
    )
    op.execute(
        f"INSERT INTO jotgate_logins ({_KEPT}, holder, fault) SELECT {_KEPT}, '', '' FROM jotgate_upstream_logins"  # noqa: S608 - no part of it comes from outside
    )
    op.drop_table("jotgate_upstream_logins")

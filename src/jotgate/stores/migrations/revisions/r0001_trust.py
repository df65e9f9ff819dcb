"""Facts, signing keys, issuers, issued tokens and revocations.

A revision stands alone: it names no table of `stores.schema`, which goes on changing, and is not edited once released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "jotgate_facts",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
    )
    counters = op.create_table(
        "jotgate_counters",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": name, "value": 0} for name in ("keys", "issuers", "revocations")])
    op.create_table(
        "jotgate_keys",
        sa.Column("kid", _TEXT, primary_key=True),
        sa.Column("algorithm", _TEXT, nullable=False),
        sa.Column("public_jwk", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("signs_from_s", sa.BigInteger),
        sa.Column("activated_at_s", sa.BigInteger),
        sa.Column("retired_at_s", sa.BigInteger),
        sa.Column("verifies_until_s", sa.BigInteger),
        sa.Column("ended_at_s", sa.BigInteger),
    )
    op.create_table(
        "jotgate_issuers",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("updated_at_s", sa.BigInteger, nullable=False),
    )
    _create_issuances()
    _create_revocations()


def _create_issuances() -> None:
    op.create_table(
        "jotgate_issuances",
        sa.Column("token_id", _TEXT, primary_key=True),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("client_id", _TEXT, nullable=False),
        sa.Column("kid", _TEXT, nullable=False),
        sa.Column("issued_at_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
        sa.Column("parent", _TEXT),
        sa.Column("family", _TEXT),
    )
    op.create_index("jotgate_issuances_subject", "jotgate_issuances", ["subject", "expires_at_s"])
    op.create_index("jotgate_issuances_client", "jotgate_issuances", ["client_id", "expires_at_s"])
    op.create_index("jotgate_issuances_parent", "jotgate_issuances", ["parent"])
    op.create_index("jotgate_issuances_family", "jotgate_issuances", ["family"])
    op.create_index("jotgate_issuances_end", "jotgate_issuances", ["expires_at_s"])


def _create_revocations() -> None:
    op.create_table(
        "jotgate_revocations",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("handle", _TEXT, nullable=False),
        sa.Column("revoked_at_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger),
        sa.Column("before_s", sa.BigInteger),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
    )
    op.create_index("jotgate_revocations_handle", "jotgate_revocations", ["kind", "handle"])
    op.create_index("jotgate_revocations_end", "jotgate_revocations", ["expires_at_s"])

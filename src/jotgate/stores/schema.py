"""The tables of the store, as the newest revision leaves them; `stores.migrations` makes them.

Every name begins with `jotgate_`, so a database may hold other things too. Times are whole seconds since the epoch.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text, text

from jotgate.stores.packing import Packed

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""All revisions of the schema, oldest first. A start compares with these, so that it need not load Alembic."""

SCHEMA_REVISION: Final = REVISIONS[-1]

REVISION_TABLE: Final = "jotgate_schema"
REVISION_COLUMN: Final = "version_num"

METADATA: Final = MetaData()

# Compared byte by byte everywhere: a language's order of letters would page through tokens differently on each server.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")

FACTS: Final = Table(
    "jotgate_facts",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

COUNTERS: Final = Table(
    "jotgate_counters",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""How often each part has changed: a row for each member of `core.durable.Versions`, and for `UPSTREAM_LOGINS`."""

KEYS: Final = Table(
    "jotgate_keys",
    METADATA,
    Column("kid", TEXT, primary_key=True),
    Column("algorithm", TEXT, nullable=False),
    Column("public_jwk", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("state", TEXT, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("signs_from_s", BigInteger),
    Column("activated_at_s", BigInteger),
    Column("retired_at_s", BigInteger),
    Column("verifies_until_s", BigInteger),
    Column("ended_at_s", BigInteger),
)

ISSUERS: Final = Table(
    "jotgate_issuers",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
)

ISSUANCES: Final = Table(
    "jotgate_issuances",
    METADATA,
    Column("token_id", TEXT, primary_key=True),
    Column("subject", TEXT, nullable=False),
    Column("client_id", TEXT, nullable=False),
    Column("kid", TEXT, nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("parent", TEXT),
    Column("family", TEXT),
    Column("actor", TEXT),
    Column("tenant", TEXT),
    Column("limits", Packed, nullable=False),
    Column("origins", Packed, nullable=False),
    Index("jotgate_issuances_subject", "subject", "expires_at_s"),
    Index("jotgate_issuances_client", "client_id", "expires_at_s"),
    Index("jotgate_issuances_parent", "parent"),
    Index("jotgate_issuances_family", "family"),
    Index("jotgate_issuances_end", "expires_at_s"),
)

REVOCATIONS: Final = Table(
    "jotgate_revocations",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", TEXT, nullable=False),
    Column("handle", TEXT, nullable=False),
    Column("revoked_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger),
    Column("before_s", BigInteger),
    Column("reason", TEXT, nullable=False),
    Column("actor", TEXT, nullable=False),
    Index("jotgate_revocations_handle", "kind", "handle"),
    Index("jotgate_revocations_end", "expires_at_s"),
)

TENANTS: Final = Table(
    "jotgate_tenants",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("title", TEXT, nullable=False),
    Column("roles", Packed, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
)

PRINCIPALS: Final = Table(
    "jotgate_principals",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("title", TEXT, nullable=False),
    Column("tenant", TEXT, nullable=False),
    Column("roles", Packed, nullable=False),
    Column("scopes", Packed, nullable=False),
    Column("models", Packed),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
    Index("jotgate_principals_tenant", "tenant", "name"),
)

CLIENTS: Final = Table(
    "jotgate_clients",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("title", TEXT, nullable=False),
    Column("tenant", TEXT, nullable=False),
    Column("authentication", TEXT, nullable=False),
    Column("grants", Packed, nullable=False),
    Column("scopes", Packed, nullable=False),
    Column("roles", Packed, nullable=False),
    Column("models", Packed),
    Column("audiences", Packed, nullable=False),
    Column("jwks", LargeBinary, nullable=False),
    Column("secrets", Packed, nullable=False),
    Column("access_ttl_s", BigInteger, nullable=False),
    Column("tls_subject_dn", TEXT, nullable=False),
    Column("tls_san_dns", TEXT, nullable=False),
    Column("tls_san_uri", TEXT, nullable=False),
    Column("binding", TEXT, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
    Index("jotgate_clients_tenant", "tenant", "name"),
)

PERSONAL_TOKENS: Final = Table(
    "jotgate_personal_tokens",
    METADATA,
    Column("token_id", TEXT, primary_key=True),
    Column("owner", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("scopes", Packed, nullable=False),
    Column("models", Packed),
    Column("secrets", Packed, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("last_used_at_s", BigInteger, nullable=False),
    Column("last_used_from", TEXT, nullable=False),
    Column("limits", Packed, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
    Index("jotgate_personal_tokens_name", "owner", "name", unique=True),
    Index("jotgate_personal_tokens_owner", "owner", "token_id"),
    Index("jotgate_personal_tokens_end", "expires_at_s"),
)

PERSONAL_DIGESTS: Final = Table(
    "jotgate_personal_digests",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("token_id", TEXT, nullable=False),
    Index("jotgate_personal_digests_token", "token_id"),
)
"""Which personal token has a secret of this digest: what `secrets` of the token itself says, for looking up."""

ENDLESS_TOKENS: Final = Table(
    "jotgate_endless_tokens",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    Column("issuer", TEXT, nullable=False),
    Column("token_id", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("names", Packed, nullable=False),
    Column("issued_at_s", BigInteger),
    Column("first_seen_at_s", BigInteger, nullable=False),
    Column("last_seen_at_s", BigInteger, nullable=False),
    Index("jotgate_endless_tokens_seen", "last_seen_at_s", "digest"),
)

ACCOUNT_CHANGES: Final = Table(
    "jotgate_account_changes",
    METADATA,
    Column("kind", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index("jotgate_account_changes_version", "version", unique=True),
)
"""The last change of every account and personal token, of those too that are gone."""

FAMILIES: Final = Table(
    "jotgate_families",
    METADATA,
    Column("family_id", TEXT, primary_key=True),
    Column("client_id", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("tenant", TEXT, nullable=False),
    Column("scopes", Packed, nullable=False),
    Column("models", Packed),
    Column("audiences", Packed, nullable=False),
    Column("idle_s", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("ends_at_s", BigInteger, nullable=False),
    Column("ended_at_s", BigInteger),
    Column("version", BigInteger, nullable=False),
    # When the last of its tokens ends: the family is forgotten then.
    Column("last_ends_at_s", BigInteger, nullable=False),
    Column("ancestors", Packed, nullable=False),
    Column("origins", Packed, nullable=False),
    Column("actors", Packed, nullable=False),
    Column("may_act", Packed),
    Column("voucher", TEXT, nullable=False),
    Column("confirmation", Packed),
    Column("limits", Packed, nullable=False),
    Column("roles", Packed, nullable=False),
    Column("login", Packed),
    Index("jotgate_families_client", "client_id", "family_id"),
    Index("jotgate_families_subject", "subject", "family_id"),
    Index("jotgate_families_end", "last_ends_at_s"),
)

_SEALED: Final = text("successor IS NOT NULL")

REFRESH_TOKENS: Final = Table(
    "jotgate_refresh_tokens",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("family_id", TEXT, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("used_at_s", BigInteger),
    Column("successor", LargeBinary),
    Index("jotgate_refresh_tokens_family", "family_id", "generation"),
    Index("jotgate_refresh_tokens_sealed", "used_at_s", sqlite_where=_SEALED, postgresql_where=_SEALED),
)

MARKS: Final = Table(
    "jotgate_marks",
    METADATA,
    Column("kind", TEXT, primary_key=True),
    Column("handle", TEXT, primary_key=True),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("jotgate_marks_end", "expires_at_s"),
)

OBJECTS: Final = Table(
    "jotgate_objects",
    METADATA,
    Column("owner", TEXT, primary_key=True),
    Column("place", TEXT, primary_key=True),
    Column("kind", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("used_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Index("jotgate_objects_end", "expires_s"),
)

UPSTREAM_LOGINS: Final = Table(
    "jotgate_logins",
    METADATA,
    Column("upstream", TEXT, primary_key=True),
    Column("holder", TEXT, primary_key=True),
    Column("origin", TEXT, nullable=False),
    Column("client_id", TEXT, nullable=False),
    Column("token_url", TEXT, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("begun_at_s", BigInteger, nullable=False),
    Column("obtained_at_s", BigInteger, nullable=False),
    Column("ends_at_s", BigInteger),
    Column("under_way_s", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("fault", TEXT, nullable=False),
    Column("faulted_at_s", BigInteger),
)

MCP_TOOLS: Final = Table(
    "jotgate_mcp_tools",
    METADATA,
    Column("server", TEXT, primary_key=True),
    Column("tool", TEXT, primary_key=True),
    Column("digest", TEXT, nullable=False),
    Column("definition", LargeBinary, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("pinned_at_s", BigInteger, nullable=False),
    Column("pinned_by", TEXT, nullable=False),
    Column("seen", TEXT, nullable=False),
    Column("seen_definition", LargeBinary, nullable=False),
    Column("seen_read_only", Boolean, nullable=False),
    Column("seen_at_s", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""What was approved of the tools of MCP servers, and what has come instead."""

POLICIES: Final = Table(
    "jotgate_policies",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("place", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
)
"""The policies of the store; `place` is where each stands among them."""

LIMITS: Final = Table(
    "jotgate_limits",
    METADATA,
    Column("level", TEXT, primary_key=True),
    Column("holder", TEXT, primary_key=True),
    Column("title", TEXT, nullable=False),
    Column("limits", Packed, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("updated_at_s", BigInteger, nullable=False),
)

LEDGER: Final = Table(
    "jotgate_ledger",
    METADATA,
    Column("meter", TEXT, primary_key=True),
    Column("window_s", BigInteger, primary_key=True, autoincrement=False),
    Column("ends_at_s", BigInteger),
    Column("unit", TEXT, nullable=False),
    Column("posted", BigInteger, nullable=False),
    Column("leased", BigInteger, nullable=False),
    Column("debt", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("arrival_us", BigInteger, nullable=False),
    Column("keep_until_s", BigInteger),
    Column("label", Packed, nullable=False),
    Index("jotgate_ledger_end", "keep_until_s"),
)
"""What is counted; `label` says to people what a meter is."""

_OPEN: Final = text("state = 'open'")

LEASES: Final = Table(
    "jotgate_leases",
    METADATA,
    Column("lease_id", TEXT, primary_key=True),
    Column("meter", TEXT, nullable=False),
    Column("window_s", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("follows_lost", Boolean, nullable=False),
    Column("pushed_us", BigInteger, nullable=False),
    Column("granted_at_ms", BigInteger, nullable=False),
    Column("spend_until_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Index("jotgate_leases_meter", "meter", "window_s", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("jotgate_leases_end", "state", "not_after_ms"),
)

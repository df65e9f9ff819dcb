"""What each revision's fixture holds, and `python -m tests.conformance.sample`, which writes those of the newest.

A fixture is a database as that revision left it, as SQL: `revisions/REVISION.sqlite.sql` and `…postgresql.sql`. It is
written once, when the revision comes, and never again: it stands for the databases that are out there.
"""

import sqlite3
import tempfile
from pathlib import Path
from typing import Final

import psycopg
from msgspec import structs

from jotgate.core.accounts import (
    AnyAccount,
    ClientRecord,
    PersonalToken,
    PrincipalRecord,
    Role,
    SecretDigest,
    TenantRecord,
)
from jotgate.core.durable import (
    Issuance,
    IssuerRecord,
    KeyRecord,
    KeyState,
    Mark,
    Revocation,
    RevocationKind,
)
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.kong_credentials import CredentialState, KongCredential
from jotgate.core.ledger import LeaseAsk
from jotgate.core.limit_records import LimitRecord
from jotgate.core.logins import Login
from jotgate.core.mcp_pins import ToolPin
from jotgate.core.meters import meter_of
from jotgate.core.owned_objects import OwnedObject
from jotgate.core.policy_values import PolicyRecord
from jotgate.core.quotas import Limit, Meter, Quota, TokenLimit
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.stores.schema import SCHEMA_REVISION
from tests.databases import pg_dump, postgres

FOLDER: Final = Path(__file__).with_name("revisions")

KEYS: Final = (
    KeyRecord("old", "RS256", b'{"kty":"RSA"}', None, KeyState.GONE, 1, 2, 3, 4, 5, 6),
    KeyRecord("new", "ES256", b'{"kty":"EC"}', b"\x00\xffsealed", KeyState.ACTIVE, 7, activated_at_s=8),
)
ISSUER: Final = IssuerRecord("google", b'{"discovery":"https://accounts.example"}', True, 0, 9, 10)
ISSUANCES: Final = (
    Issuance("token", "ann", "cli", "new", 11, 4_000_000_000),
    Issuance("child", "bob's \u2603", "cli", "new", 12, 4_000_000_000, parent="token", family="f"),
)
REVOCATIONS: Final = (
    Revocation(RevocationKind.TOKEN, "token", 13, 4_000_000_000, reason="lost", actor="ann"),
    Revocation(RevocationKind.SUBJECT, "bob", 14, None, before_s=14),
)
ACCOUNTS: Final[tuple[AnyAccount, ...]] = (
    TenantRecord(
        name="acme",
        title="Acme \u2603",
        roles=(Role("dev", ("ai",), ("gpt-*",)), Role("all", ("ai", "models"))),
        enabled=False,
        created_at_s=15,
        updated_at_s=16,
    ),
    PrincipalRecord(
        name="ann",
        title="Ann's",
        tenant="acme",
        roles=("dev",),
        scopes=("ai", "models"),
        models=(),
        enabled=False,
        created_at_s=17,
        updated_at_s=18,
    ),
    ClientRecord(
        name="cli",
        title="The \u2603",
        tenant="acme",
        authentication="private_key_jwt",
        grants=("client_credentials", "jwt_bearer"),
        scopes=("ai",),
        roles=("dev", "all"),
        models=("gpt-5", "\u2603"),
        audiences=("https://one.example", "https://two.example"),
        jwks=b'{"keys":[]}\x00\xff',
        secrets=(SecretDigest(b"\x00\xff" * 16, 19, 4_000_000_000), SecretDigest(b"\x01" * 32, 20)),
        access_ttl_s=60,
        enabled=False,
        created_at_s=21,
        updated_at_s=22,
    ),
)
PERSONAL_TOKEN: Final = PersonalToken(
    token_id="pt",
    owner="ann",
    name="laptop",
    scopes=("ai",),
    models=("gpt-5",),
    secrets=(SecretDigest(b"\x02" * 32, 23, 24), SecretDigest(b"\x03\xfe" * 16, 25)),
    expires_at_s=4_000_000_000,
    last_used_at_s=26,
    last_used_from="192.0.2.1",
    created_at_s=27,
    updated_at_s=28,
)
FAMILY: Final = Family(
    family_id="f",
    client_id="cli",
    subject="ann",
    tenant="acme",
    scopes=("ai",),
    models=("gpt-5",),
    audiences=("https://one.example",),
    idle_s=29,
    created_at_s=30,
    ends_at_s=4_000_000_000,
)
LOGGED_IN: Final = structs.replace(
    FAMILY,
    family_id="logged-in",
    roles=("user", "api_access"),
    login=Login(face="api-gateway", name="Ann \u2603", email="ann@example.com"),
)
USED: Final = RefreshRecord(
    digest=b"\x04\xfd" * 16,
    family_id="f",
    generation=0,
    issued_at_s=31,
    expires_at_s=32,
    used_at_s=33,
    successor=b"\x00sealed\xff",
)
SUCCESSOR: Final = RefreshRecord(
    digest=b"\x05" * 32, family_id="f", generation=1, issued_at_s=33, expires_at_s=4_000_000_000
)
LOGGED_IN_TOKEN: Final = RefreshRecord(
    digest=b"\x06" * 32, family_id="logged-in", generation=0, issued_at_s=30, expires_at_s=4_000_000_000
)
MARK: Final = Mark("jti", "https://ci.example assertion", 4_000_000_000, b"\x00\xff")


POLICIES: Final = (
    PolicyRecord("second", b'{"name":"second","effect":"allow"}', created_at_s=37),
    PolicyRecord("first", b"\x00\xff", created_at_s=38),
)


LIMITED: Final = LimitRecord(
    level="principal",
    holder="https://gateway.example ann",
    title="Ann \u2603",
    limits=(Limit("requests", 1_000, "day", "Europe/Berlin"), Limit("total_tokens", 60, "rate", period_s=60, burst=10)),
    created_at_s=39,
    updated_at_s=40,
)
METER: Final[Meter] = meter_of(Quota("ann", Limit("requests", 10)), ("https://gateway.example ann",))
LEASED: Final = LeaseAsk("lease", METER, want=4, least=1)
ORIGINATED: Final = Issuance(
    "narrowed",
    "ann",
    "cli",
    "new",
    42,
    4_000_000_000,
    parent="token",
    actor="agent",
    origins=("issued 12", "token https://i.example acting", "subject https://i.example agent\u2603"),
)
LIMITED_ISSUANCE: Final = Issuance(
    "limited", "ann", "cli", "new", 41, 4_000_000_000, limits=(TokenLimit(Limit("cost", 5), "https://i.example t"),)
)
ENDLESS: Final = EndlessToken(
    digest="5f" * 32,
    issuer="chain",
    token_id="ab" * 32,
    subject="Ann's \u2603",
    names=(f"token chain {'ab' * 32}", "key chain secret-0"),
    issued_at_s=42,
    first_seen_at_s=4_000_000_000,
    last_seen_at_s=4_000_000_060,
)
OBJECT: Final = OwnedObject(
    kind="coze.conversation",
    place="coze",
    owner="kq0" * 14 + "A",
    name="Ann's \u2603",
    data=b'{"id":"7"}\x00\xff',
    version=0,
    created_s=43,
    used_s=44,
    expires_s=4_000_000_000,
)
UPSTREAM_LOGIN: Final = UpstreamLogin(
    upstream="coze",
    origin="login",
    client_id="client \u2603",
    token_url="https://api.coze.example/token",
    sealed=b"\x00sealed\xff",
    begun_at_s=45,
    obtained_at_s=46,
    ends_at_s=4_000_000_000,
    under_way_s=47,
)
USER_LOGIN: Final = structs.replace(
    UPSTREAM_LOGIN, upstream="mcp:files", holder="corp/Ann's \u2603", fault="it was withdrawn", faulted_at_s=52
)
TOOL_PIN: Final = ToolPin(
    server="files",
    tool="write",
    digest="5f" * 32,
    definition=b'{"name":"write"}\x00\xff',
    read_only=False,
    pinned_at_s=50,
    pinned_by="Ann's \u2603",
    seen="6f" * 32,
    seen_definition=b"{}",
    seen_read_only=True,
    seen_at_s=51,
)
KONG_CREDENTIAL: Final = KongCredential(
    credential_id="6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d",
    key="k \u2603",
    consumer="john_doe",
    consumer_id="0c0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d",
    subject="sub-1",
    token_name="my_token",
    algorithm="HS256",
    public_key_pem=None,
    sealed=b"\x00sealed\xff",
    created_at_s=48,
    expires_at_s=4_000_000_000,
    state=CredentialState.WANTED,
    changed_at_s=49,
    description="for the notebook",
)


def fill(store: Store) -> None:
    """Keep one of everything."""
    store.fix_fact("issuer", "https://gateway.example")
    store.put_keys(0, KEYS)
    store.put_issuer(ISSUER)
    store.add_issuances(ISSUANCES)
    store.revoke(REVOCATIONS)
    fill_tokens(store)
    store.put_policies(0, POLICIES)
    fill_quotas(store)
    store.see_endless_tokens([ENDLESS])
    fill_logins(store)
    store.add_issuances([ORIGINATED])
    store.put_owned_object(OBJECT, 10)
    store.put_upstream_login(UPSTREAM_LOGIN)
    store.take_credential(KONG_CREDENTIAL, 1)
    fill_mcp(store)


def fill_mcp(store: Store) -> None:
    """Keep one of everything that came with revision 0011."""
    store.put_tool_pins(0, [TOOL_PIN])
    store.put_upstream_login(USER_LOGIN)


def fill_logins(store: Store) -> None:
    """Keep one of everything that came with revision 0006."""
    store.add_family(LOGGED_IN, LOGGED_IN_TOKEN)


def fill_quotas(store: Store) -> None:
    """Keep one of everything that came with revision 0004."""
    store.put_limits(LIMITED)
    store.turn([LEASED])
    store.add_issuances([LIMITED_ISSUANCE])


def fill_tokens(store: Store) -> None:
    """Keep one of everything that the token service knows, which came with revision 0002."""
    for account in ACCOUNTS:
        store.put_account(account)
    store.put_personal_token(PERSONAL_TOKEN)
    store.add_family(FAMILY, structs.replace(USED, used_at_s=None, successor=None))
    store.rotate_family(FAMILY, USED, SUCCESSOR)
    store.mark(MARK, 0)


def load(address: StoreAddress, revision: str) -> None:
    """Make the database that a fixture describes."""
    if address.file is None:
        script = (FOLDER / f"{revision}.postgresql.sql").read_text("utf-8")
        with psycopg.connect(address.url) as server:
            server.execute(script.encode())
        return
    address.file.parent.mkdir(0o700)
    address.file.touch(0o600)
    connection = sqlite3.connect(address.file)
    connection.executescript((FOLDER / f"{revision}.sqlite.sql").read_text("utf-8"))
    connection.close()


def write() -> None:
    """Write the fixtures of the newest revision, unless they are there."""
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        file, url = Path(folder) / "store.db", server.make_database().url
        for address in (StoreAddress(file=file), StoreAddress(url=url)):
            store = open_store(address, lambda: 4_000_000_000.0)
            fill(store)
            store.close()
        dump = "\n".join(sqlite3.connect(file).iterdump()) + "\n"
        with (FOLDER / f"{SCHEMA_REVISION}.sqlite.sql").open("x", encoding="utf-8") as script:
            script.write(dump)
        with (FOLDER / f"{SCHEMA_REVISION}.postgresql.sql").open("x", encoding="utf-8") as script:
            script.write(pg_dump(url))


if __name__ == "__main__":
    write()

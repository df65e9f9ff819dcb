"""Plain records to keep, of which tests change what they are about."""

from typing import Final

from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PersonalToken, PrincipalRecord, SecretDigest, TenantRecord
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.store_ports import Store

SEALED: Final = b"\x00sealed\xff"


def tenant(name: str = "acme", version: int = 0) -> TenantRecord:
    """A tenant without roles."""
    return TenantRecord(name=name, version=version)


def principal(name: str = "ann", version: int = 0, tenant: str = "default", title: str = "") -> PrincipalRecord:
    """A principal without rights."""
    return PrincipalRecord(name=name, version=version, tenant=tenant, title=title)


def client(name: str = "cli", version: int = 0, tenant: str = "default", title: str = "") -> ClientRecord:
    """A client without grants."""
    return ClientRecord(name=name, version=version, tenant=tenant, title=title)


def digest(name: str) -> bytes:
    """Thirty-two bytes that are no text."""
    return b"\xff\x00" + name.encode().rjust(30, b"\x00")


def personal_token(
    token_id: str = "a", version: int = 0, name: str = "", owner: str = "ann", expires_at_s: int = 100
) -> PersonalToken:
    """A token with one secret, whose digest is that of its identifier."""
    return PersonalToken(
        token_id=token_id,
        owner=owner,
        name=name or token_id,
        secrets=(SecretDigest(digest(token_id), 1),),
        expires_at_s=expires_at_s,
        version=version,
    )


def family(family_id: str = "f", client_id: str = "cli", subject: str = "ann", version: int = 0) -> Family:
    """A family that lives to 1,000."""
    return Family(
        family_id=family_id,
        client_id=client_id,
        subject=subject,
        idle_s=50,
        created_at_s=1,
        ends_at_s=1_000,
        version=version,
        roles=("dev",),
    )


def fresh(name: str = "f0", family_id: str = "f", generation: int = 0, expires_at_s: int = 100) -> RefreshRecord:
    """A token that was not used."""
    return RefreshRecord(
        digest=digest(name), family_id=family_id, generation=generation, issued_at_s=1, expires_at_s=expires_at_s
    )


def used(name: str = "f0", generation: int = 0) -> RefreshRecord:
    """The same token, used at 10, with its sealed successor."""
    return replace(fresh(name, generation=generation), used_at_s=10, successor=SEALED)


def begin(
    store: Store, family_id: str = "f", client_id: str = "cli", subject: str = "ann", ends_at_s: int = 100
) -> None:
    """Keep a family with its first token, which is named like it with a 0 behind."""
    store.add_family(family(family_id, client_id, subject), fresh(f"{family_id}0", family_id, expires_at_s=ends_at_s))


def revocation(handle: str = "f", kind: RevocationKind = RevocationKind.FAMILY) -> Revocation:
    """A revocation that ends at 100."""
    return Revocation(kind, handle, 1, 100)

"""What a refresh-token family yields at this moment: the one answer for whoever refreshes, and for whoever asks."""

from typing import Final

from msgspec import Struct

from jotgate.core.call_details import CallDetails, bound_by
from jotgate.core.families import Family
from jotgate.core.resources import Target, grant_target
from jotgate.core.rights import Rights
from jotgate.errors import GrantRefused, TargetRefused
from jotgate.services.accounts import KnownClient, KnownSubject, find_subject
from jotgate.store_ports import AccountRecords


class Yield(Struct, frozen=True):
    """What the next access token may be: its resources and scopes, and the models and roles that bound it."""

    target: Target
    rights: Rights

    @property
    def models(self) -> tuple[str, ...] | None:
        """The models by alias, sorted; None: every one."""
        return None if self.rights.models is None else tuple(sorted(self.rights.models))


class Wish(Struct, frozen=True):
    """What is asked for. Without `resources` it is all of the family's, without `scope` all that makes sense there."""

    resources: tuple[str, ...] = ()
    scope: str = ""
    details: CallDetails | None = None


ALL: Final = Wish()


def find_family_subject(records: AccountRecords, family: Family, client: KnownClient) -> KnownSubject:
    """Whom a family speaks for, in the tenant of then, which is the client's too.

    Raises:
        GrantRefused: there is nobody of this name, they or their tenant are disabled, or are of another tenant now.
        StoreUnavailable: it cannot be known.
    """
    found = find_subject(records, family.subject)
    if not found.record.tenant == client.record.tenant == family.tenant:
        raise GrantRefused("whom this speaks for, or the client, is of another tenant now")
    return found


def find_yield(
    family: Family,
    client: KnownClient,
    subject: KnownSubject,
    issuer: str,
    wish: Wish = ALL,
) -> Yield:
    """What is granted of that for which is asked; what the family was given stays as it is. `issuer` is our name.

    Raises:
        TargetRefused, ScopeRefused, AuthorizationDetailsRefused: it is not granted, or nothing is left.
    """
    roles = tuple(role for role in subject.rights.roles if role in family.roles)
    given = Rights(frozenset(family.scopes), None if family.models is None else frozenset(family.models), roles)
    scope, rights = bound_by(wish.details, wish.scope, given.within(subject.rights).within(client.rights))
    permitted = client.record.audiences or (issuer,)
    allowed = tuple(audience for audience in family.audiences if audience in permitted)
    if not allowed:
        raise TargetRefused("no resource that this was granted for is this client's any more")
    target = grant_target(wish.resources or allowed, scope, allowed=allowed, scopes=rights.scopes, issuer=issuer)
    return Yield(target, rights)

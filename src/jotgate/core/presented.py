"""A verified token or assertion that a client presents for a token of ours, and the most that the new one may say."""

from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.grants import OFFLINE_ACCESS
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.principals import Principal, find
from jotgate.core.revocations import ancestor_name
from jotgate.core.rights import Rights
from jotgate.errors import ClaimRefused
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE, Claims

_BOUNDING: Final = "authorization_details"
"""A claim that bounds a token in a way of which the new one would not speak: it would be worth more."""


class Presented(Struct, frozen=True, kw_only=True):
    """What a presented token says, as its issuer vouches for it.

    `issuer_name` is jotgate's word for its issuer, `OURS` for our own tokens. `subject` is the name that its principal
    has here: of another issuer, `ISSUER/SUB`. `scopes` are those that it is bounded by; None: it is no access token
    and says nothing of scopes, so that it proves who somebody is and no more. `ancestor` is how a token that is
    narrowed from it names it. `voucher` is the other issuer, by jotgate's word for it, on whose word it rests whom the
    token speaks for; empty: none.
    """

    principal: Principal
    issuer_name: str
    subject: str
    scopes: frozenset[str] | None
    ancestor: str
    voucher: str = ""

    @property
    def own(self) -> bool:
        """Whether we issued it."""
        return self.issuer_name == OURS

    @property
    def lineage(self) -> tuple[str, ...]:
        """The `ancestors` of a token that is narrowed from it."""
        return (*self.principal.ancestors, self.ancestor)

    @property
    def ends_at_s(self) -> int | None:
        """Its `exp` as a whole second (NumericDate); None when it has none."""
        return None if self.principal.expires_at_s == inf else int(self.principal.expires_at_s)

    def as_access_token(self) -> "Presented":
        """The same for somebody who says that it is an access token: one without scopes allows nothing."""
        return replace(self, scopes=self.principal.scopes)


def present_own(principal: Principal, own_issuer: str) -> Presented:
    """What a token of ours says that is all said by whom it speaks for: a personal one."""
    return Presented(
        principal=principal,
        issuer_name=OURS,
        subject=principal.subject,
        scopes=principal.scopes,
        ancestor=ancestor_name(own_issuer, principal),
    )


def read_presented(principal: Principal, claims: Claims, issuer: Issuer, own_issuer: str) -> Presented:
    """What a verified token says. `principal` and `claims` are of that token, `issuer` has vouched for it.

    Raises:
        ClaimRefused: it is bounded in a way that would be lost.
    """
    if _BOUNDING in claims.raw:
        what = f"the token is bounded by its claim '{_BOUNDING}', and one that is issued for it would not be"
        raise ClaimRefused(_BOUNDING, "invalid", what)
    return Presented(
        principal=principal,
        issuer_name=issuer.name,
        subject=principal.subject if issuer.name == OURS else f"{issuer.name}/{principal.subject}",
        scopes=_bounding_scopes(principal, claims, issuer),
        ancestor=ancestor_name(own_issuer, principal),
        voucher="" if issuer.name == OURS else issuer.name,
    )


def ceiling(presented: Presented, client: Rights, record: Rights | None) -> Rights:
    """The most that a token may say which this client gets for a presented one: what all of them allow.

    `record` is what the principal's record allows; None: it has none. The roles are those of the record, and for a
    token of ours those of them that it has.
    """
    most = client if record is None else record.within(client)
    scopes = most.scopes if presented.scopes is None else presented.scopes
    most = most.within(Rights(scopes, presented.principal.models))
    roles = () if record is None else record.roles
    if presented.own:
        roles = tuple(role for role in roles if role in presented.principal.roles)
    return Rights(most.scopes, most.models, roles)


def resources_within(presented: Presented, audiences: tuple[str, ...], own_issuer: str) -> tuple[str, ...]:
    """The resources that a client may name for a presented token, of those that are its own; none of its own: ours.

    They are those that the token is for. One of another issuer is for this gateway, however its issuer calls that.
    """
    meant = presented.principal.audiences | (frozenset() if presented.own else {own_issuer})
    return tuple(one for one in audiences or (own_issuer,) if one in meant)


def split_offline(scope: str) -> tuple[str, bool]:
    """The scopes that are asked for without `offline_access`, and whether that was among them."""
    names = scope.split(" ")
    return " ".join(name for name in names if name != OFFLINE_ACCESS), OFFLINE_ACCESS in names


def _bounding_scopes(principal: Principal, claims: Claims, issuer: Issuer) -> frozenset[str] | None:
    """An access token that names no scopes has none; another JWT that names none speaks of other things."""
    if principal.scopes or principal.token_type == ACCESS_TOKEN_TYPE:
        return principal.scopes
    return None if find(claims.raw, issuer.mapping.scopes) is None else principal.scopes

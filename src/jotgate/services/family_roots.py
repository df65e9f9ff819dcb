"""Says whether that counts yet which a refresh-token family comes of: the tokens before it, who acts, who vouched."""

from collections.abc import Callable

from jotgate.core.families import Family
from jotgate.core.revocations import Dated, ancestor_names, holder_names, inherited_names
from jotgate.services.federation import Federation
from jotgate.services.revocation import RevokedSet


class FamilyRoots:
    """Asked at each refresh. Immutable; `federation` are the issuers that are trusted at that moment.

    A family that was begun with a token of ours ends with that token, so that a revocation of it, of those before it or
    of whose they are is remembered for as long as there is something that it could meet.
    """

    def __init__(self, revoked: RevokedSet, federation: Callable[[], Federation], own_issuer: str) -> None:
        self._revoked = revoked
        self._federation = federation
        self._own_issuer = own_issuer

    def fault(self, family: Family) -> str:
        """Why a family yields nothing any more, as a clause; empty when there is no reason.

        A watermark meets a family that was begun until then, or that comes of a token that was issued until then.
        """
        if family.voucher and all(one.content.name != family.voucher for one in self._federation().issuers):
            return "the issuer on whose word it was given is not trusted any more"
        own = holder_names(self._own_issuer, family.client_id, family.subject, family.tenant)
        came_of = Dated(ancestor_names(self._own_issuer, family.ancestors), None)
        dated = (Dated(own, family.created_at_s), came_of, *inherited_names(family.origins))
        leeway_s = self._federation().issuers[0].content.leeway_s
        if self._revoked.counts(dated, leeway_s):
            return ""
        return "what it was got for was revoked, or whose it is, or whoever acts by it"

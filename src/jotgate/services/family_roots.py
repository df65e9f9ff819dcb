"""Says whether that counts yet which a refresh-token family comes of: the tokens before it, who acts, who vouched."""

from collections.abc import Callable

from jotgate.core.families import Family
from jotgate.core.revocations import begun_names
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
        dated = begun_names(self._own_issuer, family)
        if self._revoked.counts(dated, self._federation().issuers[0].reach_s):
            return ""
        return "what it was got for was revoked, or whose it is, or whoever acts by it"

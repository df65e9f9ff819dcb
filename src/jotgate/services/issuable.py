"""Says whether a token that is about to be issued would be taken: what a revocation meets already is not handed out.

Nor is what a limit makes useless whose clock nobody here knows.
"""

from collections.abc import Callable, Sequence
from math import ceil

from jotgate.core.claims import AccessGrant
from jotgate.core.limit_texts import check_zones
from jotgate.core.quotas import UTC
from jotgate.core.revocations import Dated, granted_names, key_name, reach_s
from jotgate.core.token_limits import TOKEN_LIMITS_MAX
from jotgate.errors import AuthorizationDetailsRefused, CommandError, IssuanceHeld
from jotgate.services.revocation import RevokedSet


class Issuable:
    """Asked before a token is made. Immutable; `leeway_s` is that of our own tokens at that moment, in seconds.

    `knows_zone` is that of the store (`store_ports.LedgerRecords`).

    A watermark meets what was issued until then, and for as long behind it as clocks may differ by. A token that is
    issued meanwhile would be refused for all its life: so it waits. Where nothing is revoked this is one comparison.
    """

    def __init__(
        self, revoked: RevokedSet, leeway_s: Callable[[], float], knows_zone: Callable[[str], bool] = UTC.__eq__
    ) -> None:
        self._revoked = revoked
        self._leeway_s = leeway_s
        self._knows_zone = knows_zone

    def check(self, grant: AccessGrant, issuer: str, now_s: float) -> None:
        """Refuse what would be met by whose it is, or what it comes of.

        Raises:
            AuthorizationDetailsRefused: it would bring too many limits, or one of its own goes by a clock that is not
                known here.
            IssuanceHeld: it would be met.
        """
        if grant.limits:
            self._check_limits(grant)
        if self._revoked:
            self._check(granted_names(issuer, grant, now_s), now_s, reach_s(self._leeway_s()))

    def check_key(self, issuer: str, kid: str, now_s: float) -> None:
        """Refuse what would be met by the key that signs it. Raises IssuanceHeld."""
        if self._revoked:
            self._check([Dated((key_name(issuer, kid),), int(now_s))], now_s, reach_s(self._leeway_s()))

    def _check_limits(self, grant: AccessGrant) -> None:
        """Look at how many there are, and at its own; those of what it came of were found good when that was made."""
        if len(grant.limits) > TOKEN_LIMITS_MAX:
            raise AuthorizationDetailsRefused(
                f"the token would bring more than {TOKEN_LIMITS_MAX} limits", hint="Ask for fewer of them"
            )
        try:
            check_zones((one.limit for one in grant.limits if not one.of), self._knows_zone)
        except CommandError as error:
            raise AuthorizationDetailsRefused(error.message, hint=error.hint) from None

    def _check(self, dated: Sequence[Dated], now_s: float, leeway_s: float) -> None:
        met = [
            name
            for one in dated
            if not self._revoked.spares(one.names)
            for name in one.names
            if self._revoked.find((name,), one.issued_at_s, leeway_s) is not None
        ]
        if met:
            raise held_back(max(self._free_s(name, leeway_s) for name in met) - now_s)

    def _free_s(self, name: str, leeway_s: float) -> float:
        """From when on a name is met no longer, as far as that is known: of what counts no longer at all it is not."""
        entry = self._revoked.entry(name)
        return 0.0 if entry is None or entry.before_s is None else entry.before_s + int(leeway_s) + 1.0


def held_back(patience_s: float) -> IssuanceHeld:
    """The refusal of what would count if it were issued in so many seconds."""
    held = IssuanceHeld("whose token this would be, or what it comes of, was revoked just now, and so it would be too")
    held.retry_after_s = max(1, ceil(patience_s))
    held.hint = f"Ask again in {held.retry_after_s} s: what is issued then counts"
    return held

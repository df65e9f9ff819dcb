"""Tokens that never expire: notes which ones a process takes, and keeps in the store when each was seen.

A token is noted when it is verified, and after that at most once a minute, when its time in the cache of the verifier
comes due: a call with a token that is in the cache costs what it costs with any other token.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final

from jotgate.core.endless_tokens import (
    EndlessListing,
    EndlessPage,
    EndlessToken,
    EndlessView,
    sight_of,
)
from jotgate.core.revocations import Dated
from jotgate.ports import StoreAccess
from jotgate.services.federation import Trusted
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import PAGE, RevokedSet
from jotgate.store_ports import EndlessRecords, Store

SIGHT_S: Final = 60.0
"""How often a token that is used all the time is noted anew."""
SIGHTS_MAX: Final = 4_096
"""So many tokens wait to be told at once; a further one is noted when it is used again a minute later."""
TOLD_AT_ONCE: Final = 500

_SEEN: Final = "token.endless_seen"
_ACTOR: Final = "jotgate"


class EndlessSights:
    """Tokens without an end that were taken, and of which nobody was told yet. Mutable: those."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[Trusted, float]] = {}

    def see(self, found: Trusted, digest: bytes, now_s: float) -> None:
        """Note one, by the digest of the whole token; it comes due again in a minute."""
        found.due_s = now_s + SIGHT_S
        if len(self._seen) < SIGHTS_MAX or digest in self._seen:
            self._seen[digest] = (found, now_s)

    def tell(self, told: Callable[[Sequence[EndlessToken]], bool]) -> bool:
        """Tell of the first of them, and forget those if `told` says that it took them; whether it did."""
        some = list(islice(self._seen.items(), TOLD_AT_ONCE))
        if not some or not told([sight_of(found.principal, found.names, now_s) for _, (found, now_s) in some]):
            return False
        for digest, _ in some:
            del self._seen[digest]
        return True


async def keep_seen(access: StoreAccess, recorder: Recorder, tokens: Sequence[EndlessToken]) -> list[EndlessToken]:
    """Keep in the store when these were seen; returns those of which it had not known, which are on record then.

    They are recorded first: one that could not be recorded stays new. Should this end between the two, the token is
    recorded once more at its next sight, and never left out.

    Raises:
        StoreUnavailable, AuditUnavailable: some were recorded, perhaps, and none kept.
    """
    known = await access.run(partial(_find_known, [one.digest for one in tokens]))
    new = [one for one in tokens if one.digest not in known]
    for one in new:
        details = {"issuer": one.issuer, "jti": one.token_id, "digest": one.digest}
        recorder.record(_SEEN, actor=_ACTOR, subject=one.subject, details=details)
    await access.run(partial(_see, tokens))
    return new


def find_endless(store: EndlessRecords, revoked: RevokedSet, wanted: EndlessListing) -> EndlessPage:
    """A page of those that were seen. Raises StoreUnavailable."""
    rows = store.endless_tokens(wanted.subject, wanted.after, PAGE)
    views = [view_endless(row, revoked) for row in rows]
    return EndlessPage(
        [one for one in views if not (wanted.live and one.revoked)], rows[-1].digest if len(rows) == PAGE else ""
    )


def view_endless(row: EndlessToken, revoked: RevokedSet) -> EndlessView:
    """One of them as it stands. Its issuer's leeway is not known here: a watermark holds to the second."""
    return EndlessView(
        token_id=row.token_id,
        digest=row.digest,
        issuer=row.issuer,
        subject=row.subject,
        issued_at_s=row.issued_at_s,
        first_seen_at_s=row.first_seen_at_s,
        last_seen_at_s=row.last_seen_at_s,
        revoked=not revoked.counts([Dated(row.names, row.issued_at_s)]),
    )


def _find_known(digests: Sequence[str], store: Store) -> frozenset[str]:
    return store.known_endless_tokens(digests)


def _see(tokens: Sequence[EndlessToken], store: Store) -> None:
    store.see_endless_tokens(tokens)

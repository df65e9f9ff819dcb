"""Tokens that never expire, while control runs: keeps which ones workers and control have taken, and warns of each."""

import asyncio
from collections.abc import Sequence
from typing import Final

from jotgate.core.endless_tokens import EndlessToken
from jotgate.errors import AuditUnavailable, StoreUnavailable
from jotgate.ports import StoreAccess
from jotgate.processes.console import say
from jotgate.services.endless_sights import EndlessSights, keep_seen
from jotgate.services.recorder import Recorder

SIGHTS_INTERVAL_S: Final = 2.0
"""How often what was seen is kept in the store."""
SIGHTS_MAX: Final = 65_536
"""Of so many tokens a sight waits to be kept; that of further ones is noted again when they are used."""

_AT_ONCE: Final = 100  # Each new one is a record of its own, written at once: more would hold up control's loop.


class SightRoom:
    """Keeps sights. Mutable: those that are not kept yet. `own` are those of control's own verifier."""

    def __init__(self, access: StoreAccess, recorder: Recorder, own: EndlessSights) -> None:
        self._access = access
        self._recorder = recorder
        self._own = own
        self._waiting: dict[str, EndlessToken] = {}

    def seen(self, tokens: Sequence[EndlessToken]) -> None:
        """Take what was seen (processes.answers.SightDesk)."""
        for one in tokens:
            before = self._waiting.get(one.digest)
            if before is not None or len(self._waiting) < SIGHTS_MAX:
                self._waiting[one.digest] = one if before is None else before.and_also(one)

    async def keep(self) -> None:
        """Keep sights in the store, until cancelled."""
        while True:
            await asyncio.sleep(SIGHTS_INTERVAL_S)
            await self.keep_sights()

    async def keep_sights(self) -> None:
        """Keep those that wait; where the store or the audit log does not answer, they wait on."""
        while self._own.tell(self._seen_here):
            pass
        while self._waiting:
            some = [self._waiting.pop(digest) for digest in list(self._waiting)[:_AT_ONCE]]
            try:
                new = await keep_seen(self._access, self._recorder, some)
            except (StoreUnavailable, AuditUnavailable):
                self.seen(some)
                return
            for one in new:
                _warn(one)

    def _seen_here(self, tokens: Sequence[EndlessToken]) -> bool:
        self.seen(tokens)
        return True


def _warn(token: EndlessToken) -> None:
    say(
        "a token that never expires is used for the first time: it counts until somebody revokes it, or its secret "
        "or key is changed; see 'jotgate token list --never-expires'",
        event="token_endless",
        issuer=token.issuer,
        subject=token.subject,
        jti=token.token_id,
    )

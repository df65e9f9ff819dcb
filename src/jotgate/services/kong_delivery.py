"""Tells Kong what it is to be rid of: deleted, revoked and ended tokens, and those whose minting was cut short."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from jotgate.core.kong_credentials import IN_FLIGHT_S, KongCredential
from jotgate.errors import KongRefused
from jotgate.outward_store_ports import KongLedger
from jotgate.ports import Clock, KongGate, StoreAccess

BATCH: Final = 50
"""So many are told at one go."""


class KongDelivery:
    """Immutable: what is to be told stands in the store, which is the outbox."""

    def __init__(self, gate: KongGate, access: StoreAccess, clock: Clock) -> None:
        self._gate = gate
        self._access = access
        self._clock = clock

    async def deliver(self) -> bool:
        """Tell Kong of a batch; whether there may be more that it would take.

        One whose minting was cut short is taken back in the store first: its minter hands it out no more then.

        Raises:
            KongUnavailable, KongRefused: Kong does not answer, or wants nothing of this batch; the rest waits.
            StoreUnavailable: the store does not answer.
        """
        now_s = int(self._clock.now_s())
        ids = [one.credential_id for one in await self._access.run(partial(_pending, now_s))]
        rid: list[str] = []
        refused: KongRefused | None = None
        try:
            for one in ids:
                try:
                    await self._gate.delete_credential(one)
                    rid.append(one)
                except KongRefused as refusal:
                    refused = refusal
        finally:
            if rid:
                await self._access.run(lambda store: store.forsake_credentials(rid, now_s))
        if refused is not None and not rid:
            raise refused
        return len(ids) == BATCH


def _pending(now_s: int, store: KongLedger) -> Sequence[KongCredential]:
    found = store.pending_credentials(now_s - IN_FLIGHT_S, BATCH)
    if found:
        store.unwant_credentials([one.credential_id for one in found], now_s)
    return found

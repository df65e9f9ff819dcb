"""The issuers of the store while control runs: an order is in effect when its answer is given."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from jotgate.assembly.issuers import Issuers
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.status import IssuerState
from jotgate.ports import Clock, StoreAccess
from jotgate.services.issuer_records import IssuerChange, carry_out, details_of
from jotgate.services.recorder import Recorder

_NONE: Final[Mapping[str, str]] = {}


class IssuerRoom:
    """Does what the operator orders. `look` puts what the store has into effect; `states` are those in effect."""

    def __init__(
        self,
        issuers: Issuers,
        access: StoreAccess,
        recorder: Recorder,
        clock: Clock,
        *,
        look: Callable[[], Awaitable[None]],
        states: Callable[[], tuple[IssuerState, ...]],
    ) -> None:
        self._issuers = issuers
        self._access = access
        self._recorder = recorder
        self._clock = clock
        self._look = look
        self._states = states

    async def carry_out(
        self, order: IssuerOrder, actor: str = CLI_CLIENT_ID, details: Mapping[str, str] = _NONE
    ) -> IssuerAnswer:
        """Do what `actor` orders; the audit log has the `details` too.

        Raises what `services.issuer_records.carry_out` does, and AuditUnavailable.
        """
        now_s = self._clock.now_s()
        done: IssuerChange | None = await self._access.run(
            lambda store: carry_out(store, order, self._issuers.examine, now_s)
        )
        if done is not None:
            self._recorder.record(done.event, actor=actor, details={**details_of(done), **details})
            await self._look()
        return IssuerAnswer(list(self._states()), running=True)

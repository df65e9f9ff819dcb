"""Owned objects while control runs: carries out the orders of workers, and of what control itself answers."""

from functools import partial

from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.services.owned_objects import carry_out
from jotgate.store_ports import Store


class ObjectRoom:
    """Carries out orders. Immutable."""

    def __init__(self, access: StoreAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def carry_out(self, order: ObjectOrder) -> ObjectAnswer:
        """Do what is ordered; durable when this returns. Raises StoreUnavailable."""
        return await self._access.run(partial(_carry_out, order, self._clock.now_s()))

    async def answer(self, order: ObjectOrder) -> ObjectAnswer | None:
        """The same for a worker; None: the store does not answer."""
        try:
            return await self.carry_out(order)
        except StoreUnavailable:
            return None


def _carry_out(order: ObjectOrder, now_s: float, store: Store) -> ObjectAnswer:
    return carry_out(store, order, now_s)

"""Kong in control: what goes there with each token, what is brought there by itself, and the operator's orders."""

import asyncio
from typing import Final

from msgspec import Struct
from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemEntropy
from jotgate.control.operator import order_route
from jotgate.core.kong_aims import KongAims, KongPlace
from jotgate.core.kong_auth import KONG_AUTH
from jotgate.core.kong_orders import KongExport, KongOrder
from jotgate.errors import (
    AuditUnavailable,
    DirectoryRefused,
    JotgateError,
    KongRefused,
    KongUnavailable,
    StoreUnavailable,
)
from jotgate.planes.kong.admin import KongWeb
from jotgate.ports import Clock
from jotgate.processes.console import say
from jotgate.services.kong_delivery import KongDelivery
from jotgate.services.kong_desk import KongDesk, KongMeans
from jotgate.services.kong_endings import KongEndings
from jotgate.services.kong_gate import AdminGate
from jotgate.services.kong_reconciler import KongReconciler

DELIVERY_S: Final = 0.5
"""How often it is looked whether Kong is to be rid of something."""
_REST_S: Final = (1.0, 30.0)
"""How long a Kong is left alone that failed: at first, and at most."""
_LOOK_S: Final = 1.0

_Failure = (KongUnavailable, KongRefused, StoreUnavailable, DirectoryRefused, AuditUnavailable)


class KongRoom(Struct, frozen=True):
    """Who asks Kong, what tokens are put there by, and who does what recurs."""

    admin: KongWeb
    gate: AdminGate
    desk: KongDesk
    upkeep: "KongUpkeep"
    routes: tuple[Route, ...]

    async def keep(self) -> None:
        """Do what recurs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.upkeep.deliver())
            group.create_task(self.upkeep.reconcile())

    async def settle(self) -> None:
        """Give up what is under way at Kong."""
        await self.desk.settle()
        await self.admin.close()


class KongUpkeep:
    """Tells Kong by itself what the store says. Mutable: the fault that was told last."""

    def __init__(self, reloader: Reloader, delivery: KongDelivery, endings: KongEndings, desk: KongDesk) -> None:
        self._reloader = reloader
        self._delivery = delivery
        self._endings = endings
        self._desk = desk
        self._told = ""

    async def deliver(self) -> None:
        """Turn revocations into credentials that are not wanted, and have Kong rid of those, until cancelled."""
        rest_s = _REST_S[0]
        while True:
            more = False
            try:
                if self._reloader.effect.kong is not None:
                    await self._endings.end()
                    more = await self._delivery.deliver()
            except _Failure as fault:
                self._tell(fault)
                await asyncio.sleep(rest_s)
                rest_s = min(2 * rest_s, _REST_S[1])
                continue
            rest_s = _REST_S[0]
            await asyncio.sleep(0 if more else DELIVERY_S)

    async def reconcile(self) -> None:
        """Bring consumers and credentials to what the store says, as often as the settings want, until cancelled."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            await asyncio.sleep(_LOOK_S)
            aims = self._reloader.effect.kong
            if aims is None or not aims.reconcile_s or loop.time() < next_s:
                continue
            try:
                await self._desk.reconcile()
            except _Failure as fault:
                self._tell(fault)
            else:
                self._tell(None)
            next_s = loop.time() + aims.reconcile_s

    def _tell(self, fault: JotgateError | None) -> None:
        """Say in the log what keeps Kong from being told, when that changes."""
        text = "" if fault is None else fault.message
        if text == self._told:
            return
        self._told = text
        if fault is None:
            say("Kong is told again what the store says", event="kong_reached", level="info")
        else:
            say(f"Kong cannot be told what the store says: {text}", event="kong_lost", level="error")


def open_kong_room(keys: OpenKeys, reloader: Reloader, clock: Clock) -> KongRoom:
    """The room by the settings in effect; without a Kong nobody is asked anything."""

    def aims() -> KongAims | None:
        return reloader.effect.kong

    def place() -> KongPlace | None:
        wanted = reloader.effect.kong
        return None if wanted is None else wanted.place

    authority = keys.authority
    admin = KongWeb(place)
    gate = AdminGate(admin, aims)
    delivery = KongDelivery(gate, keys.access, clock)
    reconciler = KongReconciler(admin, keys.access, authority.seals, clock, asyncio.sleep)
    means = KongMeans(aims, keys.access, authority.recorder, clock, SystemEntropy())
    desk = KongDesk(means, reconciler, delivery)
    revoked = keys.revocations.revoked
    endings = KongEndings(keys.access, clock, revoked, lambda: _issuers(keys, reloader))
    revoked.follow(endings.told)
    return KongRoom(
        admin,
        gate,
        desk,
        KongUpkeep(reloader, delivery, endings, desk),
        (order_route("/kong", KongOrder, desk.carry_out), order_route("/kong/export", KongExport, desk.export)),
    )


def _issuers(keys: OpenKeys, reloader: Reloader) -> frozenset[str]:
    """Those whose users have tokens for Kong, by what revocations call them, and this installation."""
    faces = reloader.effect.snapshot.faces
    of_face = {one.issuer or one.name for face in faces if face.name == KONG_AUTH for one in face.issuers}
    return frozenset({keys.authority.issuer_url, *of_face})

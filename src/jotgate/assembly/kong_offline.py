"""What `jotgate kong` does itself when no jotgate runs on DATA; its caller holds the lock."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import asdict

from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.config import Config
from jotgate.core.kong_aims import KongAims, compile_kong
from jotgate.core.kong_orders import KongDocument, KongExport, KongOrder, KongReport
from jotgate.errors import ConfigurationError
from jotgate.planes.kong.admin import KongWeb
from jotgate.services.kong_delivery import KongDelivery
from jotgate.services.kong_desk import KongDesk, KongMeans
from jotgate.services.kong_gate import AdminGate
from jotgate.services.kong_reconciler import KongReconciler
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.dotenv import with_dotenv
from jotgate.stores.kong import read_kong_way
from jotgate.stores.settings import Sources

_Result = TypeVar("_Result")


def order_kong(directory: DataDirectory, sources: Sources, order: KongOrder) -> KongReport:
    """Do what is ordered, to its end.

    Raises:
        CommandError, KongUnavailable, KongRefused: see `services.kong_desk`.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    return _at_desk(directory, sources, lambda desk: desk.carry_out(order))


def export_kong(directory: DataDirectory, sources: Sources, order: KongExport) -> KongDocument:
    """The file of decK. Raises as `order_kong`."""
    return _at_desk(directory, sources, lambda desk: desk.export(order))


def find_aims(sources: Sources, config: Config) -> KongAims | None:
    """What the settings want of Kong, with what they name for the way to it. Raises ConfigurationError."""
    texts = {name: text for name, text in asdict(config.kong).items() if isinstance(text, str) and text}
    base = sources.file.parent if sources.file is not None else Path()
    way = read_kong_way(texts, with_dotenv(sources.environment, sources.dotenv).values, base)
    if way.faults:
        raise ConfigurationError(list(way.faults))
    return compile_kong(config, way.token or config.kong.token, way.roots)


def _at_desk(directory: DataDirectory, sources: Sources, work: Callable[[KongDesk], Awaitable[_Result]]) -> _Result:
    async def run(aims: KongAims | None) -> _Result:
        admin = KongWeb(lambda: None if aims is None else aims.place)
        access, clock = DirectAccess(authority.store), SystemClock()
        delivery = KongDelivery(AdminGate(admin, lambda: aims), access, clock)
        reconciler = KongReconciler(admin, access, authority.seals, clock, asyncio.sleep)
        means = KongMeans(lambda: aims, access, authority.recorder, clock, SystemEntropy())
        try:
            return await work(KongDesk(means, reconciler, delivery, patience_s=None))
        finally:
            await admin.close()

    with opened(directory, sources) as (authority, config):
        return asyncio.run(run(find_aims(sources, config)))

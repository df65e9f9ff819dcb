"""What `jotgate upstream` does itself when no jotgate runs on DATA; its caller holds the lock."""

import asyncio

from jotgate.assembly.kept_tokens import open_kept_tokens
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.routes import Reach
from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder
from jotgate.services.upstream_desk import UpstreamDesk, UpstreamSettings
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources


def order_upstreams(directory: DataDirectory, sources: Sources, order: UpstreamOrder) -> UpstreamAnswer:
    """Do what is ordered, and make the installation if this is the first start.

    Raises:
        CommandError, RecordChanged: see `services.upstream_desk`.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    with opened(directory, sources) as (authority, config):
        # Nobody is asked here, so the way to them and their secrets are not needed.
        ways = {entry.name: Reach() for entry in config.upstreams}
        grants = compile_grants(config.upstreams, {}, ways)
        access, clock = DirectAccess(authority.store), SystemClock()
        kept = open_kept_tokens(authority, access, clock, grants.get)
        settings = UpstreamSettings(config.upstreams, grants)
        desk = UpstreamDesk(lambda: settings, kept, access, authority.recorder, clock, keeper=None)
        return asyncio.run(desk.carry_out(order))

"""Puts together what verifies tokens in control, which looks up status lists of other issuers, for workers too."""

from collections.abc import Awaitable, Callable

from jotgate.assembly.reload import Reloader
from jotgate.assembly.remote_keys import RemoteKeys
from jotgate.assembly.system import SystemClock
from jotgate.control.key_web import KeyWeb
from jotgate.core.principals import Principal
from jotgate.processes.bus import BusServer
from jotgate.processes.console import say
from jotgate.services.key_seeking import SeekingVerifier
from jotgate.services.status_reading import StatusReader


def open_verifying(reloader: Reloader, keys: RemoteKeys, bus: BusServer) -> Callable[[bytes], Awaitable[Principal]]:
    """What verifies, by the issuers that are in effect. Workers may ask what stands in lists from now on."""
    clock = SystemClock()
    reader = StatusReader(
        KeyWeb(),
        clock,
        federation=lambda: reloader.effect.verifier.federation,
        sources=lambda: reloader.effect.key_sources,
        wanted=keys.wanted,
        tell=lambda fault: say(f"a status list cannot be used: {fault}", event="status_list_unread"),
    )
    bus.answers.serve_statuses(reader.look)
    return reader.verifying(SeekingVerifier(lambda: reloader.effect.verifier, keys.wanted, clock).verify)

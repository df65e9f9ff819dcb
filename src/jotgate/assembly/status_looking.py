"""Puts together what looks up status lists of other issuers in control."""

from jotgate.assembly.reload import Reloader
from jotgate.assembly.remote_keys import RemoteKeys
from jotgate.assembly.system import SystemClock
from jotgate.control.key_web import KeyWeb
from jotgate.processes.console import say
from jotgate.services.status_reading import StatusReader


def open_status_reader(reloader: Reloader, keys: RemoteKeys) -> StatusReader:
    """What looks them up, for the issuers that are in effect."""
    return StatusReader(
        KeyWeb(),
        SystemClock(),
        federation=lambda: reloader.effect.verifier.federation,
        sources=lambda: reloader.effect.key_sources,
        wanted=keys.wanted,
        tell=lambda fault: say(f"a status list cannot be used: {fault}", event="status_list_unread"),
    )

"""Who remembers used DPoP proofs while control runs, and when that memory is taken for lost."""

import asyncio
from typing import Final

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.store_feed import POLL_S
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.token_checks import proof_rules
from jotgate.processes.bus import BusServer
from jotgate.services.proof_desk import ProofDesk

_SILENT_S: Final = 3 * POLL_S


def open_proof_desk(keys: OpenKeys, reloader: Reloader, bus: BusServer) -> ProofDesk:
    """The desk, which workers may ask over the bus."""
    desk = ProofDesk(
        keys.access if keys.authority.shared else None,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        rules=lambda: proof_rules(reloader.effect.config.dpop),
    )
    bus.answers.serve_proofs(desk.judge)
    return desk


async def keep_watch(desk: ProofDesk, keys: OpenKeys) -> None:
    """Take what a silent store was told last for lost, also while no proof is shown to it; until cancelled."""
    while True:
        await asyncio.sleep(POLL_S)
        if keys.age_s > _SILENT_S:
            desk.lose()

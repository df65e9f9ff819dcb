"""How a running jotgate is doing, put together for `jotgate status`."""

import os
from collections.abc import Callable

from msgspec import Struct

from jotgate import __version__
from jotgate.assembly.keys import KeyRoom
from jotgate.assembly.reload import Reloader
from jotgate.core.key_fetches import KeyStanding
from jotgate.core.status import Settlement, Status
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.ports import Clock
from jotgate.processes.bus import BusServer


class Reporter(Struct, frozen=True):
    """Where control finds what it reports. `started_s` is the civil time at which its monotonic clock was 0."""

    url: str
    issuer: str
    metrics: tuple[str, ...]
    keys: KeyRoom
    bus: BusServer
    reloader: Reloader
    clock: Clock
    started_s: float
    issuer_keys: Callable[[], list[KeyStanding]]
    upstream_tokens: Callable[[], list[TokenStanding]]

    def report(self) -> Status:
        """How everything is now."""
        reloader, clock = self.reloader, self.clock
        settled = self.bus.settled().items()
        return Status(
            version=__version__,
            pid=os.getpid(),
            url=self.url,
            issuer=self.issuer,
            kid=self.keys.kid,
            workers=self.bus.workers,
            snapshot=reloader.effect.snapshot.version,
            settled=[Settlement(slot, one.version, round(one.block_s * 1_000, 3)) for slot, one in settled if one],
            read_at_s=reloader.last.at_s,
            faults=list(reloader.last.faults),
            pending=reloader.pending,
            clock_step_s=round(clock.now_s() - clock.monotonic_s() - self.started_s, 6),
            issuers=list(reloader.effect.issuers),
            issuer_keys=self.issuer_keys(),
            upstream_tokens=self.upstream_tokens(),
            metrics=list(self.metrics),
            faces=reloader.faces,
        )

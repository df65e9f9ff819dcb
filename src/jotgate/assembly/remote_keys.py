"""Control's keys of other issuers: fetched while it runs, compiled into each snapshot, told to whom it concerns."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.control.key_web import KeyWeb
from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import KeysOutcome, KeyStanding
from jotgate.processes.console import say
from jotgate.services.key_keeper import KeyKeeper, KeyPorts
from jotgate.stores.files import PrivateFiles
from jotgate.stores.kept_key_sets import KEPT_BYTES_MAX, KeptKeySets
from jotgate.stores.key_files import KeyFiles
from jotgate.telemetry.logs import report_fault

_SWEEP_S: Final = 0.25

Renew = Callable[[], "asyncio.Future[int | None]"]


class _Log:
    """The log as what fetching keys is told to (ports.KeyNews)."""

    def failing(self, issuer: str, reason: str, held: bool) -> None:
        """It fails."""
        then = "those of before go on being used" if held else "its tokens are answered with 503 until it has some"
        text = f"the keys of the issuer '{issuer}' cannot be fetched, and {then}: {reason}"
        say(text, event="keys_unfetched", issuer=issuer)

    def recovered(self, issuer: str) -> None:
        """It succeeds again."""
        say(f"the keys of the issuer '{issuer}' are fetched again", event="keys_fetched", level="info", issuer=issuer)

    def ended(self, issuer: str) -> None:
        """The keys of before are too old."""
        text = f"the keys of the issuer '{issuer}' are too old to be used; its tokens are answered with 503"
        say(text, event="keys_ended", level="error", issuer=issuer)

    def unkept(self, reason: str) -> None:
        """What was fetched cannot be kept."""
        text = f"{reason}; a control process that starts while an issuer is out of reach would have no keys of it"
        say(text, event="keys_unkept")

    def broken(self, fault: BaseException) -> None:
        """The fault is of jotgate itself."""
        report_fault(fault)


class RemoteKeys:
    """The keys of all remote issuers. Mutable: how a new snapshot is asked for, once there is a way."""

    def __init__(self, directory: Path) -> None:
        """`directory` is DATA."""
        ports = KeyPorts(
            web=KeyWeb(),
            files=KeyFiles(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            news=_Log(),
            kept=KeptKeySets(PrivateFiles(directory, KEPT_BYTES_MAX)),
        )
        self._keeper = KeyKeeper(ports, self._changed)
        self._renew: Renew | None = None

    def sets_for(self, sources: Iterable[KeySource]) -> dict[str, bytes]:
        """The JWK Sets that are held of these sources, by the issuer's name; may be called on any thread."""
        return self._keeper.sets_for(sources)

    def follow(self, sources: Iterable[KeySource]) -> None:
        """Fetch from these from now on; to be called on the event loop, when they are in effect."""
        self._keeper.sources(sources)

    async def keep(self, renew: Renew, wait_s: float, ready: Callable[[], Awaitable[None]]) -> None:
        """Fetch until cancelled.

        `ready` is called when the first fetch of each issuer of which no keys are held has ended, at most `wait_s`
        later.
        """
        self._renew = renew
        if self._keeper.sets:
            await renew()  # What was kept of an earlier process.
        if not await self._keeper.settle(wait_s, keyless=True):
            waiting = [one.issuer for one in self._keeper.standings() if one.age_s is None and not one.fault]
            say(f"not waiting any longer for the keys of {', '.join(waiting)}", event="keys_awaited")
        await ready()
        try:
            while True:
                await asyncio.sleep(_SWEEP_S)
                self._keeper.sweep()
        finally:
            self._keeper.stop()

    async def wanted(self, issuer: str) -> KeysOutcome:
        """Have the keys of an issuer fetched for a key that is not held; see `KeyKeeper.wanted`."""
        return await self._keeper.wanted(issuer)

    def standings(self) -> list[KeyStanding]:
        """How each issuer's keys are doing."""
        return self._keeper.standings()

    def _changed(self) -> "asyncio.Future[int | None]":
        assert self._renew is not None, "nothing is fetched before `keep`"
        return self._renew()

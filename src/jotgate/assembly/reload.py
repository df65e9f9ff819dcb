"""Control's settings while it runs: read again on SIGHUP and when a file changes, and put into effect as a whole.

When anything is wrong with them, what was in effect stays so, and the operator is told what and where. A file that is
being written is left alone until it looks the same twice.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.assembly.loading import Loaded, load_all
from jotgate.core.config import Config
from jotgate.core.snapshot import Snapshot
from jotgate.errors import ConfigurationError, DirectoryRefused, JotgateError
from jotgate.ports import Clock
from jotgate.processes.console import log_error, say
from jotgate.services.verifier import Verifier
from jotgate.stores.settings import Settings, Sources

_POLL_S: Final = 0.5
_FIRST_VERSION: Final = 1
_AT_START: Final = (
    "server.host",
    "server.port",
    "server.workers",
    "server.public_url",
    "server.drain_timeout",
    "store.url",
    "store.password_env",
    "store.password_file",
    "metrics.listen",
    "logs.level",
    "logs.format",
)
"""The settings that are read when jotgate starts, and not again."""

Marks = dict[Path, tuple[int, int, int] | None]
"""What tells one content of a file from the next without reading it; None where there is no file."""


class Effect(Struct, frozen=True):
    """What is in effect, made of one reading of the settings."""

    config: Config
    snapshot: Snapshot
    verifier: Verifier


class Attempt(Struct, frozen=True):
    """How the last reading ended, in seconds since the epoch; `faults` is empty when it was put into effect."""

    at_s: float
    faults: tuple[str, ...] = ()


class Reloader:
    """Keeps the settings current. Mutable: what is in effect, how the last reading ended, how the files looked.

    `prepare` makes what settings mean, with the number of the new snapshot, and raises ConfigurationError or
    DirectoryRefused if they cannot be.
    """

    def __init__(
        self, sources: Sources, loaded: Loaded, prepare: Callable[[Loaded, int], Effect], clock: Clock
    ) -> None:
        self._sources = sources
        self._prepare = prepare
        self._clock = clock
        self._asked = asyncio.Event()
        self._marks = look(loaded.settings.files)
        self._started = self.effect = prepare(loaded, _FIRST_VERSION)
        self.last = Attempt(clock.now_s())

    @property
    def pending(self) -> list[str]:
        """The settings that changed since the start and take effect at the next one."""
        return [path for path in _AT_START if _value(self._started, path) != _value(self.effect, path)]

    def ask(self) -> None:
        """Read the settings again soon, changed or not."""
        self._asked.set()

    async def keep(self, swap: Callable[[Snapshot], None], answer: Callable[[], None]) -> None:
        """Read again whenever it is asked or a file has changed, until cancelled.

        `swap` gets each new snapshot; `answer` is called when what was asked for has been done, with success or not.
        """
        seen = self._marks
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._asked.wait()
            marks = await asyncio.to_thread(look, self._marks)
            settled, seen = marks == seen, marks
            asked = self._asked.is_set()
            if asked or (settled and marks != self._marks):
                self._asked.clear()
                await self._reload(marks, swap)
            if asked:
                answer()

    async def _reload(self, marks: Marks, swap: Callable[[Snapshot], None]) -> None:
        version = self.effect.snapshot.version + 1
        settings, effect = await asyncio.to_thread(self._read, version)
        self._marks = {file: marks[file] if file in marks else _mark(file) for file in settings.files}
        if isinstance(effect, JotgateError):
            faults = effect.faults if isinstance(effect, ConfigurationError) else [("", effect.message)]
            self.last = Attempt(self._clock.now_s(), tuple(" ".join(filter(None, fault)) for fault in faults))
            say(
                f"the settings are not reloaded, and snapshot {version - 1} stays in effect",
                event="reload_refused",
                level="error",
            )
            log_error(effect)
            return
        before, self.effect = self.pending, effect
        self.last = Attempt(self._clock.now_s())
        swap(effect.snapshot)
        say(f"the settings are reloaded: snapshot {version} is in effect", event="reloaded", level="info")
        for warning in settings.warnings:
            say(warning)
        for path in self.pending:
            if path not in before:
                say(f"{path} has changed; that takes effect when jotgate is started again")

    def _read(self, version: int) -> tuple[Settings, Effect | JotgateError]:
        loaded = load_all(self._sources)
        try:
            loaded.settings.require()
            return loaded.settings, self._prepare(loaded, version)
        except (ConfigurationError, DirectoryRefused) as fault:
            return loaded.settings, fault


def look(files: Iterable[Path]) -> Marks:
    """How files look now."""
    return {file: _mark(file) for file in files}


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _value(effect: Effect, path: str) -> object:
    section, _, name = path.partition(".")
    value: object = getattr(getattr(effect.config, section), name)
    return value

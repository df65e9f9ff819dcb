"""Control's settings while it runs: read again on SIGHUP and when a file changes, and put into effect as a whole.

When anything is wrong with them, what was in effect stays so, and the operator is told what and where. A file that is
being written is left alone until it looks the same twice.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from jotgate.assembly.at_start import AtStart, at_start, url_at
from jotgate.assembly.loading import Loaded, load_all
from jotgate.core.config import Config
from jotgate.core.issuers import KeySource
from jotgate.core.kong_aims import KongAims
from jotgate.core.snapshot import Snapshot
from jotgate.core.status import FaceState, IssuerState
from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError, DirectoryRefused, InternalError, JotgateError
from jotgate.ports import Clock
from jotgate.processes.console import log_error, say
from jotgate.services.verifier import Verifier
from jotgate.stores.accepted import AcceptedText
from jotgate.stores.settings import Settings, Sources
from jotgate.telemetry.logs import report_fault

_POLL_S: Final = 0.5
_FIRST_VERSION: Final = 1
_Result = TypeVar("_Result")

Marks = dict[Path, tuple[int, int, int] | None]
"""What tells one content of a file from the next without reading it; None where there is no file."""


class Effect(Struct, frozen=True):
    """What is in effect, made of one reading of the settings. `issuers` are those beside this installation.

    `grants` say how control gets the tokens of upstreams, `kong` what the Kong of the settings is to be; None: there
    is none.
    """

    config: Config
    snapshot: Snapshot
    verifier: Verifier
    issuers: tuple[IssuerState, ...] = ()
    key_sources: tuple[KeySource, ...] = ()
    grants: tuple[TokenGrant, ...] = ()
    kong: KongAims | None = None


class Attempt(Struct, frozen=True):
    """How the last reading ended, in seconds since the epoch; `faults` is empty when it was put into effect."""

    at_s: float
    faults: tuple[str, ...] = ()


class _Read(Struct, frozen=True):
    """What came of one reading. `loaded` is None when jotgate itself failed at it."""

    loaded: Loaded | None
    effect: Effect | JotgateError

    @property
    def settings(self) -> Settings | None:
        """The settings that were read."""
        return None if self.loaded is None else self.loaded.settings

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read or would have been, as far as that is known."""
        return () if self.settings is None else self.settings.files

    @property
    def warnings(self) -> tuple[str, ...]:
        """What their owner should know."""
        return () if self.settings is None else self.settings.warnings

    @property
    def text(self) -> Secret:
        """What stands in the configuration."""
        return Secret("") if self.settings is None else self.settings.text

    @property
    def faults(self) -> tuple[str, ...]:
        """Why it has no effect, each fault on a line of its own."""
        if not isinstance(self.effect, JotgateError):
            return ()
        faults = self.effect.faults if isinstance(self.effect, ConfigurationError) else [("", self.effect.message)]
        return tuple(" ".join(filter(None, fault)) for fault in faults)


class Origin(Struct, frozen=True):
    """What settings are made of: their sources, what they said when jotgate started, and what was accepted last.

    `again`: control has served since then, and goes on with what was accepted when it finds the file refused.
    """

    sources: Sources
    at_start: AtStart
    accepted: AcceptedText
    again: bool = False


class Reloader:
    """Keeps what is in effect current. Mutable: that, how the last reading ended, how the files looked, who waits.

    `prepare` makes what settings mean, with the number of the new snapshot, and raises a JotgateError if they cannot
    be; after the first time it is called on a thread. What refuses the first reading is raised, unless control goes on
    with what was accepted.
    """

    def __init__(self, origin: Origin, prepare: Callable[[Loaded, int], Effect], clock: Clock) -> None:
        self._at_start = origin.at_start
        self._accepted = origin.accepted
        self._sources = origin.sources
        self._prepare = prepare
        self._clock = clock
        self._asked = asyncio.Event()
        kept = self._find_kept() if origin.again else None
        if kept is not None and kept.reveal():
            self._sources = replace(self._sources, awaited=False)  # It came, before control went.
        first = self._read(self._sources, _FIRST_VERSION)
        read = first if kept is None else self._go_on(first, kept)
        if isinstance(read.effect, JotgateError):
            raise read.effect
        assert read.loaded is not None, "what has an effect was read"
        self.effect, self._loaded = read.effect, read.loaded
        self._turn = asyncio.Lock()
        self._renewal: asyncio.Future[int | None] | None = None
        self._wanted = asyncio.Event()
        self.last = Attempt(clock.now_s(), first.faults)
        self._marks = look([*first.files, *read.files])
        if not first.faults:
            self._expect_what_came()
        if origin.again:
            self._keep(read)
        else:
            self._accepted.keep(read.text)  # Nothing of an earlier life may be taken for what was accepted in this one.

    def _find_kept(self) -> Secret | None:
        try:
            return self._accepted.read()
        except DirectoryRefused as refusal:
            say(f"{refusal.message}; only a sound configuration will do")
            return None

    def _go_on(self, first: _Read, kept: Secret) -> _Read:
        """What was accepted, with the credentials of now, if this first reading is refused and that one is not."""
        if self._sources.file is None or not isinstance(first.effect, JotgateError):
            return first
        read = self._read(replace(self._sources, accepted=kept), _FIRST_VERSION)
        if isinstance(read.effect, JotgateError):
            return first
        text = f"'{self._sources.file}' is refused, and jotgate goes on with what it accepted last"
        say(text, event="reload_refused", level="error")
        log_error(first.effect)
        return read

    @property
    def pending(self) -> list[str]:
        """The settings that changed since the start and take effect at the next one."""
        now = at_start(self.effect.config, self._loaded.settings.presets)
        return [path for path, value in now.items() if value != self._at_start[path]]

    @property
    def faces(self) -> list[FaceState]:
        """The faces that are served, and what is missing for them."""
        served = self.effect.snapshot.faces
        return [FaceState(one.name, url_at(self._at_start, one.name), list(one.missing)) for one in served]

    def private_key(self, face: str) -> Secret | None:
        """What the tokens of a face are signed with in place of this installation's keys, as PEM; None: with those."""
        return next((one.private_key for one in self._loaded.settings.presets if one.name == face), None)

    @property
    def sources(self) -> Sources:
        """Where settings come from."""
        return self._sources

    def ask(self) -> None:
        """Read the settings again soon, changed or not."""
        self._asked.set()

    def renew(self) -> "asyncio.Future[int | None]":
        """Make a new snapshot of the settings in effect soon, as something that it is made of beside them has changed.

        Of several that are asked for before it is begun one is made. To be called on the event loop. The result is the
        version of a snapshot that was begun after this call; None when it could not be made, which the log says.
        """
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().create_future()
            self._wanted.set()
        return self._renewal

    async def keep_renewed(self, swap: Callable[[Snapshot], None]) -> None:
        """Make what `renew` asks for, until cancelled. `swap` gets each new snapshot."""
        while True:
            await self._wanted.wait()
            async with self._turn:
                self._wanted.clear()
                renewal, self._renewal = self._renewal, None
                version = await self._renew(swap)
            if renewal is not None and not renewal.done():
                renewal.set_result(version)

    async def _renew(self, swap: Callable[[Snapshot], None]) -> int | None:
        version = self.effect.snapshot.version + 1
        effect = await asyncio.to_thread(self._make, self._loaded, version)
        if isinstance(effect, JotgateError):
            text = f"no new snapshot can be made, and snapshot {version - 1} stays in effect"
            say(text, event="renewal_refused", level="error")
            log_error(effect)
            return None
        self.effect = effect
        swap(effect.snapshot)
        return version

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
                async with self._turn:
                    await self._reload(marks, swap)
            if asked:
                answer()

    async def _reload(self, marks: Marks, swap: Callable[[Snapshot], None]) -> None:
        version = self.effect.snapshot.version + 1
        read = await asyncio.to_thread(self._read, self._sources, version)
        self._marks = {file: marks[file] if file in marks else _mark(file) for file in read.files or marks}
        self.last = Attempt(self._clock.now_s(), read.faults)
        if isinstance(read.effect, JotgateError):
            say(
                f"the settings are not reloaded, and snapshot {version - 1} stays in effect",
                event="reload_refused",
                level="error",
            )
            log_error(read.effect)
            return
        assert read.loaded is not None, "what has an effect was read"
        before = self.pending
        self.effect, self._loaded = read.effect, read.loaded
        self._expect_what_came()
        swap(read.effect.snapshot)
        say(f"the settings are reloaded: snapshot {version} is in effect", event="reloaded", level="info")
        for warning in read.warnings:
            say(warning)
        for path in self.pending:
            if path not in before:
                say(f"{path} has changed; that takes effect when jotgate is started again")
        await asyncio.to_thread(self._keep, read)  # After the words, so that they are out when the snapshot is seen.

    def _expect_what_came(self) -> None:
        """Miss the awaited file from now on, if it came: its going takes nothing out of effect."""
        if self._sources.awaited and self._sources.file is not None and self._marks.get(self._sources.file):
            self._sources = replace(self._sources, awaited=False)

    def _keep(self, read: _Read) -> None:
        try:
            self._accepted.keep(read.text)
        except DirectoryRefused as refusal:
            say(f"{refusal.message}; a control process that finds a fault in the configuration would use an older one")

    def _read(self, sources: Sources, version: int) -> _Read:
        loaded = _attempt(lambda: load_all(sources))
        if isinstance(loaded, JotgateError):
            return _Read(None, loaded)
        return _Read(loaded, self._make(loaded, version))

    def _make(self, loaded: Loaded, version: int) -> Effect | JotgateError:
        def make() -> Effect:
            loaded.settings.require()
            return self._prepare(loaded, version)

        return _attempt(make)


def _attempt(work: Callable[[], _Result]) -> _Result | JotgateError:
    """What comes of work with the settings; what nobody foresaw must not end what serves with those of before."""
    try:
        return work()
    except JotgateError as refusal:
        return refusal
    except Exception as fault:
        report_fault(fault)
        return InternalError(f"jotgate failed to read these settings ({type(fault).__name__})")


def look(files: Iterable[Path]) -> Marks:
    """How files look now."""
    return {file: _mark(file) for file in files}


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):  # A name with a zero in it is no file's.
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size

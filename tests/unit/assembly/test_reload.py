"""Reading settings again when jotgate itself fails at it."""

import asyncio
import logging
from pathlib import Path

import pytest

from jotgate.assembly.loading import Loaded, load_all
from jotgate.assembly.reload import Effect, Reloader
from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.snapshot import Snapshot
from jotgate.gateway.world import build_verifier
from jotgate.stores.settings import Sources
from jotgate.testing.ports import ManualClock


def effect_of(loaded: Loaded, version: int) -> Effect:
    """What control makes of settings, without an installation."""
    config = loaded.settings.require()
    snapshot = compile_snapshot(config, "http://127.0.0.1", b'{"keys":[]}', version, Materials())
    return Effect(config, snapshot, build_verifier(snapshot.issuer, 1))


async def read_again(reloader: Reloader) -> list[Snapshot]:
    """Ask for one reading, and wait until it has been answered; the snapshots that were put into effect."""
    swapped: list[Snapshot] = []
    answered = asyncio.Event()
    keeping = asyncio.ensure_future(reloader.keep(swapped.append, answered.set))
    reloader.ask()
    await answered.wait()
    keeping.cancel()
    return swapped


def test_a_fault_of_its_own_changes_nothing_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_text("")
    sources = Sources(file=file)
    broken: list[bool] = []

    def prepare(loaded: Loaded, version: int) -> Effect:
        if broken:
            raise ZeroDivisionError("by zero")
        return effect_of(loaded, version)

    reloader = Reloader(sources, load_all(sources), prepare, ManualClock())
    broken.append(True)
    before = reloader.effect
    with caplog.at_level(logging.ERROR, "jotgate"):
        assert asyncio.run(read_again(reloader)) == []
    assert reloader.effect is before
    assert reloader.last.faults == ("jotgate failed to read these settings (ZeroDivisionError)",)
    (record,) = [one for one in caplog.records if one.exc_info]
    assert (getattr(record, "event", ""), record.exc_info[0]) == ("internal", ZeroDivisionError)  # type: ignore[index]
    broken.clear()
    (snapshot,) = asyncio.run(read_again(reloader))
    assert snapshot.version == 2
    assert not reloader.last.faults

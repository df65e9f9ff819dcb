"""Control's settings when something is wrong: with jotgate itself, or with the file that a control finds later."""

import asyncio
import logging
from pathlib import Path

import pytest

from jotgate.assembly.at_start import at_start
from jotgate.assembly.loading import Loaded
from jotgate.assembly.reload import Effect, Origin, Reloader
from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.config import Config
from jotgate.core.key_life import OwnKeys
from jotgate.core.snapshot import Snapshot
from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.gateway.world import build_verifier
from jotgate.stores.accepted import AcceptedText
from jotgate.stores.files import PrivateFiles
from jotgate.stores.settings import Sources
from jotgate.testing.ports import ManualClock


def effect_of(loaded: Loaded, version: int) -> Effect:
    """What control makes of settings, without an installation."""
    config = loaded.settings.require()
    snapshot = compile_snapshot(config, "http://127.0.0.1", OwnKeys(b'{"keys":[]}', ("ES256",)), version, Materials())
    return Effect(config, snapshot, build_verifier(snapshot.issuers, 1))


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

    accepted = AcceptedText(PrivateFiles(tmp_path))
    reloader = Reloader(Origin(sources, at_start(Config()), accepted), prepare, ManualClock())
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


def begin(directory: Path, *, again: bool, awaited: bool = False) -> Reloader:
    """Control's settings from `jotgate.toml` in a directory that is DATA too."""
    sources = Sources(file=directory / "jotgate.toml", awaited=awaited)
    accepted = AcceptedText(PrivateFiles(directory))
    return Reloader(Origin(sources, at_start(Config()), accepted, again), effect_of, ManualClock())


def test_what_was_accepted_serves_a_control_that_is_started_again_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_text("[limits]\nbody_bytes = 2048\n")
    begin(tmp_path, again=False)
    assert (tmp_path / "accepted.toml").stat().st_mode & 0o777 == 0o600
    file.write_text("[limits]\nbody_bites = 4096\n")
    reloader = begin(tmp_path, again=True)
    assert reloader.effect.config.limits.body_bytes == 2048
    assert [fault.partition(" ")[0] for fault in reloader.last.faults] == [f"{file}:2:"]
    with pytest.raises(ConfigurationError):
        begin(tmp_path, again=False)
    file.write_text("[limits]\nbody_bytes = 4096\n")
    (snapshot,) = asyncio.run(read_again(reloader))
    assert snapshot.limits.body_bytes == 4096
    file.write_text("")
    assert begin(tmp_path, again=True).effect.config == Config(), "a sound file goes before what was accepted"


def test_what_was_accepted_must_be_sound_too_and_else_the_files_own_faults_are_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-1")
    text = (
        '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "http://h"\nmodels = ["m"]\ncredential_file = "key"\n'
    )
    (tmp_path / "jotgate.toml").write_text(text)
    begin(tmp_path, again=False)
    (tmp_path / "jotgate.toml").write_text("porrt = 1\n")
    assert begin(tmp_path, again=True).effect.config.upstreams[0].name == "u"
    key.unlink()
    with pytest.raises(ConfigurationError, match="porrt"):
        begin(tmp_path, again=True)


@pytest.mark.parametrize("mode", [0o644, None])
def test_a_copy_that_cannot_be_used_harms_no_sound_file(tmp_path: Path, mode: int | None) -> None:
    file, copy = tmp_path / "jotgate.toml", tmp_path / "accepted.toml"
    file.write_text("")
    begin(tmp_path, again=False)
    copy.unlink() if mode is None else copy.chmod(mode)
    file.write_text("porrt = 1\n")
    with pytest.raises(ConfigurationError, match="porrt"):
        begin(tmp_path, again=True)
    file.write_text("[limits]\nbody_bytes = 4096\n")
    assert begin(tmp_path, again=True).effect.config.limits.body_bytes == 4096


def test_a_file_that_came_and_went_is_missed_by_a_control_that_is_started_again(tmp_path: Path) -> None:
    file = tmp_path / "jotgate.toml"
    assert begin(tmp_path, again=False, awaited=True).effect.config == Config()
    assert begin(tmp_path, again=True, awaited=True).last.faults == ()
    file.write_text("[limits]\nbody_bytes = 4096\n")
    begin(tmp_path, again=True, awaited=True)
    file.unlink()
    reloader = begin(tmp_path, again=True, awaited=True)
    assert reloader.effect.config.limits.body_bytes == 4096
    assert "cannot be read" in reloader.last.faults[0]


def test_what_cannot_be_kept_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_text("")
    accepted = AcceptedText(PrivateFiles(tmp_path, bytes_max=64))
    reloader = Reloader(Origin(Sources(file=file), at_start(Config()), accepted), effect_of, ManualClock())
    file.write_text("# a longer text than those files take, by some bytes more than are left\n")
    assert len(asyncio.run(read_again(reloader))) == 1
    assert "would use an older one" in capsys.readouterr().err
    with pytest.raises(DirectoryRefused):
        Reloader(Origin(Sources(file=file), at_start(Config()), accepted), effect_of, ManualClock())


def test_a_renewal_makes_one_snapshot_for_all_who_asked_and_rereads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_text("[limits]\nbody_bytes = 2048\n")
    reloader = begin(tmp_path, again=False)
    file.write_text("porrt = 1\n")
    swapped: list[Snapshot] = []

    async def play() -> None:
        keeping = asyncio.ensure_future(reloader.keep_renewed(swapped.append))
        assert [await one for one in [reloader.renew(), reloader.renew()]] == [2, 2]
        assert await reloader.renew() == 3
        keeping.cancel()

    asyncio.run(play())
    assert [one.version for one in swapped] == [2, 3]
    assert {one.limits.body_bytes for one in swapped} == {2048}
    assert reloader.last.faults == ()


def test_a_renewal_that_fails_leaves_what_is_in_effect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refusals: list[Exception] = []

    def prepare(loaded: Loaded, version: int) -> Effect:
        if refusals:
            raise refusals.pop()
        return effect_of(loaded, version)

    origin = Origin(Sources(), at_start(Config()), AcceptedText(PrivateFiles(tmp_path)))
    reloader = Reloader(origin, prepare, ManualClock())
    before = reloader.effect
    refusals += [DirectoryRefused("no"), ZeroDivisionError()]

    async def play() -> None:
        swapped: list[Snapshot] = []
        keeping = asyncio.ensure_future(reloader.keep_renewed(swapped.append))
        assert [await reloader.renew(), await reloader.renew()] == [None, None]
        assert (reloader.effect, swapped) == (before, [])
        assert await reloader.renew() == 2
        keeping.cancel()

    with caplog.at_level(logging.ERROR, "jotgate"):
        asyncio.run(play())

"""The policies of an installation: what is said of them, once, and what is refused for the store."""

from pathlib import Path

import pytest

from jotgate.assembly.policies import PolicyReader
from jotgate.core.policy_entries import PolicyEntry, WindowEntry
from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.errors import ConfigurationError
from jotgate.stores.settings import Settings, Sources, load_settings

REST = '[[policies]]\nname = "rest"\neffect = "allow"\ntimes = [{ zone = "Europe/Berlin" }]\n'
DAMAGED = KeptPolicies(2, (PolicyRecord("later", b'{"name":"later","effect":"deny","unknown":1}', 2),))


def settings(folder: Path, text: str) -> Settings:
    """The settings of a file with this text."""
    file = folder / "jotgate.toml"
    file.write_text(text)
    return load_settings(Sources(file=file))


def test_those_of_the_file_come_with_the_rules_of_their_zones(tmp_path: Path) -> None:
    reader = PolicyReader()
    found = reader.read(settings(tmp_path, REST), KeptPolicies(0, ()))
    assert [(one.name, one.origin) for one in found.policies] == [("rest", "file")]
    assert list(found.zones) == ["Europe/Berlin"]
    assert [one.name for one in reader.views()] == ["rest"]


def test_one_that_cannot_be_read_is_told_once_and_denies_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, read = PolicyReader(), settings(tmp_path, REST)
    reader.read(read, DAMAGED)
    found = reader.read(read, DAMAGED)
    assert [(one.name, one.effect, one.depends) for one in found.policies] == [
        ("rest", "allow", True),
        ("later", "deny", False),
    ]
    assert capsys.readouterr().err.count("'later'") == 1
    assert reader.views()[1].faults != []
    reader.read(read, KeptPolicies(3, ()))
    reader.read(read, DAMAGED)
    assert capsys.readouterr().err.count("'later'") == 1


def test_a_set_that_allows_nothing_is_warned_of_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader, read = PolicyReader(), settings(tmp_path, "")
    for _ in range(2):
        reader.read(read, DAMAGED)
    assert capsys.readouterr().err.count("no policy here allows anything") == 1
    assert len(reader.warnings) == 1


def test_what_has_faults_is_not_read_and_what_was_read_stays(tmp_path: Path) -> None:
    reader = PolicyReader()
    reader.read(settings(tmp_path, REST), KeptPolicies(0, ()))
    with pytest.raises(ConfigurationError):
        reader.read(settings(tmp_path, REST.replace("effect", "affect")), KeptPolicies(0, ()))
    assert [one.name for one in reader.views()] == ["rest"]


def test_the_store_takes_no_name_of_the_file_and_no_zone_that_is_not_known(tmp_path: Path) -> None:
    reader = PolicyReader()
    reader.read(settings(tmp_path, REST), KeptPolicies(0, ()))
    faults = reader.examine(
        {
            "policies[0]": PolicyEntry(name="rest", effect="deny"),
            "policies[1]": PolicyEntry(name="n", effect="deny", times=(WindowEntry(zone="Nowhere/Atall"),)),
        }
    )
    assert {path for path, _ in faults} == {"policies[0].name", "policies[1].times[0].zone"}

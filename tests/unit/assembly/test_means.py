"""Control opens the store that jotgate started with, whatever the settings say when it is started again."""

from pathlib import Path

import pytest

from jotgate.assembly.at_start import at_start
from jotgate.assembly.means import means_at_start, means_of
from jotgate.errors import ConfigurationError
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources, load_settings

_MASTER = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"


def write(directory: Path, database: str) -> Sources:
    """Settings of a store and its secrets."""
    text = f'url = "postgresql://u@localhost/{database}"\npassword_env = "PASSWORD_{database.upper()}"\n'
    (directory / "jotgate.toml").write_text(f'[store]\n{text}[keys]\nmaster_key_file = "master"\nalgorithm = "PS256"\n')
    (directory / "master").write_text(_MASTER + "\n")
    (directory / "master").chmod(0o600)
    environment = {"PASSWORD_ONE": "first-password", "PASSWORD_TWO": "second-password"}
    return Sources(file=directory / "jotgate.toml", environment=environment)


def test_what_was_said_at_the_start_counts_with_its_own_secrets(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    sources = write(tmp_path, "one")
    settings = load_settings(sources)
    started = at_start(settings.require())
    as_they_are = means_of(directory, settings)
    assert as_they_are.address.url == "postgresql://u@localhost/one"
    assert [secret.reveal() for secret in as_they_are.secrets] == ["first-password", _MASTER]
    later = load_settings(write(tmp_path, "two"))
    assert later.store_password is not None
    assert later.store_password.reveal() == "second-password"
    means = means_at_start(directory, sources, started, "http://127.0.0.1:1", later)
    assert (means.address.url, means.url) == ("postgresql://u@localhost/one", "http://127.0.0.1:1")
    assert [secret.reveal() for secret in means.secrets] == ["first-password", _MASTER]
    assert means.algorithm == "PS256"
    assert "first-password" not in repr(means)


def test_a_secret_that_went_is_told_by_its_setting(tmp_path: Path) -> None:
    sources = write(tmp_path, "one")
    settings = load_settings(sources)
    (tmp_path / "master").unlink()
    with pytest.raises(ConfigurationError) as caught:
        means_at_start(DataDirectory(tmp_path), sources, at_start(settings.require()), "", settings)
    assert [path for path, _ in caught.value.faults] == ["keys.master_key_file"]

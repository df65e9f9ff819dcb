"""Where the settings have the store, and its password."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.stores.addresses import StoreAddress, store_address
from jotgate.stores.effective import effective
from jotgate.stores.settings import Settings, Sources, load_settings

_URL = "postgresql://ann@localhost/jotgate"
_HEAD = f'[store]\nurl = "{_URL}"\n'


def load(folder: Path, text: str, variables: Mapping[str, str] | None = None, *, development: bool = False) -> Settings:
    """The settings in a file, and the environment."""
    file = folder / "jotgate.toml"
    file.write_text(text)
    return load_settings(Sources(file=file, environment=variables or {}, development=development))


def address_of(settings: Settings) -> StoreAddress:
    """Where they have the store."""
    return store_address(settings.require().store, settings.store_password, Path("/data/store.db"))


def test_without_a_url_it_is_a_file_in_data() -> None:
    address = address_of(load_settings(Sources()))
    assert address == StoreAddress(file=Path("/data/store.db"))
    assert address.place == "SQLite file '/data/store.db'"


def test_the_url_may_stand_in_the_environment() -> None:
    address = address_of(load_settings(Sources(environment={"JOTGATE_STORE__URL": _URL})))
    assert address == StoreAddress(url=_URL)
    assert address.place == f"PostgreSQL '{_URL}'"


def test_the_password_comes_from_a_variable_a_file_or_its_own_variable(tmp_path: Path) -> None:
    wanted = StoreAddress(url=_URL, password=Secret("pass word"))
    (tmp_path / "secret").write_text("pass word\n")
    found = [
        load(tmp_path, _HEAD + 'password_env = "DB"', {"DB": "pass word"}),
        load(tmp_path, _HEAD + 'password_file = "secret"'),
        load(tmp_path, _HEAD, {"JOTGATE_STORE__PASSWORD": "pass word"}),
        load(tmp_path, _HEAD + 'password = "pass word"', development=True),
    ]
    assert [address_of(settings) for settings in found] == [wanted] * 4
    assert effective(found[3].require(), {})["store.password"][0] == "(secret)"


@pytest.mark.parametrize(
    ("text", "setting", "said"),
    [
        ('password_env = "DB"', "store.password_env", "names the environment variable 'DB', which is set neither"),
        ('password_file = "absent"', "store.password_file", "cannot be read: No such file"),
        ('password = "hunter2"', "store.password", "is a secret, and none may stand in this file"),
        ("password = 12345678", "store.password", "is a secret, and none may stand in this file"),
        ('passwd = "x"', "store.passwd", "did you mean 'password'?"),
    ],
)
def test_a_password_that_is_not_there_or_stands_in_the_open_is_a_fault(
    tmp_path: Path, text: str, setting: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, _HEAD + text).require()
    found = caught.value.faults
    assert [fault for place, fault in found if place.endswith(f":3: {setting}") and said in fault], found
    assert "hunter2" not in str(found)
    assert "12345678" not in str(found)

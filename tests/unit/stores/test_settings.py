"""The configuration file and the credentials that it names."""

from pathlib import Path

import pytest

from jotgate.core.config import Config
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.stores.settings import read_config, read_credentials

_UPSTREAM = '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "http://h"\nmodels = ["m"]\n'


def config_with(tmp_path: Path, setting: str) -> Config:
    """A configuration whose upstream has one more setting."""
    file = tmp_path / "jotgate.toml"
    file.write_text(_UPSTREAM + setting)
    return read_config(file)


def test_no_file_means_the_defaults() -> None:
    assert read_config(None) == Config()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[server]\nport = \n", "is not TOML: Invalid value (at line 2, column 8)"),
        (b"\xff", "is not UTF-8 text"),
        (b"[server]\nport = -1\n", "server.port is -1"),
    ],
)
def test_a_fault_names_file_and_place(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_config(file)
    ((path, fault),) = caught.value.faults
    assert path.startswith(str(file))
    assert said in f"{path} {fault}"


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_config(tmp_path / "absent.toml")


def test_a_credential_comes_from_the_environment(tmp_path: Path) -> None:
    config = config_with(tmp_path, 'credential_env = "KEY"\n')
    assert read_credentials(config, {"KEY": " sk-1\n"}, None) == {"u": Secret("sk-1")}


def test_a_credential_file_lies_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("sk-2\n")
    config = config_with(tmp_path, 'credential_file = "key.txt"\n')
    assert read_credentials(config, {}, tmp_path / "jotgate.toml") == {"u": Secret("sk-2")}


def test_no_credential_is_needed(tmp_path: Path) -> None:
    assert read_credentials(config_with(tmp_path, ""), {}, None) == {}


@pytest.mark.parametrize("text", ["", " \n", "sk\nhush", "sk-hush\x00", "sk-höhö", "x" * 16_385])
def test_what_cannot_go_into_a_header_is_no_credential_and_is_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_credentials(config_with(tmp_path, 'credential_env = "KEY"\n'), {"KEY": text}, None)
    ((path, fault),) = caught.value.faults
    assert path == "upstreams[0].credential_env"
    assert "'KEY'" in fault
    assert "hush" not in fault


@pytest.mark.parametrize(
    ("setting", "said"),
    [('credential_env = "KEY"\n', "'KEY', which is not set"), ('credential_file = "k"\n', "which cannot be read")],
)
def test_a_credential_that_is_not_there_is_a_fault(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_credentials(config_with(tmp_path, setting), {}, tmp_path / "jotgate.toml")

"""The issuer's name is fixed once."""

from pathlib import Path

import pytest

from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.stores.files import PrivateFiles
from jotgate.stores.installation import Installation, fix_installation, read_installation


def test_the_first_name_stays(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    assert read_installation(files) is None
    assert fix_installation(files, "", "http://127.0.0.1:1") == Installation("http://127.0.0.1:1")
    assert fix_installation(files, "", "http://127.0.0.1:2") == Installation("http://127.0.0.1:1")
    assert fix_installation(files, "http://127.0.0.1:1", "") == Installation("http://127.0.0.1:1")


def test_a_public_url_goes_before_the_address(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    assert fix_installation(files, "https://g", "http://127.0.0.1:1") == Installation("https://g")


def test_another_public_url_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    fix_installation(files, "", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError) as caught:
        fix_installation(files, "https://g", "")
    ((path, fault),) = caught.value.faults
    assert path == "server.public_url"
    assert "'https://g'" in fault
    assert "'http://127.0.0.1:1'" in fault
    assert "--data" in fault


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"issuer":1}', b"\xff", b'{"issuer":"\xff"}'])
def test_a_spoiled_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    files = PrivateFiles(tmp_path)
    files.replace("installation.json", content)
    with pytest.raises(DirectoryRefused, match="not what jotgate wrote"):
        fix_installation(files, "", "http://127.0.0.1:1")
    assert files.read("installation.json") == content

"""The issuer's name is fixed once."""

from pathlib import Path

import pytest

from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.stores.files import PrivateFiles
from jotgate.stores.installation import Installation, fix_installation, read_installation
from jotgate.stores.memory import MemoryStore


def test_the_first_name_stays(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    assert read_installation(files) is None
    assert fix_installation(files, store, "", "http://127.0.0.1:1") == Installation("http://127.0.0.1:1")
    assert fix_installation(files, store, "", "http://127.0.0.1:2") == Installation("http://127.0.0.1:1")
    assert fix_installation(files, store, "http://127.0.0.1:1", "") == Installation("http://127.0.0.1:1")


def test_a_public_url_goes_before_the_address(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    assert fix_installation(files, store, "https://g", "http://127.0.0.1:1") == Installation("https://g")


def test_another_public_url_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    fix_installation(files, store, "", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError) as caught:
        fix_installation(files, store, "https://g", "")
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
        fix_installation(files, MemoryStore(), "", "http://127.0.0.1:1")
    assert files.read("installation.json") == content


def test_an_installation_from_before_the_store_gives_its_name_to_it(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    files.replace("installation.json", b'{"issuer":"https://old"}')
    assert fix_installation(files, store, "", "http://127.0.0.1:2") == Installation("https://old")
    assert store.fact("issuer") == "https://old"


def test_a_further_machine_takes_the_name_from_the_store_whatever_it_listens_on(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    store.fix_fact("issuer", "https://g")
    assert fix_installation(files, store, "", "http://127.0.0.1:2") == Installation("https://g")
    assert read_installation(files) == Installation("https://g")


def test_a_machine_with_another_public_url_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    store.fix_fact("issuer", "https://g")
    with pytest.raises(ConfigurationError) as caught:
        fix_installation(files, store, "https://other", "http://127.0.0.1:2")
    ((path, fault),) = caught.value.faults
    assert path == "server.public_url"
    assert "'https://g'" in fault
    assert files.names() == []


def test_the_store_of_another_installation_is_refused(tmp_path: Path) -> None:
    files, store = PrivateFiles(tmp_path), MemoryStore()
    files.replace("installation.json", b'{"issuer":"https://mine"}')
    store.fix_fact("issuer", "https://theirs")
    with pytest.raises(ConfigurationError) as caught:
        fix_installation(files, store, "", "http://127.0.0.1:2")
    ((path, fault),) = caught.value.faults
    assert path == "store.url"
    assert "'https://theirs'" in fault
    assert "'https://mine'" in fault

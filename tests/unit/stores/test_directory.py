"""DATA and its lock."""

import os
from pathlib import Path

import pytest

from jotgate.errors import Code, DirectoryBusy, DirectoryRefused
from jotgate.stores.directory import DataDirectory


def test_the_lock_is_held_by_one_and_free_when_the_last_copy_is_closed(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    held = directory.take_lock(0)
    copy = os.dup(held)  # As a child holds it.
    assert directory.try_lock() is None
    os.close(held)
    assert directory.try_lock() is None
    os.close(copy)
    again = directory.try_lock()
    assert again is not None
    os.close(again)


def test_who_comes_second_is_told_who_holds_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    held = directory.take_lock(0)
    with pytest.raises(DirectoryBusy, match=f"process {os.getpid()} is using") as caught:
        directory.take_lock(0.1)
    assert caught.value.code is Code.DIRECTORY_BUSY
    os.close(held)


def test_a_lock_without_a_readable_owner_is_still_a_lock(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    held = directory.take_lock(0)
    directory.lock.write_bytes(b"\xff")
    with pytest.raises(DirectoryBusy, match="another process is using"):
        directory.take_lock(0)
    os.close(held)


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    longest = Path("/" + "d" * (107 - len("//control.sock")))
    DataDirectory(longest).check_socket_paths()
    with pytest.raises(DirectoryRefused, match="is 108 bytes long"):
        DataDirectory(Path(f"{longest}d")).check_socket_paths()

"""Small private files: whole or not at all, and nobody else's."""

import os
from pathlib import Path

import pytest

from jotgate.errors import Code, DirectoryRefused
from jotgate.stores.files import PrivateFiles, prepare_directory


def test_what_was_written_is_read_and_private(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    assert files.read("a") is None
    files.replace("a", b"one")
    files.replace("a", b"two")
    assert files.read("a") == b"two"
    assert files.names() == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = PrivateFiles(tmp_path)
    files.replace("a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DirectoryRefused, match="No space left on device"):
        files.replace("a", b"new")
    assert files.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_temporary_file_left_by_a_crash_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / ".a.0123").write_bytes(b"half")
    assert PrivateFiles(tmp_path).names() == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    path.chmod(mode)
    with pytest.raises(DirectoryRefused, match=f"has mode 0{mode:o}") as caught:
        PrivateFiles(tmp_path).read("a")
    assert caught.value.code is Code.DIRECTORY_REFUSED
    assert caught.value.hint == f"chmod 600 '{path}'"


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    PrivateFiles(tmp_path, bytes_max=2_097_152).replace("a", bytes(1_048_577))
    with pytest.raises(DirectoryRefused, match="larger than 1 MiB"):
        files.read("a")


def test_a_directory_is_made_private(tmp_path: Path) -> None:
    prepare_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_wide_directory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o755)
    with pytest.raises(DirectoryRefused, match="has mode 0755") as caught:
        prepare_directory(path)
    assert caught.value.hint == f"chmod 700 '{path}'"


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DirectoryRefused, match="is not a directory"):
        prepare_directory(tmp_path / "a")
    with pytest.raises(DirectoryRefused, match="cannot be used: Not a directory"):
        prepare_directory(tmp_path / "a" / "b")


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(DirectoryRefused, match=f"belongs to user {mine}"):
        prepare_directory(tmp_path)


def test_a_file_is_erased_once_and_may_be_gone(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    files.replace("one", b"1")
    files.remove("one")
    files.remove("one")
    assert (files.names(), files.read("one")) == ([], None)

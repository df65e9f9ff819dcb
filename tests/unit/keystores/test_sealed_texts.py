"""Texts sealed for the store: opened by their own key alone, in their own row, and never when damaged."""

import stat
from pathlib import Path
from typing import Final

import pytest

from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused
from jotgate.keystores.sealed_texts import SealKey, TextSeals
from jotgate.stores.files import PrivateFiles

TEXT: Final = Secret("refresh-\u2603-0123456789abcdef")
ROW: Final = ("coze", "client", "https://api.coze.com/api/permission/oauth2/token")
MASTER: Final = Secret("0123456789abcdef" * 4)


def files(folder: Path) -> PrivateFiles:
    folder.mkdir(mode=0o700, exist_ok=True)
    return PrivateFiles(folder)


@pytest.mark.parametrize("master", [None, MASTER])
def test_a_text_comes_back_and_nothing_of_it_shows(tmp_path: Path, master: Secret | None) -> None:
    seals = TextSeals(master, files(tmp_path / "data"))
    sealed = seals.seal(TEXT, ROW)
    assert seals.open(sealed, ROW) == TEXT
    assert seals.seal(TEXT, ROW) != sealed, "each sealing has a nonce of its own"
    assert b"refresh" not in sealed
    assert TextSeals(master, files(tmp_path / "data")).open(sealed, ROW) == TEXT, "after a start too"


def test_the_key_of_data_is_made_when_it_is_needed_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    seals = TextSeals(None, files(folder))
    with pytest.raises(DirectoryRefused, match="under another key"):
        seals.open(b"\x01 something sealed elsewhere", ROW)
    assert list(folder.iterdir()) == []
    seals.seal(TEXT, ROW)
    (file,) = folder.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("seal.key", 0o600)
    assert len(file.read_text()) == 45


def test_with_a_master_key_no_file_is_made(tmp_path: Path) -> None:
    TextSeals(MASTER, files(tmp_path / "data")).seal(TEXT, ROW)
    assert list((tmp_path / "data").iterdir()) == []


def test_what_was_sealed_before_there_was_a_master_key_is_opened_with_it_and_sealed_under_it(tmp_path: Path) -> None:
    own = files(tmp_path / "data")
    before = TextSeals(None, own).seal(TEXT, ROW)
    both = TextSeals(MASTER, own)
    assert both.open(before, ROW) == TEXT
    later = both.seal(TEXT, ROW)
    with pytest.raises(DirectoryRefused, match="under another key"):
        TextSeals(None, own).open(later, ROW)


def test_it_is_opened_in_its_own_row_alone(tmp_path: Path) -> None:
    seals = TextSeals(MASTER, files(tmp_path / "data"))
    sealed = seals.seal(TEXT, ROW)
    for other in (("other", *ROW[1:]), (*ROW[:2], "https://evil.example/token"), ("coze", "clienthttps", "x"), ROW[:2]):
        with pytest.raises(DirectoryRefused, match="something else's"):
            seals.open(sealed, other)


def test_the_parts_of_a_context_are_kept_apart(tmp_path: Path) -> None:
    seals = TextSeals(MASTER, files(tmp_path / "data"))
    with pytest.raises(DirectoryRefused):
        seals.open(seals.seal(TEXT, ("a", "b\0c")), ("a\0b", "c"))


def test_every_flipped_byte_is_found_out() -> None:
    key = SealKey(MASTER)
    sealed = key.seal(TEXT, ROW)
    for place in range(len(key.head), len(sealed)):
        flipped = bytearray(sealed)
        flipped[place] ^= 1
        assert key.open(bytes(flipped), ROW) is None
    assert [key.open(sealed[:size], ROW) for size in range(len(sealed))] == [None] * len(sealed)


def test_another_master_key_opens_nothing_and_is_told_apart(tmp_path: Path) -> None:
    own = files(tmp_path / "data")
    sealed = TextSeals(MASTER, own).seal(TEXT, ROW)
    with pytest.raises(DirectoryRefused, match="under another key") as caught:
        TextSeals(Secret("another" * 8), own).open(sealed, ROW)
    assert "keys.master_key_env" in caught.value.hint
    assert "0123456789abcdef" not in repr(SealKey(MASTER)) + str(caught.value)


@pytest.mark.parametrize("content", ["", "\n", "short", "x" * 100])
def test_a_file_that_holds_no_key_is_refused_not_taken_for_one(tmp_path: Path, content: str) -> None:
    own = files(tmp_path / "data")
    own.replace("seal.key", content.encode())
    for ask in (lambda: TextSeals(None, own).seal(TEXT, ROW), lambda: TextSeals(None, own).open(b"\x01", ROW)):
        with pytest.raises(DirectoryRefused, match=r"'seal\.key' in DATA is not what jotgate wrote"):
            ask()

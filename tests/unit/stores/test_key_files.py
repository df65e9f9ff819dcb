"""JWK Sets on disk: one that somebody puts there for jotgate, and those that it keeps for its next start."""

import os
from pathlib import Path

import pytest

from jotgate.core.key_fetches import Failed, Get, Got, KeptSet, Unchanged
from jotgate.errors import DirectoryRefused
from jotgate.stores.files import PrivateFiles
from jotgate.stores.kept_key_sets import KEPT_BYTES_MAX, KeptKeySets
from jotgate.stores.key_files import KeyFiles

pytestmark = pytest.mark.anyio
_KEPT = KeptSet("digest", b'{"keys":[]}', "https://idp.example/keys", '"1"', "then", 1_800_000_000.5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def get(path: Path, etag: str = "") -> Got | Unchanged | Failed:
    return await KeyFiles().get(Get(str(path), 10.0, etag=etag))


async def test_a_file_is_read_again_only_when_it_looks_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(b"{}")
    got = await get(file)
    assert isinstance(got, Got)
    assert got.body == b"{}"
    assert await get(file, got.etag) == Unchanged()
    other = tmp_path / "other.json"
    other.write_bytes(b"[]")
    other.rename(file)
    again = await get(file, got.etag)
    assert isinstance(again, Got)
    assert again.body == b"[]"


async def test_what_is_no_readable_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b" " * 262_145)
    for name, reason in (
        ("nothing", "No such file"),
        (".", "Is a directory"),
        ("fifo", "is no file"),
        ("large", "more than 262144 bytes"),
        ("with\0zero", "cannot be read"),
    ):
        got = await get(tmp_path / name)
        assert isinstance(got, Failed)
        assert reason in got.reason


def test_what_is_kept_is_what_is_read(tmp_path: Path) -> None:
    kept = KeptKeySets(PrivateFiles(tmp_path, KEPT_BYTES_MAX))
    assert kept.read() == {}
    kept.keep({"idp": _KEPT})
    assert kept.read() == {"idp": _KEPT}
    assert (tmp_path / "issuer-keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"idp":{}}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_jotgates_says_nothing(tmp_path: Path, content: bytes) -> None:
    files = PrivateFiles(tmp_path, KEPT_BYTES_MAX)
    files.replace("issuer-keys.json", content)
    assert KeptKeySets(files).read() == {}


def test_a_file_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    kept = KeptKeySets(PrivateFiles(tmp_path, KEPT_BYTES_MAX))
    kept.keep({"idp": _KEPT})
    (tmp_path / "issuer-keys.json").chmod(0o666)
    with pytest.raises(DirectoryRefused):
        kept.read()

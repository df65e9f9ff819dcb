"""PEM files as a keystore."""

from pathlib import Path

import pytest

from jotgate.errors import DirectoryRefused
from jotgate.jose.keys import generate
from jotgate.keystores import PemKeystore
from jotgate.stores.files import PrivateFiles


def test_a_key_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    store = PemKeystore(PrivateFiles(tmp_path))
    assert (list(store.load()), store.active()) == ([], None)
    key = generate("ES256")
    store.add(key)
    store.activate(key.kid)
    (found,) = store.load()
    assert (found.kid, found.algorithm.name, store.active()) == (key.kid, "ES256", key.kid)
    assert key.verification_key.verify(b"text", found.sign(b"text"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"ES256.{key.kid}.pem", "active"])


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_spoiled_key_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    files = PrivateFiles(tmp_path)
    files.replace("ES256.abc.pem", content)
    with pytest.raises(DirectoryRefused, match=r"'keys/ES256\.abc\.pem' does not hold an ES256 private key"):
        PemKeystore(files).load()


def test_a_key_under_another_keys_name_is_refused(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    key = generate("ES256")
    PemKeystore(files).add(key)
    (tmp_path / f"ES256.{key.kid}.pem").rename(tmp_path / "ES256.other.pem")
    with pytest.raises(DirectoryRefused) as caught:
        PemKeystore(files).load()
    assert caught.value.hint == f"Give it back its name: ES256.{key.kid}.pem"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    store = PemKeystore(PrivateFiles(tmp_path))
    key = generate("ES256")
    store.add(key)
    (tmp_path / f"ES256.{key.kid}.pem").chmod(0o644)
    with pytest.raises(DirectoryRefused, match="has mode 0644"):
        store.load()

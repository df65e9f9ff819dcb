"""PEM files as a keystore."""

from pathlib import Path

import pytest

from jotgate.core.durable import KeyRecord, KeyState
from jotgate.errors import DirectoryRefused
from jotgate.jose.keys import SigningKey, generate, signing_key_to_pem
from jotgate.keystores.pem import PemKeystore
from jotgate.stores.files import PrivateFiles


def record_of(key: SigningKey) -> KeyRecord:
    return KeyRecord(key.kid, key.algorithm.name, b"{}", None, KeyState.ACTIVE, 1)


def test_a_key_comes_back_as_it_was_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    store, key = PemKeystore(PrivateFiles(tmp_path)), generate("ES256")
    assert (list(store.strays()), store.named(), store.find(record_of(key))) == ([], None, None)
    store.keep(key)
    found = store.find(record_of(key))
    assert found is not None
    assert (found.kid, found.algorithm.name) == (key.kid, "ES256")
    assert key.verification_key.verify(b"text", found.sign(b"text"))
    assert [path.name for path in tmp_path.iterdir()] == [f"ES256.{key.kid}.pem"]
    assert [one.kid for one in store.strays()] == [key.kid]
    store.forget(record_of(key))
    store.forget(record_of(key))
    assert list(tmp_path.iterdir()) == []


def test_the_mark_of_an_older_installation_is_read_and_erased(tmp_path: Path) -> None:
    store = PemKeystore(PrivateFiles(tmp_path))
    PrivateFiles(tmp_path).replace("active", b"abc\n")
    assert store.named() == "abc"
    store.adopted()
    store.adopted()
    assert list(tmp_path.iterdir()) == []


def test_a_kid_from_elsewhere_leads_to_no_file_outside(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    store = PemKeystore(PrivateFiles(tmp_path / "keys"))
    (tmp_path / "stolen.pem").write_bytes(signing_key_to_pem(generate("ES256")))
    record = KeyRecord("../../stolen", "ES256", b"{}", None, KeyState.RETIRED, 1)
    assert store.find(record) is None
    store.forget(record)
    assert (tmp_path / "stolen.pem").exists()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_spoiled_key_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    files = PrivateFiles(tmp_path)
    files.replace("ES256.abc.pem", content)
    with pytest.raises(DirectoryRefused, match=r"'keys/ES256\.abc\.pem' does not hold an ES256 private key"):
        PemKeystore(files).strays()


def test_a_key_under_another_keys_name_is_refused(tmp_path: Path) -> None:
    files = PrivateFiles(tmp_path)
    key = generate("ES256")
    PemKeystore(files).keep(key)
    (tmp_path / f"ES256.{key.kid}.pem").rename(tmp_path / "ES256.other.pem")
    with pytest.raises(DirectoryRefused) as caught:
        PemKeystore(files).strays()
    assert caught.value.hint == f"Give it back its name: ES256.{key.kid}.pem"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    store = PemKeystore(PrivateFiles(tmp_path))
    key = generate("ES256")
    store.keep(key)
    (tmp_path / f"ES256.{key.kid}.pem").chmod(0o644)
    with pytest.raises(DirectoryRefused, match="has mode 0644"):
        store.find(record_of(key))

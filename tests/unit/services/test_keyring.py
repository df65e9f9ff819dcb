"""The keyring of an installation, through every crash of its first start."""

from collections.abc import Sequence

import pytest

from jotgate.errors import DirectoryRefused
from jotgate.jose.keys import SigningKey, generate
from jotgate.services.keyring import open_keyring


class PowerCut(Exception):
    """The process ended here."""


class MemoryKeystore:
    """A keystore that ends the process before its `cut`-th write."""

    def __init__(self, cut: int = 99) -> None:
        self.keys: list[SigningKey] = []
        self.named: str | None = None
        self.cut = cut

    def load(self) -> Sequence[SigningKey]:
        return self.keys

    def active(self) -> str | None:
        return self.named

    def add(self, key: SigningKey) -> None:
        self._write()
        self.keys.append(key)

    def activate(self, kid: str) -> None:
        self._write()
        self.named = kid

    def _write(self) -> None:
        self.cut -= 1
        if self.cut < 0:
            raise PowerCut


def test_a_first_start_makes_one_key_and_later_ones_find_it() -> None:
    store = MemoryKeystore()
    first = open_keyring(store)
    later = open_keyring(store)
    assert first.created
    assert not later.created
    assert first.signing_key.algorithm.name == "ES256"
    assert later.signing_key is first.signing_key
    assert store.named == first.signing_key.kid
    assert later.key_set.get(first.signing_key.kid) is not None


@pytest.mark.parametrize("cut", [0, 1])
def test_a_start_cut_short_leaves_no_key_or_the_one_that_the_next_start_uses(cut: int) -> None:
    store = MemoryKeystore(cut)
    with pytest.raises(PowerCut):
        open_keyring(store)
    left = list(store.keys)
    store.cut = 99
    keyring = open_keyring(store)
    assert [keyring.signing_key] == store.keys
    assert left in ([], [keyring.signing_key])


def test_all_keys_verify_and_the_active_one_signs() -> None:
    store = MemoryKeystore()
    store.keys = [generate("ES256"), generate("ES256")]
    store.named = store.keys[1].kid
    keyring = open_keyring(store)
    assert keyring.signing_key is store.keys[1]
    assert {key.kid for key in keyring.key_set.keys} == {key.kid for key in store.keys}


@pytest.mark.parametrize(("count", "named"), [(2, None), (1, "gone"), (0, "gone")])
def test_which_key_signs_is_never_guessed(count: int, named: str | None) -> None:
    store = MemoryKeystore()
    store.keys = [generate("ES256") for _ in range(count)]
    store.named = named
    with pytest.raises(DirectoryRefused, match="'keys/active' does not name one"):
        open_keyring(store)
    assert len(store.keys) == count

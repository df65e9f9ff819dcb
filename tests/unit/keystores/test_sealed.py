"""Private parts sealed under a master key: opened by that one alone, under their own name, and not when damaged."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.core.durable import KeyRecord, KeyState
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose.keys import SigningKey, generate
from jotgate.keystores.pem import PemKeystore
from jotgate.keystores.sealed import MasterKey, SealedKeystore
from jotgate.stores.files import PrivateFiles


def master() -> MasterKey:
    return MasterKey(Secret(os.urandom(32).hex()))


def record_of(key: SigningKey, sealed: bytes | None) -> KeyRecord:
    return KeyRecord(key.kid, key.algorithm.name, b"{}", sealed, KeyState.ACTIVE, 1)


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "Ed25519", "RS256", "PS384"])
def test_a_key_comes_back_and_signs_as_before(algorithm: str) -> None:
    own, key = master(), generate(algorithm)
    sealed = own.seal(key)
    found = own.open(record_of(key, sealed))
    assert (found.kid, found.algorithm) == (key.kid, key.algorithm)
    assert key.verification_key.verify(b"input", found.sign(b"input"))
    assert own.seal(key) != sealed, "each sealing has a nonce of its own"
    assert b"PRIVATE" not in sealed


def test_every_flipped_bit_is_found_out_and_told_apart_from_a_wrong_master_key() -> None:
    own, key = master(), generate("Ed25519")
    sealed = own.seal(key)
    reasons: dict[str, int] = {}
    for place in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(KeyRefused) as caught:
            own.open(record_of(key, bytes(flipped)))
        reason = caught.value.message.partition(" is ")[2]
        reasons[reason] = reasons.get(reason, 0) + 1
    assert reasons == {
        "sealed in a form that this jotgate does not know": 8,
        "damaged, or was sealed under another master key": 64,
        "damaged, or is another key's": len(sealed) * 8 - 72,
    }


def test_another_master_key_is_refused_as_such_and_tells_nothing() -> None:
    own, other, key = master(), master(), generate("ES256")
    with pytest.raises(KeyRefused, match="another master key"):
        other.open(record_of(key, own.seal(key)))
    assert own.fingerprint != other.fingerprint
    secret = "0123456789abcdef" * 4
    assert secret not in repr(MasterKey(Secret(secret)))


@pytest.mark.parametrize("length", [0, 1, 9, 20, 21, 36])
def test_a_part_that_is_cut_short_is_refused(length: int) -> None:
    own, key = master(), generate("ES256")
    with pytest.raises(KeyRefused):
        own.open(record_of(key, own.seal(key)[:length]))


def test_a_part_is_of_no_use_under_another_name_or_algorithm() -> None:
    own, key, other = master(), generate("RS256"), generate("RS256")
    sealed = own.seal(key)
    for record in (record_of(other, sealed), replace(record_of(key, sealed), algorithm="PS256")):
        with pytest.raises(KeyRefused, match="damaged, or is another key's"):
            own.open(record)


def test_what_is_not_sealed_yet_is_read_from_its_file(tmp_path: Path) -> None:
    files = PemKeystore(PrivateFiles(tmp_path))
    store, key = SealedKeystore(master(), files), generate("ES256")
    assert store.find(record_of(key, None)) is None
    files.keep(key)
    found = store.find(record_of(key, None))
    assert found is not None
    assert found.kid == key.kid
    assert store.find(record_of(key, store.keep(key))) is not None
    store.forget(record_of(key, None))
    assert list(tmp_path.iterdir()) == []

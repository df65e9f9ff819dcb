"""The keys of this installation's issuer: the one that signs, and all that verify."""

from typing import Final

from jotgate.errors import DirectoryRefused
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.ports import Keystore

DEFAULT_ALGORITHM: Final = "ES256"


class Keyring:
    """Immutable: what a keystore held when it was opened. `created` says that its first key was made just then."""

    def __init__(self, signing_key: SigningKey, key_set: KeySet, *, created: bool) -> None:
        self.signing_key = signing_key
        self.key_set = key_set
        self.created = created


def open_keyring(store: Keystore) -> Keyring:
    """The keyring of a store; an empty one gets its first key.

    The key is kept before it is named as the one that signs. A process killed between the two leaves a single key
    without that mark, which is then the one that signs.

    Raises:
        DirectoryRefused: the store cannot be used, or does not say which of several keys signs.
    """
    keys = list(store.load())
    active = store.active()
    created = not keys and active is None
    if created:
        keys = [generate(DEFAULT_ALGORITHM)]
        store.add(keys[0])
    if active is None and len(keys) == 1:
        active = keys[0].kid
        store.activate(active)
    for key in keys:
        if key.kid == active:
            return Keyring(key, KeySet([one.verification_key for one in keys]), created=created)
    raise DirectoryRefused(
        "the file 'keys/active' does not name one of the keys in 'keys'",
        hint="Bring the missing key back from a backup, or write the kid of one that is there into 'keys/active'",
    )

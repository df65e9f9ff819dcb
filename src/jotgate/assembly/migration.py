"""`jotgate migrate`: says what the store's schema lacks, and brings it up to date."""

import os

from msgspec import Struct

from jotgate.stores.addresses import StoreAddress, store_address
from jotgate.stores.directory import DataDirectory
from jotgate.stores.migrator import Revision, pending
from jotgate.stores.opening import migrate, read_schema
from jotgate.stores.settings import Sources, load_settings


class Migration(Struct, frozen=True):
    """Where the store is, which revision it has (None: it is empty), and what it lacks, in order."""

    place: str
    revision: str | None
    missing: tuple[Revision, ...]


def find_store(directory: DataDirectory, sources: Sources) -> StoreAddress:
    """Where the settings have the store. Raises ConfigurationError."""
    found = load_settings(sources, secrets=False)
    return store_address(found.require().store, found.store_password, directory.store)


def look(directory: DataDirectory, sources: Sources) -> Migration:
    """What `run` would do; nothing is changed.

    Raises:
        ConfigurationError, StoreRefused, StoreUnavailable, DirectoryRefused: the store cannot be looked at.
    """
    return _look(find_store(directory, sources))


def run(directory: DataDirectory, sources: Sources) -> Migration:
    """Do what is missing, under the lock on DATA. Returns what was found before.

    Raises:
        DirectoryBusy: a jotgate runs on DATA.
        ConfigurationError, StoreRefused, StoreUnavailable, DirectoryRefused: as `look`.
    """
    os.umask(0o077)
    address = find_store(directory, sources)
    found = _look(address)
    if not found.missing:
        return found
    directory.prepare()
    lock_fd = directory.try_lock()
    if lock_fd is None:
        raise directory.busy()
    try:
        before = migrate(address)
    finally:
        os.close(lock_fd)
    return found if before.missing else Migration(found.place, before.revision, ())


def _look(address: StoreAddress) -> Migration:
    state = read_schema(address)
    return Migration(address.place, state.revision, tuple(pending(state.revision)) if state.missing else ())

"""DATA, the directory that holds all of an installation: its layout, its mode, and the lock that one owner holds.

The lock is `flock` on `DATA/lock`. It belongs to the open file, which children inherit, so it is free only when the
supervisor and all its children are gone. The file holds the owner's process id, for messages alone.
"""

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from jotgate.errors import CommandError, DirectoryBusy, DirectoryRefused
from jotgate.stores.files import PrivateFiles, prepare_directory, refused

SOCKET_PATH_BYTES_MAX: Final = 107
"""Linux `sun_path` without its terminating zero (unix(7))."""

_RETRY_S: Final = 0.05


class DataDirectory(NamedTuple):
    """The names of what lies in DATA."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def control_socket(self) -> Path:
        """Where control answers the commands of the operator."""
        return self.path / "control.sock"

    @property
    def edge_socket(self) -> Path:
        """Where control answers HTTP that the edge forwards."""
        return self.path / "edge.sock"

    @property
    def bus_socket(self) -> Path:
        """Where control and workers exchange frames."""
        return self.path / "bus.sock"

    @property
    def keys(self) -> Path:
        """Where the signing keys lie."""
        return self.path / "keys"

    @property
    def store(self) -> Path:
        """The SQLite file, unless `store.url` names another store."""
        return self.path / "store.db"

    @property
    def audit(self) -> Path:
        """Where the audit segments lie."""
        return self.path / "audit"

    def prepare(self) -> PrivateFiles:
        """Make DATA if need be, and give access to its own files. Raises DirectoryRefused."""
        prepare_directory(self.path)
        return PrivateFiles(self.path)

    def check_socket_paths(self) -> None:
        """Raise DirectoryRefused when DATA lies so deep that a socket in it cannot have its full path as address."""
        length = len(os.fsencode(self.control_socket))
        if length > SOCKET_PATH_BYTES_MAX:
            raise DirectoryRefused(
                f"'{self.control_socket}' is {length} bytes long, and the path of a Unix socket may have "
                f"{SOCKET_PATH_BYTES_MAX}",
                hint="Choose a shorter directory with --data or JOTGATE_DATA",
            )

    def try_lock(self) -> int | None:
        """The descriptor that holds the lock, or None when somebody else has it. Raises DirectoryRefused."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refused(self.lock, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            raise refused(self.lock, error) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def take_lock(self, patience_s: float) -> int:
        """The descriptor that holds the lock, tried for `patience_s` seconds.

        Raises:
            DirectoryBusy: another process kept it all the while.
            DirectoryRefused: the lock file cannot be opened.
        """
        deadline_s = time.monotonic() + patience_s
        while True:
            descriptor = self.try_lock()
            if descriptor is not None:
                return descriptor
            if time.monotonic() >= deadline_s:
                raise self.busy()
            time.sleep(_RETRY_S)

    def holder(self) -> str:
        """The number of the process that took the lock last; empty when that is not known."""
        try:
            owner = self.lock.read_text("ascii", "replace").strip()
        except OSError:
            return ""
        return owner if owner.isdigit() else ""

    def missing(self) -> CommandError:
        """The error that says that nothing was ever started here."""
        return CommandError(
            f"there is no jotgate installation in '{self.path}'",
            hint="Name its directory with --data or JOTGATE_DATA, or start one: jotgate up",
        )

    def busy(self) -> DirectoryBusy:
        """The error that says which process holds the lock."""
        owner = self.holder()
        who = f"process {owner}" if owner else "another process"
        return DirectoryBusy(
            f"{who} is using '{self.path}'",
            hint="Stop it first, or choose another directory with --data or JOTGATE_DATA",
        )

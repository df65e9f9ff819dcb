"""Marks that the workers of one instance share: each is a lock on one byte of a file that the supervisor has made.

The file has no name and no content but a key. Its locks are the kernel's (POSIX record locks), so that asking for one
needs nobody, and those of a process that has ended are free, however it ended.
"""

import fcntl
import os
from typing import Final

_KEY_BYTES: Final = 32


def make_marks() -> int:
    """The descriptor of such a file, with a new key."""
    fd = os.memfd_create("jotgate-marks", os.MFD_CLOEXEC)
    os.pwrite(fd, os.urandom(_KEY_BYTES), 0)
    return fd


class SharedMarks:
    """The marks as one process has them (gateway.seats.Marks); it must not close the descriptor, nor have another.

    A process is not kept from a mark that it has itself: it has to know those.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.key: Final = os.pread(fd, _KEY_BYTES, 0)

    def take(self, number: int) -> bool:
        """Whether the mark is this process's from now on; if not, it is another one's."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):  # as POSIX lets a system say it
            return False
        return True

    def give(self, number: int) -> None:
        """Let others have the mark."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)

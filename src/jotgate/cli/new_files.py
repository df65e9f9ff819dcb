"""Files that a command makes for secrets: new ones, which only their owner can read, and whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jotgate.errors import DirectoryRefused


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """A new file of mode 0600 by its descriptor; it goes again if what is to be in it cannot be had."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DirectoryRefused(
            f"'{path}' cannot be made: {error.strerror}", hint="Name a file that is not there yet"
        ) from None
    done = False
    try:
        yield descriptor
        os.fsync(descriptor)
        done = True
    finally:
        os.close(descriptor)
        if not done:
            with suppress(OSError):
                path.unlink()

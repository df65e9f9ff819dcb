"""Small private files, written whole or not at all, in a directory that only their owner can enter.

A file is written under a temporary name, synced, renamed into place, and the directory is synced after it. A process
killed at any instant leaves the old state or the new one, and perhaps a temporary file, whose name begins with a dot
and which nothing reads.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from jotgate.errors import DirectoryRefused

_FILE_BYTES_MAX: Final = 1_048_576


class PrivateFiles:
    """The files of one directory, each of mode 0600 or narrower and ours, and of `bytes_max` bytes at most."""

    def __init__(self, directory: Path, bytes_max: int = _FILE_BYTES_MAX) -> None:
        self._directory = directory
        self._bytes_max = bytes_max

    def names(self) -> list[str]:
        """The names of the files, sorted, temporary ones left out. Raises DirectoryRefused."""
        try:
            return sorted(path.name for path in self._directory.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise refused(self._directory, error) from None

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such file.

        Raises:
            DirectoryRefused: it cannot be read, is not ours, others may use it, or it is too large.
        """
        path = self._directory / name
        try:
            with open(path, "rb") as file:
                check_private(path, os.fstat(file.fileno()), 0o600)
                content = file.read(self._bytes_max + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(path, error) from None
        if len(content) > self._bytes_max:
            large = f"'{path}' is larger than {self._bytes_max >> 20} MiB"
            raise DirectoryRefused(large, hint="It is not a file of jotgate; move it away")
        return content

    def replace(self, name: str, content: bytes) -> None:
        """Write a file, in place of whatever had its name. Raises DirectoryRefused, also when it is too large."""
        path = self._directory / name
        if len(content) > self._bytes_max:
            raise DirectoryRefused(f"'{path}' would be larger than {self._bytes_max >> 20} MiB", hint="Make it smaller")
        temporary = self._write_temporary(path, content)
        try:
            temporary.rename(path)
        except OSError as error:
            raise refused(path, error) from None
        self._sync()

    def remove(self, name: str) -> None:
        """Erase a file, durably; it may be gone already. Raises DirectoryRefused."""
        path = self._directory / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise refused(path, error) from None
        self._sync()

    def _write_temporary(self, path: Path, content: bytes) -> Path:
        temporary = self._directory / f".{path.name}.{secrets.token_hex(8)}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise refused(path, error) from None
        return temporary

    def _sync(self) -> None:
        try:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refused(self._directory, error) from None
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise refused(self._directory, error) from None
        finally:
            os.close(descriptor)


def prepare_directory(path: Path) -> None:
    """Make the directory with mode 0700 if need be, and check that it is ours and that nobody else can enter.

    Raises:
        DirectoryRefused: it cannot be made, is not ours, or its mode is wider than 0700.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except FileExistsError:
        raise DirectoryRefused(
            f"'{path}' is not a directory", hint="Move it away, or choose another directory with --data or JOTGATE_DATA"
        ) from None
    except OSError as error:
        raise refused(path, error) from None
    check_private(path, found, 0o700)


def check_private(path: Path, found: os.stat_result, mode_max: int) -> None:
    """Raise DirectoryRefused when the file is not ours, or its mode gives more than `mode_max`."""
    if found.st_uid != os.geteuid():
        raise DirectoryRefused(
            f"'{path}' belongs to user {found.st_uid}, and jotgate runs as user {os.geteuid()}",
            hint=f"Run jotgate as its owner, or give it away: chown {os.geteuid()} '{path}'",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~mode_max:
        raise DirectoryRefused(
            f"'{path}' has mode {mode:04o}, so others could get at what is secret in it",
            hint=f"chmod {mode_max:o} '{path}'",
        )


def refused(path: Path, error: OSError) -> DirectoryRefused:
    """The error for a path that the system would not let us use."""
    return DirectoryRefused(
        f"'{path}' cannot be used: {error.strerror or type(error).__name__}",
        hint="Check its owner, its mode and the disk, or choose another directory with --data or JOTGATE_DATA",
    )

"""Reads a file that a setting names, and says why it cannot be read without showing a secret put in its place."""

from collections.abc import Iterable
from pathlib import Path
from stat import S_IROTH
from typing import Final

from jotgate.core.redaction import is_path

_NO_PATH: Final = (
    "looks like the secret or the content of the file itself, not like its path; put it into a file that only its "
    "owner can read, and write that file's path here"
)


def read_named(base: Path, text: str, bytes_max: int) -> bytes:
    """The content of the file that `text` names from `base`: all of it, or `bytes_max` + 1 bytes if it is longer.

    Raises:
        ValueError: what is wrong, behind the setting's name.
    """
    path = base / text
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        if not is_path(text):
            raise ValueError(_NO_PATH) from None
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"names '{path}', which cannot be read: {reason}") from None


def warn_of_readers(paths: Iterable[Path]) -> list[str]:
    """A warning for each of these files of secrets that every user of the machine can read."""
    return [
        f"the credential file '{path}' can be read by every user of this machine; run: chmod 600 '{path}'"
        for path in paths
        if _everybody_reads(path)
    ]


def _everybody_reads(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & S_IROTH)
    except (OSError, ValueError):
        return False  # That it cannot be read is a fault of its setting.

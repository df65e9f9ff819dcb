"""Finds the credentials that settings name: in the environment, or in a file of one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jotgate.core.values import Secret

_CREDENTIAL_BYTES_MAX: Final = 16_384


def from_environment(environment: Mapping[str, str], name: str) -> Secret:
    """The credential in a variable. Raises ValueError, which says what is wrong behind the setting's name."""
    if name not in environment:
        raise ValueError(
            f"names the environment variable {name!r}, which is set neither in the environment nor in .env"
        )
    return read_credential(environment[name], f"names the environment variable {name!r}, which is")


def from_file(path: Path) -> Secret:
    """The credential in a file. Raises ValueError as `from_environment` does."""
    try:
        with path.open("rb") as file:
            content = file.read(_CREDENTIAL_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"names '{path}', which cannot be read: {error.strerror}") from None
    return read_credential(content.decode("utf-8", "replace"), f"names '{path}', which is")


def read_credential(text: str, which_is: str) -> Secret:
    """One line of printable ASCII: it goes into a header."""
    credential = text.strip()
    if not credential or not credential.isascii() or not credential.isprintable():
        raise ValueError(f"{which_is} empty or not one line of printable ASCII")
    if len(credential) > _CREDENTIAL_BYTES_MAX:
        raise ValueError(f"{which_is} longer than {_CREDENTIAL_BYTES_MAX} characters")
    return Secret(credential)

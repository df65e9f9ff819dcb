"""What an installation is: the issuer URL that its tokens name, fixed once in DATA/installation.json."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.ports import Files

_FILE: Final = "installation.json"


class Installation(Struct, frozen=True):
    """The content of the file. Fields may be added, with a default."""

    issuer: str


def read_installation(files: Files) -> Installation | None:
    """The installation in DATA, or None before the first start. Raises DirectoryRefused."""
    content = files.read(_FILE)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Installation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DirectoryRefused(
            f"the file '{_FILE}' in DATA is not what jotgate wrote",
            hint='Bring it back from a backup; it reads {"issuer":"URL"}, with the `iss` of your tokens',
        ) from None


def fix_installation(files: Files, public_url: str, fallback_url: str) -> Installation:
    """The installation in DATA, fixed now if it was not: under `public_url` or, when that is empty, `fallback_url`.

    Raises:
        ConfigurationError: `public_url` is not the URL that was fixed.
        DirectoryRefused: the file cannot be used.
    """
    found = read_installation(files)
    if found is None:
        found = Installation(issuer=public_url or fallback_url)
        files.replace(_FILE, msgspec.json.encode(found) + b"\n")
    check_public_url(found, public_url)
    return found


def check_public_url(installation: Installation, public_url: str) -> None:
    """Refuse a public URL, if there is one, that is not the URL that was fixed. Raises ConfigurationError."""
    if public_url and public_url != installation.issuer:
        fault = (
            f"is '{public_url}', but this installation is '{installation.issuer}', and all its tokens say so; write "
            f"that, or start a new installation in another directory with --data"
        )
        raise ConfigurationError([("server.public_url", fault)])

"""What an installation is: the issuer URL that its tokens name, fixed once in the store, with a copy in DATA."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.ports import Files
from jotgate.store_ports import Facts

_FILE: Final = "installation.json"
_FACT: Final = "issuer"


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


def fix_installation(files: Files, facts: Facts, public_url: str, fallback_url: str) -> Installation:
    """The installation that DATA and the store belong to, fixed now if it was not.

    Its name is a fact of the store; the file is this machine's copy, for those who do not open the store. Where neither
    has it yet it is `public_url` or, when that is empty, `fallback_url`. A file from before there was a store names it.

    Raises:
        ConfigurationError: `public_url`, or what the file says, is not the name that was fixed.
        DirectoryRefused: the file cannot be used.
        StoreUnavailable: the store cannot be asked.
    """
    copy = read_installation(files)
    if copy is not None:
        check_public_url(copy, public_url)
    found = Installation(facts.fix_fact(_FACT, (copy.issuer if copy is not None else public_url) or fallback_url))
    if copy is not None and copy != found:
        fault = (
            f"leads to the store of the installation '{found.issuer}', and this DATA belongs to '{copy.issuer}'; name "
            "the store of this installation, or start with another directory with --data"
        )
        raise ConfigurationError([("store.url", fault)])
    check_public_url(found, public_url)
    if copy is None:
        files.replace(_FILE, msgspec.json.encode(found) + b"\n")
    return found


def check_public_url(installation: Installation, public_url: str) -> None:
    """Refuse a public URL, if there is one, that is not the URL that was fixed. Raises ConfigurationError."""
    if public_url and public_url != installation.issuer:
        fault = (
            f"is '{public_url}', but this installation is '{installation.issuer}', and all its tokens say so; write "
            f"that, or start a new installation in another directory with --data"
        )
        raise ConfigurationError([("server.public_url", fault)])

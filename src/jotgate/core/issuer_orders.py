"""What a command asks of the issuers that the store keeps, and what it is told."""

from typing import Literal

from msgspec import Struct

from jotgate.core.status import IssuerState


class IssuerOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `table` is the entry of an issuer to add, as JSON of what would stand in the configuration.

    `version` is the one that is to be changed; None: whichever there is. `off`: what is added is not enabled.
    """

    action: Literal["list", "add", "remove", "enable", "disable"]
    name: str = ""
    table: str = ""
    version: int | None = None
    off: bool = False


class IssuerAnswer(Struct, frozen=True):
    """All issuers beside this installation, those of the configuration too, as they are now.

    `running` says that a control process goes by them already.
    """

    issuers: list[IssuerState]
    running: bool = False

"""What the operator asks of control about the issuers of the store, and what it answers."""

import msgspec
from msgspec import Struct

from jotgate.core.status import IssuerState


class IssuerToAdd(Struct, frozen=True):
    """Keep an issuer. `table` is its entry as it would stand in the configuration, as JSON."""

    table: msgspec.Raw


class IssuerToChange(Struct, frozen=True):
    """Switch an issuer on or off, or forget it."""

    name: str


class IssuerList(Struct, frozen=True):
    """All issuers beside this installation."""

    issuers: list[IssuerState]

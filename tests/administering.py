"""Orders about accounts as tests give them: by the operator, who may everything, or by who has some scopes."""

import os
from typing import Final

from jotgate.core.account_values import ClientValues
from jotgate.services.administration import Terms

ISSUER: Final = "https://gate.example"
NOW_S: Final = 1_800_000_000
MACHINE: Final = ClientValues(grants=("client_credentials",), scopes=("ai",))


class Chance:
    """The kernel's (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


def terms(*scopes: str, now_s: int = NOW_S) -> Terms:
    """Those of an order; without scopes it is the operator's."""
    return Terms(ISSUER, now_s, "admin" if scopes else "jotgate-cli", Chance(), frozenset(scopes) or None)

"""What `jotgate explain` asks of a revocation that its log does not know, and what it is told."""

from msgspec import Struct

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import token_handle

_OF_ISSUERS = frozenset({RevocationKind.TOKEN, RevocationKind.SUBJECT, RevocationKind.KEY, RevocationKind.SESSION})
"""What is named together with its issuer."""


class RevocationSought(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was revoked: its kind and name, and whose it is; `issuer` empty: this installation's."""

    kind: RevocationKind
    name: str
    issuer: str = ""

    def handle(self, own_issuer: str) -> str:
        """How a revocation names it."""
        return token_handle(self.issuer or own_issuer, self.name) if self.kind in _OF_ISSUERS else self.name


class RevocationFound(Struct, frozen=True):
    """The newest revocation of it, as the store has it; None: there is none any more."""

    revocation: Revocation | None

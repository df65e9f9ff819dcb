"""The tokens that this installation made for Kong, as values: consumers, credentials, and how far each has come.

Kong's jwt plugin finds a token's credential by its key, which the token carries as `kid`, and the consumer by the
credential. The rows of these credentials are the outbox too: what Kong is to know is said here first. Times are whole
seconds since the epoch (NumericDate, RFC 7519 s2).
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from jotgate.core.durable import PAIRED_BYTES_MAX, check_texts

OWN_TAG: Final = "jotgate"
"""What everything of ours at Kong is tagged with: what is not is somebody else's, and left alone."""

IN_FLIGHT_S: Final = 120
"""A row that has been `wanted` for longer is of a mint that was cut short: no minting takes half as long."""


class CredentialState(StrEnum):
    """How far a credential has come on its way to Kong, and from there."""

    WANTED = "wanted"
    """Said here, and perhaps at Kong already; its token is in nobody's hands yet."""
    HELD = "held"
    """Kong has it, and its token was handed out."""
    UNWANTED = "unwanted"
    """To be deleted at Kong; its secret is erased here."""
    GONE = "gone"
    """Deleted at Kong."""


class TakenAs(StrEnum):
    """What became of a new credential."""

    WANTED = "wanted"
    """It is kept."""
    NAMED_ALREADY = "named already"
    """Its consumer has a living token of this name, or another credential has its key."""
    OTHERS = "others"
    """A living token of its consumer is of another subject."""
    TOO_MANY = "too many"
    """Its consumer has as many living tokens as it may."""


LIVING: Final = frozenset({CredentialState.WANTED, CredentialState.HELD})
"""The states in which a credential has its token's name, and its secret."""


class KongConsumer(Struct, frozen=True):
    """A consumer as Kong is to have it. `custom_id` is the subject of the user's tokens, which no other user gets."""

    username: str
    custom_id: str
    tags: tuple[str, ...] = (OWN_TAG,)


class PlacedConsumer(Struct, frozen=True):
    """A consumer that Kong has: its id there, and whether it was created just now."""

    consumer_id: str
    created: bool


class CredentialCounts(Struct, frozen=True):
    """How many tokens are held, and how many consumers have one."""

    tokens: int
    consumers: int


class KongCredential(Struct, frozen=True, kw_only=True):
    """A credential of Kong's jwt plugin, and the named token that goes with it.

    `credential_id` is a UUID that we choose, by which Kong takes it (PUT). `key` is what the token has as `kid`.
    `consumer` is the username at Kong, `consumer_id` the id there, and `subject` whose it is: the subject of the user's
    tokens. Of an asymmetric token Kong has `public_key_pem`, and nobody the private key; of a symmetric one `sealed` is
    the secret as Kong takes it, in base64, sealed for the store, and None as soon as the credential is unwanted.
    `changed_at_s` is when it came into its state.
    """

    credential_id: str
    key: str
    consumer: str
    consumer_id: str
    subject: str
    token_name: str
    algorithm: str
    public_key_pem: str | None
    sealed: bytes | None
    created_at_s: int
    expires_at_s: int
    state: CredentialState
    changed_at_s: int
    description: str = ""

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)

    @property
    def context(self) -> tuple[str, ...]:
        """What its secret is sealed with, and cannot be opened without."""
        return ("kong", self.credential_id, self.key, self.consumer)

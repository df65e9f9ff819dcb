"""What the face of the API gateway (preset `api-gateway`) needs to decide and answer, as plain data."""

from hashlib import sha256
from hmac import digest
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.issuers import Issuer
from jotgate.core.values import Secret

API_GATEWAY: Final = "api-gateway"
"""The name of the preset, of its face and of its issuer."""

_KID_BYTES: Final = 8


class ApiGatewayRules(Struct, frozen=True, tag="api-gateway"):
    """What the operator says of how it answers. `algorithm` is what its tokens are signed with."""

    algorithm: str = "RS256"


def secret_kid(secret: Secret) -> str:
    """The `kid` of tokens that a secret signs: as hard to get the secret from as from a token, and not a digest of it.

    It changes with the secret, so that a token names the one that it was signed with.
    """
    return digest(secret.reveal().encode(), b"jotgate api-gateway kid", sha256)[:_KID_BYTES].hex()


def made_here(issuer: Issuer, installation: str) -> Issuer:
    """This face's issuer as one whose tokens this installation makes too: they are its own where they are revoked."""
    named = tuple(replace(one, kid=secret_kid(one.secret)) for one in issuer.secrets)
    return replace(issuer, installation=installation, secrets=named)

"""What the face of the API gateway (preset `api-gateway`) needs to decide and answer, as plain data."""

from typing import Final

from msgspec import Struct

API_GATEWAY: Final = "api-gateway"
"""The name of the preset, of its face and of its issuer."""


class ApiGatewayRules(Struct, frozen=True, tag="api-gateway"):
    """What the system's own variables say of how it answers. `algorithm` is what its tokens are signed with."""

    algorithm: str = "RS256"

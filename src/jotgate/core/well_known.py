"""Where the documents are that describe an issuer or a resource (RFC 8414 s3.1, RFC 9728 s3.1)."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

AUTHORIZATION_SERVER: Final = "oauth-authorization-server"
OPENID: Final = "openid-configuration"
PROTECTED_RESOURCE: Final = "oauth-protected-resource"


@lru_cache(maxsize=64)
def well_known_url(url: str, name: str) -> str:
    """The URL of the document of this name on an issuer or resource: it stands between the host and the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"

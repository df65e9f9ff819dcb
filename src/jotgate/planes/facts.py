"""What a plane's configuration is made of: what the installation is, and what its operator wants."""

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

KEY_FILES: Final = ".pem"
"""How the names of files with keys end."""

ASKED_FIELDS: Final = (
    "X-Forwarded-Method",
    "X-Forwarded-Uri",
    "X-Original-Method",
    "X-Original-Uri",
    "X-Original-Host",
)
"""By which a question says what is asked about. What a caller wrote there, no upstream is shown."""

_PORTS: Final = {"http": 80, "https": 443}


class PublicKey(Struct, frozen=True):
    """A key that verifies tokens of this installation, for planes that fetch none. Without `pem` it is only named."""

    kid: str
    algorithm: str
    pem: str = ""


class GateFacts(Struct, frozen=True, kw_only=True):
    """What an installation is to the planes that ask it.

    `gate` is the origin at which they reach it, `issuer` its name, which its tokens have as `iss`. Who asks nobody
    takes tokens with one of `audiences` and all of `scopes`. `forward_path` answers Caddy, Traefik and HAProxy,
    `nginx_path` nginx, `prefix` stands before the path where Envoy asks, and `grpc` is the address of that form; empty:
    it is not served. `identity` are the header fields in which an upstream is told who calls. `leeway_s` is how far
    clocks may differ. `keys` are those that verify.
    """

    gate: str
    issuer: str
    audiences: tuple[str, ...]
    scopes: tuple[str, ...]
    jwks_path: str
    forward_path: str
    nginx_path: str
    prefix: str
    grpc: str
    identity: tuple[str, ...]
    leeway_s: int
    keys: tuple[PublicKey, ...] = ()


class Wish(Struct, frozen=True, kw_only=True):
    """What the operator wants of a plane.

    `upstream` is the origin of what is protected, `listen` where the plane takes requests. `gate` is where it reaches
    jotgate; empty: where jotgate listens. `roots` is a file of certificates that vouch for servers under TLS.
    `jwt`: the plane verifies tokens itself before it asks. `offline`: it does that alone, and asks nobody. `grpc`: it
    asks by gRPC. `keep_token`: the upstream is sent the caller's token. `folder` is where the files will stand.
    """

    upstream: str
    listen: str
    gate: str = ""
    roots: str = ""
    jwt: bool = False
    offline: bool = False
    grpc: bool = False
    keep_token: bool = False
    folder: str = ""


class Endpoint(Struct, frozen=True):
    """The parts of an origin, or of an address to listen on, which is http."""

    scheme: str
    host: str
    port: int

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def address(self) -> str:
        """Host and port in one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_named(self) -> bool:
        """Whether the host is a name, and no address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.address}"


class PrintedFile(Struct, frozen=True):
    """One file of a configuration."""

    name: str
    text: str


class Printed(Struct, frozen=True):
    """The files of a configuration, the main one first. `start` is how a program takes it up; FILE is the main one.

    What stands on stdout is to be kept by the name of that one: some programs go by how it ends.
    """

    files: tuple[PrintedFile, ...]
    start: str


def endpoint(text: str) -> Endpoint:
    """The parts of `http://host:port` or `host:port`. Raises ValueError, which says what is wrong with it."""
    parts = _split(text if "://" in text else f"http://{text}")
    if parts.scheme not in _PORTS:
        raise ValueError("neither http nor https")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("not a host and port")
    if parts.path not in ("", "/"):
        raise ValueError("has a path, and all of an origin is meant")
    return Endpoint(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])


def _split(text: str) -> SplitResult:
    if not text.isascii() or not text.isprintable() or any(sign in text for sign in " \"'{};$`\\"):
        raise ValueError("holds characters that no address has")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        raise ValueError("not a host and port") from None
    return parts

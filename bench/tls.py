"""TLS for candidates: a certificate, an nginx that ends TLS, and the entry that speaks TLS for the load generator.

The entry is an nginx on the load's core. It takes plain HTTP from the load generator and asks the candidate over TLS:
on its first port over kept connections, on its second over a new one, with a full handshake, for each request. Its own
cost is the load's.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.nginx import find_nginx
from bench.server import Server, free_port, launch

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


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for localhost and its private key, as PEM files."""

    certificate: Path
    key: Path
    serial: int


class Authority:
    """Issues certificates; whoever trusts `certificate` trusts them all. Mutable: how many it has issued."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the bench")])
        self.certificate = folder / "authority.crt"
        own = self._builder(self._name, self._key, authority=True).sign(self._key, hashes.SHA256())
        _replace(self.certificate, own.public_bytes(Encoding.PEM))

    def issue(self) -> Certificate:
        """A new key and its certificate, at the same two paths each time; each file is replaced at once."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        built = self._builder(name, key, authority=False).add_extension(names, critical=False)
        signed = built.sign(self._key, hashes.SHA256())
        made = Certificate(self._folder / "tls.crt", self._folder / "tls.key", signed.serial_number)
        _replace(made.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _replace(made.certificate, signed.public_bytes(Encoding.PEM))
        return made

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.CertificateBuilder:
        """What both kinds have, good for a day."""
        now = datetime.now(UTC)
        identifiers = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(identifiers, critical=False)
        )


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)


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
    text = ENTRY.format(
        folder=folder, port=port, fresh=fresh, candidate=candidate.port, certificate=authority.certificate
    )
    configuration.write_text(text)
    command: list[str | Path] = [find_nginx(), "-e", "stderr", "-p", folder, "-c", configuration]
    server = launch(f"the entry of {candidate.name}", port, command, folder / "entry.log", core)
    server.wait_until(server.accepts)
    return Entry(server, fresh)

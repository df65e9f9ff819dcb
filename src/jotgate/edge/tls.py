"""The listener's side of TLS: from the snapshot's PEM to a context for new connections."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jotgate.core.edge import TlsMaterial

# TLS 1.2 with forward secrecy and authenticated encryption alone (RFC 9325 s4.2); TLS 1.3 has nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server_context(material: TlsMaterial) -> ssl.SSLContext:
    """A context for new connections.

    Raises:
        ssl.SSLError: the certificate and the key do not fit; control has made sure that they do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[material.min_version]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    with _file(material.certificates) as certificates, _file(material.key.reveal()) as key:
        context.load_cert_chain(certificates, key)
    if material.client_ca:
        context.load_verify_locations(cadata=material.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL if material.client_optional else ssl.CERT_REQUIRED
    return context


@contextmanager
def _file(text: str) -> Iterator[str]:
    """The text as a file in memory: `ssl` takes certificates and keys from files only."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

"""Reads the field in which a proxy writes the certificate that a caller showed it."""

import re
import ssl
from base64 import b64decode
from binascii import Error
from typing import Final
from urllib.parse import unquote_to_bytes

from jotgate.core.edge import CertificateField

_BYTES_MAX: Final = 16_384
_BINARY: Final = re.compile(rb":([A-Za-z0-9+/]+={0,2}):")  # RFC 8941 s3.3.5, which RFC 9440 s2.1 has


def read_certificate(headers: dict[bytes, bytes], field: CertificateField) -> bytes:
    """The certificate in DER; empty where there is none, or what stands there is not one and nothing else."""
    value = headers.get(field.encode("ascii"), b"") if field else b""
    if not value or len(value) > _BYTES_MAX:
        return b""
    try:
        return _from_binary(value) if field == "client-cert" else _from_pem(value)
    except (Error, ValueError):
        return b""


def _from_binary(value: bytes) -> bytes:
    found = _BINARY.fullmatch(value)
    return b"" if found is None else b64decode(found[1], validate=True)


def _from_pem(value: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(unquote_to_bytes(value).decode("ascii"))

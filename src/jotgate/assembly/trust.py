"""Finds out what a client on this machine must be told to trust the certificate that the gateway shows."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

_PATIENCE_S = 1.0


class Trust(Struct, frozen=True):
    """What a client must be given: `file`, if the machine's roots do not do; or why nothing helps, in `fault`.

    `anywhere` says that every client can take the file; else only those, such as curl, that trust a certificate in it
    which is no root.
    """

    file: Path | None = None
    anywhere: bool = False
    fault: str = ""


def find_trust(url: str, name: str, cert: Path) -> Trust:
    """Connect to a gateway at `url` as a client would that knows it by `name`; `cert` is the file that it shows.

    What cannot be found out needs nothing.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 0)
    try:
        fault = _try(address, name, ssl.create_default_context())
        if not fault:
            return Trust()
        context = ssl.create_default_context(cafile=cert)
        if not _try(address, name, context):
            return Trust(cert, anywhere=True)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        fault = _try(address, name, context)
        return Trust(fault=fault) if fault else Trust(cert)
    except OSError:
        return Trust()


def _try(address: tuple[str, int], name: str, context: ssl.SSLContext) -> str:
    """Why a client does not trust what it is shown; empty when it does."""
    try:
        with (
            socket.create_connection(address, _PATIENCE_S) as connection,
            context.wrap_socket(connection, server_hostname=name),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message

"""Who sends a request, as the edge says it: it is the only one whose requests come to control's public application."""

from typing import Final

from starlette.requests import Request

from jotgate.core.senders import Sender
from jotgate.errors import TokenMalformed
from jotgate.jose.encoding import b64url_decode

_PEER: Final = "x-jotgate-peer"
_CERTIFICATE: Final = "x-jotgate-certificate"


def sender_of(request: Request) -> Sender:
    """The sender, and what it may prove itself with."""
    headers = request.headers
    return Sender(
        headers.get(_PEER, ""),
        tuple(headers.getlist("authorization")),
        tuple(headers.getlist("dpop")),
        _read_passed(headers.get(_CERTIFICATE, "")),
    )


def _read_passed(certificate: str) -> bytes:
    try:
        return b64url_decode(certificate.encode("latin-1"))
    except TokenMalformed:
        return b""

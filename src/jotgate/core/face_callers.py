"""Who asks by a face for what control answers: the edge has verified that, and tells control, which has not."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.principals import Principal
from jotgate.errors import TokenMalformed
from jotgate.jose.encoding import b64url_decode, b64url_encode

FIELD: Final = b"x-jotgate-caller"
"""The field in which it stands, in base64url (RFC 4648 s5); from outside none gets through to control."""

_encode: Final = msgspec.json.Encoder().encode


class FaceCaller(Struct, frozen=True):
    """The caller, as the verified token has them; `label` is what the request calls a session, or empty."""

    issuer: str
    tenant: str
    subject: str
    label: str = ""

    @property
    def principal(self) -> Principal:
        """Whose it is. What the caller may do was decided by the edge, and is nothing here."""
        return Principal(
            issuer=self.issuer,
            subject=self.subject,
            client_id="",
            token_id="",
            kid="",
            scopes=frozenset(),
            models=None,
            expires_at_s=0.0,
            not_before_s=0.0,
            tenant=self.tenant,
        )


_decode: Final = msgspec.json.Decoder(FaceCaller).decode


def write_caller(principal: Principal, label: str = "") -> bytes:
    """The value of the field."""
    return b64url_encode(_encode(FaceCaller(principal.issuer, principal.tenant, principal.subject, label)))


def read_caller(value: str) -> FaceCaller | None:
    """The caller in a field; None where there is none, or it is none that the edge has written."""
    try:
        return _decode(b64url_decode(value.encode("ascii", "replace")))
    except (TokenMalformed, msgspec.DecodeError):
        return None

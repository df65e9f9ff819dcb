"""Who sent a form to the token service, as far as its connection and its header fields say."""

from msgspec import Struct


class Sender(Struct, frozen=True):
    """The address `peer` of a form, and what came beside the form by which a client may prove itself.

    `authorization` and `proofs` are the fields Authorization and DPoP (RFC 9449 s4.1), each as it came. `certificate`
    is that of the TLS connection in DER, whose chain was verified; empty: there was none. Any of it may be secret.
    """

    peer: str
    authorization: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()
    certificate: bytes = b""

    def __repr__(self) -> str:
        return f"Sender({self.peer!r})"

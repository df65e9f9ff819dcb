"""What a request shows to prove that the token in it is its sender's own."""

from hashlib import sha256

from msgspec import Struct

from jotgate.core.dpop import Proof
from jotgate.core.proof_times import Verdict
from jotgate.jose.encoding import b64url_encode


class Possession(Struct, frozen=True):
    """That a request has the scheme DPoP: its proof, once that was read and found good, and what control said.

    `holder` is whose proof it is, as `holder_of` says.
    """

    proof: Proof | None = None
    verdict: Verdict | None = None
    holder: str = ""


def holder_of(issuer: str, client_id: str, subject: str = "") -> str:
    """Who has a share of the memory of used proofs: a client of an issuer, or whom its token speaks for without one."""
    return f"{issuer} {client_id or subject}"


def certificate_hash(certificate: bytes) -> str:
    """The `x5t#S256` of a certificate in DER (RFC 8705 s3.1)."""
    return b64url_encode(sha256(certificate).digest()).decode("ascii")

"""Whether the bearer of a bound token may use it: by a DPoP proof (RFC 9449 s7) or a client certificate (RFC 8705 s3).

What a worker can see is checked here; that a proof is in its time, and was not used, control is asked about, once for
each request however often that is looked at again.
"""

from jotgate.core.calls import Request
from jotgate.core.dpop import Target, normal_url, read_proof
from jotgate.core.possession import Possession, certificate_hash, holder_of
from jotgate.core.principals import Principal
from jotgate.core.proof_times import Verdict
from jotgate.errors import ProofNonceWanted, ProofRefused, ProofUnmarked, TokenBound


def require_possession(request: Request, token: bytes, principal: Principal, own_url: str) -> None:
    """Refuse a bound token whose request does not prove what it is bound to, and an unbound one sent as if it were.

    `own_url` is the URL that callers know the gateway by; no header field of the request has a part in it.

    Raises:
        TokenBound: it is bound to something else, or to nothing.
        ProofRefused, ProofNonceWanted: its proof is refused.
        ProofUnmarked: control has to be asked about the proof.
    """
    confirmation, possession = principal.confirmation, request.possession
    if possession is not None:
        if confirmation is None or confirmation.method != "jkt":
            raise TokenBound(
                "the token is not bound to a key, and the scheme DPoP is for tokens that are",
                by_key=True,
                hint="Send it as 'Authorization: Bearer TOKEN'",
            )
        _require_proof(request, token, principal, confirmation.value, own_url=own_url)
    elif confirmation is None:
        return
    elif confirmation.method == "jkt":
        raise TokenBound(
            "the token is bound to a key, and no bearer token",
            by_key=True,
            hint="Send it as 'Authorization: DPoP TOKEN', with a proof in the field DPoP",
        )
    else:
        _require_certificate(request.certificate, confirmation.value)


def _require_certificate(certificate: bytes, wanted: str) -> None:
    if not certificate:
        raise TokenBound("the token is bound to a client certificate, and the connection has none", by_key=False)
    if certificate_hash(certificate) != wanted:
        raise TokenBound("the token is bound to another client certificate than the connection's", by_key=False)


def _require_proof(request: Request, token: bytes, principal: Principal, jkt: str, *, own_url: str) -> None:
    possession = request.possession or Possession()
    proof = possession.proof
    if proof is None:
        url = normal_url(own_url + request.path.decode("latin-1"))
        proof = read_proof(request.headers.get(b"dpop"), Target(request.method.decode("latin-1"), url), token)
    if proof.jkt != jkt:
        raise TokenBound("the token is bound to another key than the proof's", by_key=True)
    if possession.verdict is None:
        holder = holder_of(principal.issuer, principal.client_id, principal.subject)
        request.possession = Possession(proof, holder=holder)
        raise ProofUnmarked("whether the DPoP proof was used before cannot be known now")
    raise_for(possession.verdict)


def raise_for(verdict: Verdict) -> None:
    """Refuse a proof that does not count.

    Raises:
        ProofRefused, ProofNonceWanted, ProofUnmarked: as it was decided.
    """
    match verdict.word:
        case "used":
            raise ProofRefused("the DPoP proof was used before").showing("jti", "a value that was never used", None)
        case "late":
            raise ProofRefused("the DPoP proof's 'iat' is more than five minutes from now").showing("iat", "now", None)
        case "nonce":
            raise ProofNonceWanted(verdict.nonce, "the DPoP proof must have the nonce that goes with this answer")
        case "crowded":
            raise ProofUnmarked(
                "so many DPoP proofs of this client were used in the last minutes that no further can be remembered",
                hint="Try again in a few minutes, with a new proof",
            )
        case "unknown":
            raise ProofUnmarked("whether the DPoP proof was used before cannot be known now")

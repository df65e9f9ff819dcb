"""Issues access tokens (RFC 9068) under the installation's name, and records each before it is handed out."""

from typing import Final

from jotgate.core.claims import ACCESS_TOKEN_TYPE, CLI_CLIENT_ID, Issued, TokenRequest, access_claims
from jotgate.core.durable import Issuance
from jotgate.jose import jws, jwt
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Clock, Entropy, Signers
from jotgate.services.recorder import Recorder

_TOKEN_ID_BYTES: Final = 16  # 128 bits: RFC 7519 s4.1.7 wants collisions to be negligible


class TokenIssuer:
    """Makes tokens, and has them signed by whoever signs at that moment."""

    def __init__(self, *, issuer: str, signers: Signers, clock: Clock, entropy: Entropy, recorder: Recorder) -> None:
        self._issuer = issuer
        self._signers = signers
        self._clock = clock
        self._entropy = entropy
        self._recorder = recorder

    async def issue(self, request: TokenRequest) -> Issued:
        """A token for a checked request; it is kept as an issuance and in the audit log.

        Raises:
            AuditUnavailable, StoreUnavailable: what cannot be recorded is not issued.
            KeyRefused, DirectoryRefused: see `ports.Signers`.
            SignatureInvalid: who signs made a signature that does not verify.
        """
        token_id = b64url_encode(self._entropy.random_bytes(_TOKEN_ID_BYTES)).decode("ascii")
        now_s = self._clock.now_s()
        expires_at_s = int(now_s) + request.ttl_s
        signer = await self._signers.signer(expires_at_s)
        claims = access_claims(request, self._issuer, token_id, now_s)
        signing_input = jwt.prepare(claims, ACCESS_TOKEN_TYPE, signer.key)
        token = jws.attach(signing_input, await signer.sign(signing_input), signer.key)
        await self._signers.issued(
            Issuance(
                token_id=token_id,
                subject=request.subject,
                client_id=CLI_CLIENT_ID,
                kid=signer.key.kid,
                issued_at_s=int(now_s),
                expires_at_s=expires_at_s,
            )
        )
        self._recorder.record(
            "token.issued",
            actor=CLI_CLIENT_ID,
            subject=request.subject,
            details={
                "jti": token_id,
                "scope": str(claims["scope"]),
                "audience": " ".join(request.audiences or (self._issuer,)),
                "models": "all" if request.models is None else " ".join(request.models),
                "exp": expires_at_s,
                "kid": signer.key.kid,
            },
        )
        return Issued(token.decode("ascii"), token_id, expires_at_s)

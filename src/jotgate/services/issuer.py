"""Issues access tokens (RFC 9068) under the installation's name, and records each before it is handed out."""

from typing import Final

from jotgate.core.claims import ACCESS_TOKEN_TYPE, CLI_CLIENT_ID, Issued, TokenRequest, access_claims
from jotgate.jose import jwt
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey
from jotgate.ports import Clock, Entropy
from jotgate.services.recorder import Recorder

_TOKEN_ID_BYTES: Final = 16  # 128 bits: RFC 7519 s4.1.7 wants collisions to be negligible


class TokenIssuer:
    """Signs tokens with one key."""

    def __init__(self, *, issuer: str, key: SigningKey, clock: Clock, entropy: Entropy, recorder: Recorder) -> None:
        self._issuer = issuer
        self._key = key
        self._clock = clock
        self._entropy = entropy
        self._recorder = recorder

    def issue(self, request: TokenRequest) -> Issued:
        """A token for a checked request. Raises AuditUnavailable: what cannot be recorded is not issued."""
        token_id = b64url_encode(self._entropy.random_bytes(_TOKEN_ID_BYTES)).decode("ascii")
        now_s = self._clock.now_s()
        claims = access_claims(request, self._issuer, token_id, now_s)
        token = jwt.sign(claims, ACCESS_TOKEN_TYPE, self._key)
        expires_at_s = int(now_s) + request.ttl_s
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
                "kid": self._key.kid,
            },
        )
        return Issued(token.decode("ascii"), token_id, expires_at_s)

"""Assertions by which tokens are got: the claims of RFC 7523 s3 and of Coze, and the key that signs them."""

from typing import Final
from urllib.parse import urlsplit

from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose import jwt
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, signing_key_from_pem

JTI_BYTES: Final = 32
"""Of so many random bytes is the name of an assertion made: it is taken once, and nobody may guess the next."""
_LIFE_S: Final = 300
_COZE_LIFE_S: Final = 600
_TYP: Final = "JWT"


def read_private_key(text: Secret, algorithm: str, key_id: str = "") -> SigningKey:
    r"""The private key in PEM, PKCS #8 or PKCS #1. Its lines may be joined by `\n` in two characters, as in `.env`.

    Raises:
        KeyRefused: it is none, it is encrypted or weak, or it is none for this algorithm.
    """
    pem = text.reveal().replace("\\r", "").replace("\\n", "\n").strip().strip("\"'")
    # Some tools leave the blanks of an indented file in front of its lines.
    lines = "\n".join(line.strip() for line in pem.splitlines())
    return signing_key_from_pem(f"{lines}\n".encode(), algorithm, key_id or None)


def sign_assertion(
    grant: TokenGrant, key: SigningKey, session: str, *, now_s: float, random: bytes, with_kid: bool = True
) -> Secret:
    """An assertion of this client for one request. `random` has `JTI_BYTES`; `session` is Coze's session name.

    Raises:
        KeyRefused: the key does not sign what is to be signed.
    """
    claims = coze_claims(grant, session, now_s, random) if grant.kind == "coze" else _claims(grant, now_s, random)
    try:
        return Secret(jwt.sign(claims, _TYP, key, with_kid=with_kid).decode("ascii"))
    except ValueError as fault:
        raise KeyRefused("the private key cannot sign", debug=str(fault)) from None


def coze_claims(grant: TokenGrant, session: str, now_s: float, random: bytes) -> dict[str, object]:
    """What Coze wants to be told: the host for an audience, and whose session it is."""
    claims = _times(grant.client_id, grant.audience or urlsplit(grant.token_url).netloc, now_s, _COZE_LIFE_S, random)
    if session:
        claims["session_name"] = session
    device = {"device_id": grant.device_id, "custom_consumer": grant.custom_consumer}
    told = {name: text for name, text in device.items() if text}
    if told:
        claims["session_context"] = {"device_info": told}
    return claims


def _claims(grant: TokenGrant, now_s: float, random: bytes) -> dict[str, object]:
    claims = _times(grant.client_id, grant.audience or grant.token_url, now_s, _LIFE_S, random)
    subject = grant.subject if grant.kind == "jwt-bearer" else ""
    return {**claims, "sub": subject or grant.client_id}


def _times(issuer: str, audience: str, now_s: float, life_s: int, random: bytes) -> dict[str, object]:
    return {
        "iss": issuer,
        "aud": audience,
        "iat": int(now_s),
        "exp": int(now_s) + life_s,
        "jti": b64url_encode(random).decode("ascii"),
    }

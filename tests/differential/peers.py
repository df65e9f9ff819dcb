"""Two other libraries as oracles: whether PyJWT and joserfc take a token under the same expectation."""

from collections.abc import Callable

import jwt as pyjwt
from joserfc import errors as joserfc_errors
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.jws import JWSRegistry
from jwt.algorithms import OKPAlgorithm

from jotgate.jose.algorithms import Hmac
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import SigningKey, public_jwk
from tests import tokens

# PyJWT has Ed25519 under its ambiguous name only (RFC 9864).
pyjwt.register_algorithm("Ed25519", OKPAlgorithm())

Oracle = Callable[[bytes], bool]


def known_jwk(key: SigningKey) -> dict[str, str]:
    """What the libraries verify with: the public JWK, or for HMAC the secret of all tests."""
    if not isinstance(key.algorithm.scheme, Hmac):
        return public_jwk(key.verification_key)
    return {"kty": "oct", "alg": key.algorithm.name, "kid": key.kid, "k": b64url_encode(tokens.SECRET).decode()}


def pyjwt_oracle(key: SigningKey, expected: Expectation) -> Oracle:
    """Whether PyJWT takes a token now, with every claim required that the expectation requires."""
    alg, members = key.algorithm.name, known_jwk(key)
    public = pyjwt.PyJWK(members, algorithm=alg) if alg != "Ed25519" else pyjwt.PyJWK(members | {"alg": "EdDSA"}).key

    def takes(token: bytes) -> bool:
        try:
            pyjwt.decode(
                token,
                public,
                algorithms=list(expected.algorithms),
                audience=expected.audiences,
                issuer=expected.issuer,
                leeway=expected.leeway_s,
                options={"require": sorted(expected.required)},
            )
        except pyjwt.PyJWTError:
            return False
        return True

    return takes


def joserfc_oracle(key: SigningKey, expected: Expectation) -> Oracle:
    """Whether joserfc takes a token now, with every claim essential that the expectation requires."""
    public = joserfc_jwk.import_key({**known_jwk(key)})
    # RFC 7515 s4: unknown header members are ignored.
    registry = JWSRegistry(algorithms=list(expected.algorithms), strict_check_header=False)
    claims = joserfc_jwt.JWTClaimsRegistry(
        leeway=expected.leeway_s,
        iss={"essential": True, "value": expected.issuer or ""},
        aud={"essential": True, "values": list(expected.audiences)},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        jti={"essential": True},
        client_id={"essential": True},
    )

    def takes(token: bytes) -> bool:
        try:
            found = joserfc_jwt.decode(token, public, registry=registry)
            claims.validate(found.claims)
        except (
            joserfc_errors.JoseError,
            ValueError,
            TypeError,
            RecursionError,
        ):  # the last two are not meant to leave it
            return False
        return True

    return takes

"""The bearer tokens of the prompt-chaining API in a FastAPI application: the dependency `verify_bearer_token`.

    from jotgate.sdk.fastapi import verify_bearer_token

    @app.get("/v1/things")
    async def things(token: dict = Depends(verify_bearer_token)): ...

It needs the extra `jotgate[fastapi]`. `JWT_SECRET_KEY` and `JWT_ALGORITHM` come from the environment, or from the
`.env` of the working directory, which is read once.
"""

import logging
import time
from functools import lru_cache
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from msgspec import Struct

from jotgate.core.prompt_chain_secret import (
    ALGORITHM,
    DEFAULT_ALGORITHM,
    MISCONFIGURED,
    SECRET,
    algorithm_fault,
    bearer_expectation,
    bearer_keys,
    secret_fault,
)
from jotgate.core.values import Secret
from jotgate.errors import TokenError, TokenExpired
from jotgate.jose import jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet
from jotgate.sdk.environment import read_variable

_NOT_AUTHENTICATED: Final = "Not authenticated"
_INVALID: Final = "Invalid authentication credentials"
_EXPIRED: Final = "Token has expired"
_SCHEME: Final = "bearer"
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_log: Final = logging.getLogger(__name__)

# It reads no header of its own here: what it adds is the scheme in the application's OpenAPI document.
_documented: Final = HTTPBearer(auto_error=False, scheme_name="JWT", bearerFormat="JWT")


class _Rules(Struct, frozen=True):
    """What tokens are verified with, or why none can be."""

    keys: KeySet
    expectation: Expectation | None
    fault: str = ""


async def verify_bearer_token(
    request: Request,
    _scheme: Annotated[HTTPAuthorizationCredentials | None, Depends(_documented)] = None,
) -> dict[str, object]:
    """The claims of the token in the Authorization field, whose signature and times are good.

    Raises:
        HTTPException: 401 without a token, with another scheme or with a token that has expired; 403 with any other
            token that is not good; 500 where the secret is missing or is none.
    """
    token = _find_token(request.headers.getlist("authorization"))
    algorithm = (read_variable(ALGORITHM) or DEFAULT_ALGORITHM).strip().upper()  # as the gateway reads it
    rules = _rules(Secret(read_variable(SECRET)), algorithm)
    if rules.expectation is None:
        _log.error("%s: %s", MISCONFIGURED, rules.fault)
        raise HTTPException(500, MISCONFIGURED)
    try:
        return dict(jwt.verify(token, rules.keys, rules.expectation, time.time()).claims.raw)
    except TokenExpired:
        raise HTTPException(401, _EXPIRED, _CHALLENGE) from None
    except TokenError as refusal:
        _log.warning("a bearer token was refused: %s", refusal.code)
        raise HTTPException(403, _INVALID) from None


def _find_token(fields: list[str]) -> bytes:
    """The one token of the Authorization fields. Raises HTTPException: there is none, or not of this scheme."""
    if not fields:
        raise HTTPException(401, _NOT_AUTHENTICATED, _CHALLENGE)
    scheme, _, token = fields[0].strip().partition(" ")
    if scheme.lower() != _SCHEME or len(fields) > 1:
        raise HTTPException(401, _INVALID, _CHALLENGE)
    if not token.strip():
        raise HTTPException(401, _NOT_AUTHENTICATED, _CHALLENGE)
    return token.strip().encode("utf-8", "replace")


@lru_cache(maxsize=2)
def _rules(secret: Secret, algorithm: str) -> _Rules:
    fault = algorithm_fault(algorithm) or secret_fault(secret.reveal(), algorithm)
    if fault:
        return _Rules(KeySet(), None, fault)
    return _Rules(bearer_keys(secret.reveal(), algorithm), bearer_expectation(algorithm))

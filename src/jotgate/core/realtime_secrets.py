"""What is asked for with `POST /v1/realtime/client_secrets`, and answered: OpenAI's shape, a short token of ours."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from jotgate.core.claim_values import is_name
from jotgate.errors import RequestMalformed

LIFE_DEFAULT_S: Final = 60
LIFE_LEAST_S: Final = 10
LIFE_MAX_S: Final = 7_200
_NAME_MAX: Final = 256


class SecretOrder(Struct, frozen=True):
    """A secret for connections that talk with this model, by its alias; it lives so long, or as long as its parent."""

    model: str
    ttl_s: int


class _Expiry(Struct, frozen=True, forbid_unknown_fields=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = LIFE_DEFAULT_S


class _Session(Struct, frozen=True, forbid_unknown_fields=True):
    model: str = ""
    type: Literal["realtime"] = "realtime"


class _Ask(Struct, frozen=True, forbid_unknown_fields=True):
    session: _Session = _Session()
    expires_after: _Expiry = _Expiry()


class _SessionTold(Struct, frozen=True):
    id: str
    model: str
    type: str = "realtime"
    object: str = "realtime.session"


class _Told(Struct, frozen=True):
    value: str
    expires_at: int
    session: _SessionTold


_decode: Final = msgspec.json.Decoder(_Ask).decode
_encode: Final = msgspec.json.Encoder().encode


def read_secret_order(body: bytes) -> SecretOrder:
    """Read the body of a request.

    Raises:
        RequestMalformed: it asks for nothing that there is. What a session is to be is said on the connection: nothing
            here would hold its holder to it.
    """
    try:
        asked = _decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestMalformed(
            "the body is not {'session': {'type': 'realtime', 'model': …}, 'expires_after': {'anchor', 'seconds'}}",
            hint="Leave other members of the session out, and set them with session.update on the connection",
        ) from None
    model, seconds = asked.session.model, asked.expires_after.seconds
    if not is_name(model) or len(model) > _NAME_MAX:
        raise RequestMalformed("the session names no 'model', which the secret is for", param="session.model")
    if not LIFE_LEAST_S <= seconds <= LIFE_MAX_S:
        raise RequestMalformed(f"a secret lives {LIFE_LEAST_S} to {LIFE_MAX_S} seconds", param="expires_after.seconds")
    return SecretOrder(model, seconds)


def write_secret(token: str, token_id: str, expires_at_s: int, model: str) -> bytes:
    """What its caller is told: the token is the secret, and the session is called by the token's identifier."""
    return _encode(_Told(token, expires_at_s, _SessionTold(f"sess_{token_id}", model)))

"""The root of all errors; apart from them, so that they can stand in more than one module."""

from typing import ClassVar

from msgspec import Struct

from jotgate.codes import Code


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a refused token was, and what it was held against: for the operator, never for the caller.

    `digest` is the SHA-256 of the whole token in hexadecimal digits, `size` its length in bytes, `place` where it
    stood. `alg`, `kid`, `typ`, `iss`, `exp`, `nbf`, `iat`, `got`, `jti`, `ancestors` (the oldest first) and `actors`
    (the current one first) are what the token says: nobody vouches for them, unless it was refused as one that was
    revoked.
    `claim` is the claim or header member at fault. `rules` is the issuer whose rules were applied, in jotgate's word
    for it, `leeway_s` its leeway; `keys` is how many keys it had then, `kids` the first of them. `now_s` is the time
    that the token was compared with (NumericDate).
    """

    digest: str
    now_s: float
    size: int = 0
    place: str = "authorization"
    alg: str = ""
    kid: str = ""
    typ: str = ""
    iss: str = ""
    exp: float | None = None
    nbf: float | None = None
    iat: float | None = None
    claim: str = ""
    fault: str = ""
    wanted: str = ""
    got: str = ""
    rules: str = ""
    leeway_s: int = 0
    keys: int = 0
    kids: tuple[str, ...] = ()
    jti: str = ""
    ancestors: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()


class JotgateError(Exception):
    """The base of all: a stable `code`, an HTTP `status`, a safe `message` and `hint`, a private `debug`.

    `evidence` is what is known of the token that was refused; it is as private.
    """

    code: ClassVar[Code]
    status: ClassVar[int]
    default_hint: ClassVar[str] = ""
    evidence: Evidence | None = None

    def __init__(self, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.debug = debug

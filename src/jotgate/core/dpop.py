"""Reads DPoP proofs (RFC 9449 s4): who holds which key, and for which one request that was said.

Everything that a proof says of itself and of its request is judged here. Whether it is in its time, and whether it was
used before, is for `core.proof_times` and whoever keeps the marks of used proofs.
"""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.errors import KeyRefused, ProofRefused, TokenError
from jotgate.jose import jws
from jotgate.jose.algorithms import READABLE
from jotgate.jose.encoding import b64url_encode, parse_object
from jotgate.jose.keys import VerificationKey, thumbprint, verification_key_from_jwk

PROOF_TYPE: Final = "dpop+jwt"
PROOF_ALGORITHMS: Final = tuple(name for name, row in READABLE.items() if row.kty != "oct")
"""What proofs may be signed with: never `none`, and never a secret that two would have to hold (s4.3, number 5)."""

JTI_CHARS_MAX: Final = 256
NONCE_CHARS_MAX: Final = 256

_URL_CHARS_MAX: Final = 8_192
_KEYS_REMEMBERED: Final = 256
_PORTS: Final = {"https": 443, "http": 80}
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")


class Target(Struct, frozen=True):
    """The request that a proof came with: its method, and its URL as `normal_url` writes it."""

    method: str
    url: str


class Proof(Struct, frozen=True):
    """A proof whose form and signature are good, and which is of the request that it came with.

    `jkt` is the thumbprint of its key (RFC 7638). `iat` is when its maker says that it was made (NumericDate); `nonce`
    is empty when it has none.
    """

    jkt: str
    jti: str
    iat: float
    nonce: str = ""

    @property
    def handle(self) -> bytes:
        """What names it among all proofs: the SHA-256 of its key's thumbprint and its `jti`."""
        return sha256(f"{self.jkt}\0{self.jti}".encode()).digest()


class _Prover(Struct, frozen=True):
    key: VerificationKey
    jkt: str


def read_proof(field: bytes | None, target: Target, token: bytes | None = None) -> Proof:
    """The proof in the field DPoP of a request (s4.3); where fields were joined, a comma stands between.

    `token` is the access token that it goes with; None at the token endpoint, where `ath` means nothing.

    Raises:
        ProofRefused: one reason each, with the claim at fault.
    """
    if field is None:
        raise ProofRefused("the request has no proof", hint="Send a DPoP proof in the field DPoP")
    if b"," in field:
        raise ProofRefused("the request has more than one DPoP proof", hint="Send one")
    try:
        parsed = jws.parse(field)
        claims = parse_object(parsed.payload, "DPoP proof")
    except TokenError as error:
        raise ProofRefused(f"the DPoP proof is malformed: {error.message}") from None
    if _media_type(parsed.typ) != PROOF_TYPE:
        raise _wrong("typ", PROOF_TYPE, parsed.typ)
    if parsed.alg not in PROOF_ALGORITHMS:
        raise _wrong("alg", PROOF_ALGORITHMS, parsed.alg)
    prover = _find_prover(field.partition(b".")[0])
    if not prover.key.verify(parsed.signing_input, parsed.signature):
        raise ProofRefused("the DPoP proof's signature is not that of the key in its header")
    _check_target(claims, target)
    if token is not None:
        wanted = access_token_hash(token)
        if claims.get("ath") != wanted:
            raise _wrong("ath", wanted, claims.get("ath"), " (it is not of the access token that it came with)")
    return Proof(prover.jkt, _read_id(claims), _read_time(claims), _read_nonce(claims))


def access_token_hash(token: bytes) -> str:
    """The `ath` of a proof that goes with this access token (s4.2)."""
    return b64url_encode(sha256(token).digest()).decode("ascii")


@lru_cache(maxsize=256)
def normal_url(url: str) -> str:
    """A URL without query and fragment, in the one form that all its spellings have (RFC 3986 s6.2.2 and s6.2.3).

    Empty for what is no absolute URL of HTTP.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return ""
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[parts.scheme]:
        shown += f":{port}"
    return f"{parts.scheme}://{shown}{_normal_path(parts.path)}"


def _normal_path(path: str) -> str:
    """RFC 3986 s5.2.4 and s6.2.2.2: no dot segments, and no escape of what needs none."""
    text = _ESCAPE.sub(_shortest, path)
    kept: list[str] = []
    steps = text.split("/")[1:] or [""]
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step != ".":
            kept.append(step)
    if steps[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _shortest(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _find_prover(protected: bytes) -> _Prover:
    """The key in a header, which the proofs of one client mostly share. Raises ProofRefused."""
    parsed = jws.parse(protected + b"..")
    jwk = parsed.header.get("jwk")
    if not isinstance(jwk, dict):
        raise ProofRefused("the DPoP proof's header has no 'jwk'").showing("jwk", "a public key", jwk)
    try:
        key = verification_key_from_jwk(jwk, (parsed.alg,))
        jkt = thumbprint(jwk)
    except KeyRefused as fault:
        raise ProofRefused(f"the key in the DPoP proof is refused: {fault.message}").showing(
            "jwk", "a public key", None
        ) from None
    if READABLE[parsed.alg] is not key.algorithm:
        raise _wrong("alg", key.algorithm.name, parsed.alg)
    return _Prover(key, jkt)


def _check_target(claims: dict[str, object], target: Target) -> None:
    method, url = claims.get("htm"), claims.get("htu")
    if method != target.method:
        raise _wrong("htm", target.method, method, " (it is for another method)", hint=f"Make it for {target.method}")
    if not isinstance(url, str) or len(url) > _URL_CHARS_MAX or normal_url(url) != target.url:
        raise _wrong("htu", target.url, url, " (it is for another URL)", hint=f"Make it for {target.url}")


def _read_id(claims: dict[str, object]) -> str:
    found = claims.get("jti")
    if not isinstance(found, str) or not 0 < len(found) <= JTI_CHARS_MAX:
        raise _wrong("jti", f"1 to {JTI_CHARS_MAX} characters", found)
    return found


def _read_time(claims: dict[str, object]) -> float:
    found = claims.get("iat")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _wrong("iat", "a time", found)
    return float(found)  # An integer may be longer than what crosses the bus.


def _read_nonce(claims: dict[str, object]) -> str:
    found = claims.get("nonce", "")
    if not isinstance(found, str) or len(found) > NONCE_CHARS_MAX:
        raise _wrong("nonce", "what the last answer had in DPoP-Nonce", found)
    return found


def _media_type(typ: str | None) -> str:
    return (typ or "").lower().removeprefix("application/")


def _wrong(name: str, wanted: object, got: object, more: str = "", *, hint: str = "") -> ProofRefused:
    state = "is missing" if got is None else "is not what it must be"
    return ProofRefused(f"the DPoP proof's '{name}' {state}{more}", hint=hint).showing(name, wanted, got)

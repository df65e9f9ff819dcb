"""Wrong tokens about algorithms and keys: rows A01 to A06 of the attack list."""

from collections.abc import Iterator
from typing import Final

from jotgate.errors import Code
from jotgate.jose.algorithms import ALGORITHMS, Hmac
from jotgate.jose.keys import generate, public_jwk
from jotgate.testing.forge import ABSENT, Forge, assemble, to_json
from jotgate.testing.public_forms import bare_forms, public_forms

_NONES: Final = (
    *("none", "None", "NONE", "nOnE", "noNE", "none ", "", " none", "\tnone", "none\0", "none,none", "nOnE\n"),
    *("null", "nil", "None,ES256", "n\u043ene", "no\u0131e", "\uff4eone"),
)
_NO_TEXT: Final[tuple[object, ...]] = (None, ABSENT, [], ["ES256"], {}, 0, True)
_FOREIGN: Final = (
    *("FOO", "HS1024", "es256", "rs256", "ES256 ", " ES256", "EdDSA", "Ed448", "ES256K", "ML-DSA-44", "dir", "RSA1_5"),
    *("hs256", "Hs256", "HS1", "HS256 ", "HS256\0", "HS-256", "RS1", "MD5", "SHA256", "ESP256", "ML-DSA-65"),
    *("A128KW", "PBES2-HS256+A128KW", "HMAC", "RSASSA-PSS", "ES256,HS256", "__proto__", "constructor", "\u0395S256"),
    *ALGORITHMS,
)
_QUICKLY_MADE: Final = ("ES256", "ES384", "ES512", "Ed25519", "HS256", "HS384", "HS512")
_EMPTY_SECRETS: Final = {
    "empty": b"",
    "nul": b"\0",
    "space": b" ",
    "newline": b"\n",
    "nuls": bytes(32),
    "more_nuls": bytes(64),
    "quotes": b'""',
    "object": b"[object Object]",
    **{word: word.encode() for word in ("null", "None", "undefined", "false", "0")},
}


def rows(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Each wrong token as (name, token, code)."""
    payload = to_json(forge.claims())
    for number, alg in enumerate(_NONES):
        raw_header = to_json(forge.header(alg=alg))
        yield f"A01_none_{number}_unsigned", assemble(raw_header, payload, b""), Code.ALGORITHM_REFUSED
        yield f"A01_none_{number}_signed", forge.seal(raw_header, payload), Code.ALGORITHM_REFUSED
    for number, value in enumerate(_NO_TEXT):
        raw_header = to_json(forge.header(alg=value))
        yield f"A01_no_text_{number}_unsigned", assemble(raw_header, payload, b""), Code.TOKEN_MALFORMED
        yield f"A01_no_text_{number}_signed", forge.seal(raw_header, payload), Code.TOKEN_MALFORMED
    for number, alg in enumerate(_FOREIGN):
        if alg == forge.key.algorithm.name:
            continue
        raw_header = to_json(forge.header(alg=alg))
        yield f"A01b_{number}_unsigned", assemble(raw_header, payload, b""), Code.ALGORITHM_REFUSED
        yield f"A03_{number}_signed", forge.seal(raw_header, payload), Code.ALGORITHM_REFUSED
    yield from _of_strangers(forge)
    yield from _with_secrets(forge)


def _of_strangers(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Tokens that are good by themselves, with a key of another algorithm under this one's key ID."""
    for alg in _QUICKLY_MADE:
        if alg != forge.key.algorithm.name:
            stranger = Forge(generate(alg), forge.issuer, forge.audience, forge.now_s)
            yield f"A03_stranger_{alg}", stranger.with_header(kid=forge.key.kid), Code.ALGORITHM_REFUSED
            yield f"A04_stranger_{alg}", stranger.with_header(kid=ABSENT), Code.ALGORITHM_REFUSED
            if not isinstance(stranger.key.algorithm.scheme, Hmac):
                jwk = public_jwk(stranger.key.verification_key)
                brought = stranger.with_header(kid=forge.key.kid, jwk=jwk)
                yield f"A04_stranger_{alg}_with_jwk", brought, Code.ALGORITHM_REFUSED


def _with_secrets(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """HMACs under secrets that a confused verifier would come to; an HMAC key has no public form to be one."""
    is_hmac = isinstance(forge.key.algorithm.scheme, Hmac)
    forms = {} if is_hmac else public_forms(forge.key) | bare_forms(forge.key)
    for form, secret in forms.items():
        for alg in ("HS256", "HS384", "HS512"):
            yield f"A02_{form}_{alg}", forge.seal_with_secret(secret, alg), Code.ALGORITHM_REFUSED
        yield f"A02_{form}_without_kid", forge.seal_with_secret(secret, kid=ABSENT), Code.ALGORITHM_REFUSED
    alg = forge.key.algorithm.name if is_hmac else "HS256"
    for name, secret in _EMPTY_SECRETS.items():
        known = Code.SIGNATURE_INVALID if is_hmac else Code.ALGORITHM_REFUSED
        yield f"A06_{name}", forge.seal_with_secret(secret, alg), known
        unknown = Code.KEY_UNKNOWN if is_hmac else Code.ALGORITHM_REFUSED
        yield f"A06_{name}_file", forge.seal_with_secret(secret, alg, kid="/dev/null"), unknown

"""Wrong tokens about algorithms and keys: rows A01 to A06 of the attack list."""

from collections.abc import Iterator
from typing import Final

from jotgate.errors import Code
from jotgate.jose.algorithms import ALGORITHMS, Hmac
from jotgate.testing.forge import ABSENT, Forge, assemble, to_json
from jotgate.testing.public_forms import public_forms

_NONES: Final = ("none", "None", "NONE", "nOnE", "noNE", "none ", "")
_NO_TEXT: Final[tuple[object, ...]] = (None, ABSENT, [], ["ES256"], {}, 0, True)
_FOREIGN: Final = (
    *("FOO", "HS1024", "es256", "rs256", "ES256 ", " ES256", "EdDSA", "Ed448", "ES256K", "ML-DSA-44", "dir", "RSA1_5"),
    *ALGORITHMS,
)
_EMPTY_SECRETS: Final = {"empty": b"", "nul": b"\0", "space": b" ", "nuls": bytes(32)}


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
    yield from _with_secrets(forge)


def _with_secrets(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """HMACs under secrets that a confused verifier would come to; an HMAC key has no public form to be one."""
    is_hmac = isinstance(forge.key.algorithm.scheme, Hmac)
    forms = {} if is_hmac else public_forms(forge.key)
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

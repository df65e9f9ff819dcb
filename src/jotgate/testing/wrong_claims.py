"""Wrong tokens about claims and JSON: rows D01 to D11 of the attack list. All carry a good signature."""

from collections.abc import Iterator, Mapping
from typing import Final

from jotgate.errors import Code
from jotgate.jose.jwt import ACCESS_TOKEN_CLAIMS, LEEWAY_S_MAX
from jotgate.testing.forge import ABSENT, Forge, to_json
from jotgate.testing.wrong_headers import header_bytes

_TWENTY_YEARS_S: Final = 20 * 366 * 86_400
_NO_NUMBERS: Final[tuple[object, ...]] = ("1893456000", "", True, None, [], {}, [1893456000])
_NOT_FINITE: Final = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" + b"0" * 400)
_NO_NAMES: Final[tuple[object, ...]] = (
    1,
    1.5,
    True,
    None,
    [],
    ["alice"],
    {},
    {"name": "alice"},
    "",
    "a\0b",
    "a\nb",
    "\u202ealice",
    "\x1b[2J",
)
_NO_SCOPES: Final[tuple[object, ...]] = (
    ["ai"],
    {"ai": True},
    1,
    None,
    "",
    " ",
    " ai",
    "ai ",
    "ai  ai",
    "ai\tai",
    'a"i',
    "a\\i",
    "\u00e9",
)


def rows(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Each wrong token as (name, token, code)."""
    for name, raw in _payloads(forge).items():
        yield name, forge.seal(forge.header(), raw), Code.TOKEN_MALFORMED
    for name, raw in header_bytes(forge).items():
        yield f"D08_header_{name}", forge.seal(raw, forge.claims()), Code.TOKEN_MALFORMED
    for name, claims in _refused_claims(forge).items():
        yield name, forge.with_claims(**claims), Code.CLAIM_REFUSED
    late_s, early_s = forge.now_s - 2 * LEEWAY_S_MAX, forge.now_s + 2 * LEEWAY_S_MAX
    times: dict[str, tuple[dict[str, object], Code]] = {
        "D03_exp_past": ({"exp": late_s, "iat": late_s}, Code.TOKEN_EXPIRED),
        "D03_exp_float": ({"exp": late_s + 0.5, "iat": late_s}, Code.TOKEN_EXPIRED),
        "D03_exp_zero": ({"exp": 0, "iat": 0}, Code.TOKEN_EXPIRED),
        "D03_exp_negative": ({"exp": -1}, Code.TOKEN_EXPIRED),
        "D04_nbf_ahead": ({"nbf": early_s}, Code.TOKEN_IMMATURE),
        "D04_iat_ahead": ({"iat": early_s}, Code.TOKEN_IMMATURE),
        "D04_iat_milliseconds": ({"iat": forge.now_s * 1000}, Code.TOKEN_IMMATURE),
    }
    for name, (changes, code) in times.items():
        yield name, forge.with_claims(**changes), code


def _payloads(forge: Forge) -> dict[str, bytes]:
    """Payloads that are not strict JSON objects."""
    good = to_json(forge.claims())
    payloads = {
        "D01_twice": good[:-1] + b',"sub":"mallory"}',
        "D01_twice_equal": good[:-1] + b',"sub":"alice"}',
        "D01_twice_escaped": good[:-1] + b',"su\\u0062":"mallory"}',
        "D01_twice_within": good[:-1] + b',"act":{"sub":"a","sub":"b"}}',
        "D02_array": b"[" + good + b"]",
        "D02_text": b'"claims"',
        "D02_null": b"null",
        "D02_number": b"1",
        "D02_true": b"true",
        "D02_nothing": b"",
        "D07_lone_surrogate": to_json(forge.claims(sub="\ud800")),
        "D07_lone_surrogate_in_name": good[:-1] + b',"\\udfff":1}',
        "D08_utf16": good.decode().encode("utf-16"),
        "D08_utf16_without_bom": good.decode().encode("utf-16-le"),
        "D08_utf32": good.decode().encode("utf-32"),
        "D08_bom": b"\xef\xbb\xbf" + good,
        "D08_not_utf8": good[:-1] + b',"x":"\xff"}',
        "D08_overlong": good[:-1] + b',"x":"\xc0\xaf"}',
        "D08_surrogate_bytes": good[:-1] + b',"x":"\xed\xa0\x80"}',
        "D08_control_character": good[:-1] + b',"x":"\x01"}',
        "D08_two": good + good,
        "D08_trailing": good + b"x",
        "D08_trailing_nul": good + b"\0",
        "D08_comment": b"/**/" + good,
        "D08_comma": good[:-1] + b",}",
        "D08_single_quotes": good.replace(b'"', b"'"),
        "D09_deep_array": good[:-1] + b',"x":' + b"[" * 4_000 + b"]" * 4_000 + b"}",
        "D09_deeper": good[:-1] + b',"x":' + b"[" * 32 + b"]" * 32 + b"}",
        "D03_x_not_finite": good[:-1] + b',"x":NaN}',
        "D09_deep_open": b'{"x":' + b"[" * 8_000,
        "D09_deep_object": good[:-1] + b',"x":' + b'{"a":' * 1_500 + b"1" + b"}" * 1_501,
        "D09_members": to_json({str(number): 0 for number in range(300)} | forge.claims()),
        "D09_digits": good[:-1] + b',"x":' + b"9" * 5_000 + b"}",
    }
    for claim in ("exp", "nbf", "iat"):
        rest = to_json(forge.claims(**{claim: ABSENT}))
        for number, literal in enumerate(_NOT_FINITE):
            payloads[f"D03_{claim}_not_finite_{number}"] = rest[:-1] + b',"' + claim.encode() + b'":' + literal + b"}"
    return payloads


def _refused_claims(forge: Forge) -> dict[str, Mapping[str, object]]:
    """Changes of the claims that are strict JSON and still refused."""
    changes: dict[str, Mapping[str, object]] = {
        f"AT04_without_{claim}": {claim: ABSENT} for claim in sorted(ACCESS_TOKEN_CLAIMS)
    }
    for claim in ("exp", "nbf", "iat"):
        changes |= {f"D03_{claim}_type_{number}": {claim: value} for number, value in enumerate(_NO_NUMBERS)}
    changes["D03_exp_milliseconds"] = {"exp": forge.now_s * 1000}
    changes["D03_exp_huge"] = {"exp": 10**18}
    changes["D04_lifetime"] = {"exp": forge.now_s + _TWENTY_YEARS_S}
    audience, issuer = forge.audience, forge.issuer
    audiences: tuple[object, ...] = (
        *("", audience[:-1], audience[1:], audience + "/", audience + ".example", audience.swapcase(), " " + audience),
        *(
            [],
            [None],
            [1],
            {},
            {audience: True},
            [[audience]],
            [audience, 1],
            1,
            True,
            None,
            ["other"],
            [audience + "/"],
        ),
        f"{audience} {audience}",
        f"{audience},other",
    )
    changes |= {f"D05_{number}": {"aud": value} for number, value in enumerate(audiences)}
    issuers: tuple[object, ...] = (
        *(issuer[:-1], issuer[1:], issuer + "/", issuer + ".example", issuer.swapcase(), " " + issuer, issuer + " "),
        *([issuer], {issuer: True}, 1, True, None, "", issuer + "#", issuer + "?"),
    )
    changes |= {f"D06_{number}": {"iss": value} for number, value in enumerate(issuers)}
    for claim in ("sub", "jti", "client_id"):
        changes |= {f"D07_{claim}_{number}": {claim: value} for number, value in enumerate(_NO_NAMES)}
    return changes | {f"D11_{number}": {"scope": value} for number, value in enumerate(_NO_SCOPES)}

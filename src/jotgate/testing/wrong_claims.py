"""Wrong tokens about claims and JSON: rows D01 to D11 of the attack list. All carry a good signature."""

from collections.abc import Iterator, Mapping
from typing import Final

from jotgate.errors import Code
from jotgate.jose.jwt import ACCESS_TOKEN_CLAIMS, LEEWAY_S_MAX
from jotgate.testing.forge import ABSENT, Forge, to_json
from jotgate.testing.wrong_headers import header_bytes

_TWENTY_YEARS_S: Final = 20 * 366 * 86_400
_NO_NUMBERS: Final[tuple[object, ...]] = (
    *("1893456000", "", True, None, [], {}, [1893456000], "1e10", "0x7fffffff", "never", "NaN", "2099-01-01T00:00:00Z"),
    *(False, {"$gt": 0}, {"value": 1893456000}, [None], "1893456000 ", "\u0661\u0662"),
)
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
    *(
        "\t",
        "a\r\nSet-Cookie: a=b",
        "\x7f",
        "\u200b",
        "\u2028",
        "\ufeffalice",
        "\u00adalice",
        "alice\u202e",
        "\x00",
        "\x85",
    ),
    *(0, -1, False, [[]], [None], ["alice", "bob"], {"$ne": None}, 10**19),
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
    *("ai\nai", "ai\u00a0ai", "ai\0", "ai\r\nX: y", "\u200bai", "ai\u2003ai", "\x7f"),
    *([], [["ai"]], ["ai", 1], True, 0, {"0": "ai"}, {"name": "ai"}),
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
        **_encodings(good),
        **_out_of_bounds(good, forge),
        "D01_twice": good[:-1] + b',"sub":"mallory"}',
        "D01_twice_equal": good[:-1] + b',"sub":"alice"}',
        "D01_twice_escaped": good[:-1] + b',"su\\u0062":"mallory"}',
        "D01_thrice_escaped": good[:-1] + b',"\\u0073ub":"a","s\\u0075b":"b"}',
        "D01_twice_deep": good[:-1] + b',"x":[{"y":{"z":1,"z":1}}]}',
        "D01_twice_of_extra": good[:-1] + b',"role":"user","role":"admin"}',
        "D01_twice_empty_name": good[:-1] + b',"":1,"":2}',
        **{
            f"D01_twice_{name}": good[:-1] + b"," + to_json({name: forge.claims()[name]})[1:]
            for name in ("iss", "aud", "exp", "iat", "jti", "client_id", "scope")
        },
        "D01_twice_within": good[:-1] + b',"act":{"sub":"a","sub":"b"}}',
        "D02_array": b"[" + good + b"]",
        "D02_text": b'"claims"',
        "D02_null": b"null",
        "D02_number": b"1",
        "D02_true": b"true",
        "D02_nothing": b"",
        "D02_false": b"false",
        "D02_empty_array": b"[]",
        "D02_array_of_names": to_json(list(forge.claims())),
        "D02_array_of_pairs": to_json([[name, value] for name, value in forge.claims().items()]),
        "D02_text_of_object": to_json(good.decode()),
        "D02_space": b" ",
        "D02_without_braces": good[1:-1],
        "D07_lone_surrogate": to_json(forge.claims(sub="\ud800")),
        "D07_lone_surrogate_in_name": good[:-1] + b',"\\udfff":1}',
        "D03_x_not_finite": good[:-1] + b',"x":NaN}',
    }
    for claim in ("exp", "nbf", "iat"):
        rest = to_json(forge.claims(**{claim: ABSENT}))
        for number, literal in enumerate(_NOT_FINITE):
            payloads[f"D03_{claim}_not_finite_{number}"] = rest[:-1] + b',"' + claim.encode() + b'":' + literal + b"}"
    return payloads


def _encodings(good: bytes) -> dict[str, bytes]:
    """D08: what is no UTF-8, or no strict JSON."""
    return {
        "D08_utf16": good.decode().encode("utf-16"),
        "D08_utf16_without_bom": good.decode().encode("utf-16-le"),
        "D08_utf32": good.decode().encode("utf-32"),
        "D08_utf16_big": good.decode().encode("utf-16-be"),
        "D08_utf32_without_bom": good.decode().encode("utf-32-le"),
        "D08_utf7": b"+AHs-" + good[1:],
        "D08_latin1": good[:-1] + b',"x":"\xe9"}',
        "D08_not_utf8_in_name": good[:-1] + b',"\xff":1}',
        "D08_cut_utf8": good[:-1] + b',"x":"\xe2\x82"}',
        "D08_beyond_unicode": good[:-1] + b',"x":"\xf4\x90\x80\x80"}',
        "D08_modified_utf8_nul": good[:-1] + b',"x":"\xc0\x80"}',
        "D08_form_feed": b"\f" + good,
        "D08_non_breaking_space": b"\xc2\xa0" + good,
        "D08_line_comment": good + b"//",
        "D08_hash_comment": good + b"#",
        "D08_hexadecimal_number": good[:-1] + b',"x":0x1}',
        "D08_leading_zero": good[:-1] + b',"x":01}',
        "D08_plus": good[:-1] + b',"x":+1}',
        "D08_bare_point": good[:-1] + b',"x":.5}',
        "D08_bare_name": good[:-1] + b",x:1}",
        "D08_unknown_escape": good[:-1] + b',"x":"\\x41"}',
        "D08_tab_in_text": good[:-1] + b',"x":"\t"}',
        "D08_capital_literal": good[:-1] + b',"x":True}',
        "D08_unclosed": good[:-1],
        "D08_closed_twice": good + b"}",
        "D08_callback": b"f(" + good + b")",
        "D08_guard": b")]}'," + good,
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
    }


def _out_of_bounds(good: bytes, forge: Forge) -> dict[str, bytes]:
    """D09: too deep, too wide, too long."""
    return {
        "D09_deep_array": good[:-1] + b',"x":' + b"[" * 4_000 + b"]" * 4_000 + b"}",
        "D09_deeper": good[:-1] + b',"x":' + b"[" * 32 + b"]" * 32 + b"}",
        "D09_deep_open": b'{"x":' + b"[" * 8_000,
        "D09_deep_object": good[:-1] + b',"x":' + b'{"a":' * 1_500 + b"1" + b"}" * 1_501,
        "D09_members": to_json({str(number): 0 for number in range(300)} | forge.claims()),
        "D09_digits_negative": good[:-1] + b',"x":-' + b"9" * 5_000 + b"}",
        "D09_digits_21": good[:-1] + b',"x":' + b"9" * 21 + b"}",
        "D09_exponent": good[:-1] + b',"x":1e' + b"9" * 5_000 + b"}",
        "D09_members_deep": good[:-1] + b',"x":{' + b",".join(b'"%d":0' % n for n in range(257)) + b"}}",
        "D09_deep_mixed": good[:-1] + b',"x":' + b'[{"a":' * 40 + b"1" + b"}]" * 40 + b"}",
        "D09_deep_only": b"[" * 11_000,
        "D09_digits": good[:-1] + b',"x":' + b"9" * 5_000 + b"}",
    }


def _refused_claims(forge: Forge) -> dict[str, Mapping[str, object]]:
    """Changes of the claims that are strict JSON and still refused."""
    changes: dict[str, Mapping[str, object]] = {
        f"AT04_without_{claim}": {claim: ABSENT} for claim in sorted(ACCESS_TOKEN_CLAIMS)
    }
    for claim in ("exp", "nbf", "iat"):
        changes |= {f"D03_{claim}_type_{number}": {claim: value} for number, value in enumerate(_NO_NUMBERS)}
    for claim in sorted(ACCESS_TOKEN_CLAIMS):
        value = forge.claims()[claim]
        changes[f"D01_case_{claim}"] = {claim: ABSENT, claim.upper(): value, claim.capitalize(): value}
        changes[f"D01_space_{claim}"] = {claim: ABSENT, f" {claim}": value, f"{claim}\0": value}
    changes["D02_empty"] = dict.fromkeys(forge.claims(), ABSENT)
    changes["D02_within"] = {**dict.fromkeys(forge.claims(), ABSENT), "claims": forge.claims()}
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
        *(audience.upper(), f"{audience}#", f"{audience}?", f"{audience}//", f"{audience} ", f"{audience}\0", "*", "%"),
        *(audience.replace("http", "HTTP"), f"other {audience}", audience.encode().hex(), f"\u200b{audience}"),
        *(
            audience[: len(audience) // 2],
            audience + audience,
            ["*"],
            [""],
            [audience.upper()],
            [audience[:-1], "other"],
        ),
        *([None, audience], [audience, None], [audience, [audience]], [{"aud": audience}], {"0": audience}, 0, 10**19),
    )
    changes |= {f"D05_{number}": {"aud": value} for number, value in enumerate(audiences)}
    issuers: tuple[object, ...] = (
        *(issuer[:-1], issuer[1:], issuer + "/", issuer + ".example", issuer.swapcase(), " " + issuer, issuer + " "),
        *([issuer], {issuer: True}, 1, True, None, "", issuer + "#", issuer + "?"),
        *(
            f"{issuer}.evil.example",
            f"https://evil.example/?{issuer}",
            f"https://evil.example/{issuer}",
            f"{issuer}@evil",
        ),
        *(issuer.replace("//", "//user@"), issuer.replace("http", "HTTP"), issuer.replace(":", "%3A"), f"{issuer}\0"),
        *(issuer[: len(issuer) // 2], issuer + issuer, f"{issuer}/../x", f"{issuer}\\", "*", "%", f"\u200b{issuer}"),
        *([issuer, issuer], [[issuer]], [], {}, 0, {"0": issuer}, ["https://other.example", issuer], 10**19),
    )
    changes |= {f"D06_{number}": {"iss": value} for number, value in enumerate(issuers)}
    for claim in ("sub", "jti", "client_id"):
        changes |= {f"D07_{claim}_{number}": {claim: value} for number, value in enumerate(_NO_NAMES)}
    return changes | {f"D11_{number}": {"scope": value} for number, value in enumerate(_NO_SCOPES)}

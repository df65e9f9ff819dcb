"""Rows D01 to D14: the claims, their JSON, and what a refusal gives away."""

import json
import time
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose.keys import generate
from jotgate.testing.forge import ABSENT, to_json
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import run_command
from tests.attacks.catalogue import Catalogue
from tests.attacks.target import Shot, Target, bearer

_LEEWAY_S: Final = 5  # issuer.leeway
_LONG_PAST_S: Final = 3_600
_MARK: Final = "mark7f3a"
_REFLECTIONS: Final = (
    f'{_MARK}", error="invalid_token',
    f"{_MARK}\r\nSet-Cookie: a=b",
    f"{_MARK}\r\n\r\n<html>",
    f"{_MARK}\x1b[31m",
    f"<script>alert('{_MARK}')</script>",
    f"{_MARK}\u2028\u202e",
    f"{_MARK}%0d%0aX: y",
    f"{_MARK}\\\"',;",
    f"${{jndi:ldap://{_MARK}/a}}",
    f"{_MARK}\udcff",
    f"{_MARK}\0",
)


@pytest.fixture
def fresh(target: Target) -> TestIssuer:
    """The gateway's own key with the time as it is now, for tokens at the edge of their time."""
    return target.own_issuer()


def test_D01_repeated_names(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D01", 25))


def test_D02_payloads_that_are_no_objects(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D02", 14))


def test_D03_times_that_are_no_numbers(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D03", 70))


def test_D04_times_ahead_and_lifetimes_too_long(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D04", 4))


def test_D04_the_edges_of_the_leeway(target: Target, fresh: TestIssuer) -> None:
    """Time only goes on, so that what has just expired stays so, and what has just begun does too."""
    now_s = int(time.time())
    expired = fresh.with_claims(exp=now_s - _LEEWAY_S, iat=now_s - 60)
    a_second_ago = fresh.with_claims(exp=now_s - _LEEWAY_S - 1, iat=now_s - 60)
    after_its_end = fresh.with_claims(exp=now_s + 1, iat=now_s + 4)
    ahead = {f"{claim}_ahead": fresh.with_claims(**{claim: now_s + _LEEWAY_S + 60}) for claim in ("nbf", "iat")}
    target.refuses_tokens(
        {
            "expired": (expired, Code.TOKEN_EXPIRED),
            "expired_a_second_ago": (a_second_ago, Code.TOKEN_EXPIRED),
            "issued_after_its_end": (after_its_end, Code.CLAIM_REFUSED),
            **{name: (token, Code.TOKEN_IMMATURE) for name, token in ahead.items()},
        }
    )
    target.takes(fresh.with_claims(nbf=now_s + _LEEWAY_S, iat=now_s + _LEEWAY_S))
    target.takes(fresh.with_claims(exp=now_s + 30, iat=now_s - 60, nbf=now_s))


def test_D05_other_audiences(target: Target, catalogue: Catalogue, forge: TestIssuer) -> None:
    target.refuses_tokens(catalogue.row("D05", 40))
    target.takes(forge.with_claims(aud=["https://other.example", forge.audience]))


def test_D06_issuers_that_look_like_ours(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D06", 35))


def test_D07_names_that_are_none(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D07", 90))


def test_D07_a_subject_without_end(target: Target, forge: TestIssuer) -> None:
    target.refuses(
        {
            "long": bearer(forge.with_claims(sub="a" * 13_000), Code.TOKEN_MALFORMED),
            "two_megabytes": bearer(
                forge.with_claims(sub="a" * 2_000_000), Code.HEADERS_TOO_LARGE, 431, recorded=False
            ),
        }
    )


def test_D08_encodings_that_are_no_strict_json(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D08", 45))


def test_D09_deep_wide_and_long(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("D09", 10))


def _bombs(forge: TestIssuer) -> dict[str, bytes]:
    """JSON that costs time, memory or the stack of whoever reads it before its length."""
    good = to_json(forge.claims())[:-1] + b',"x":'
    return {
        "deep_arrays": good + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep_objects": good + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        "members": good + b"{" + b",".join(b'"%d":0' % number for number in range(1_000_000)) + b"}}",
        "digits": good + b"9" * 1_000_000 + b"}",
        "exponent": good + b"1e" + b"9" * 1_000_000 + b"}",
        "array": good + b"[" + b"0," * 1_000_000 + b"0]}",
        "text": good + b'"' + b"\\u0061" * 1_000_000 + b'"}',
    }


def test_D09_bombs_are_refused_by_their_length(target: Target, forge: TestIssuer) -> None:
    before = target.memory_bytes()
    shots = {}
    for name, payload in _bombs(forge).items():
        shots[name] = bearer(forge.seal(forge.header(), payload), Code.HEADERS_TOO_LARGE, 431, recorded=False)
        cut = forge.seal(forge.header(), payload[:16_000])
        shots[f"{name}_cut"] = bearer(cut, Code.TOKEN_MALFORMED)
    target.refuses(shots)
    assert target.memory_bytes() - before < 8_000_000


@pytest.mark.parametrize("piece", [b".", b"A", b"A.", b"{", b"=", b"A.A.A "])
def test_D10_tokens_without_end(target: Target, piece: bytes) -> None:
    before = target.memory_bytes()
    fits, never = 20_000 // len(piece), 1_000_000 // len(piece)
    target.refuses(
        {
            "longer_than_a_token": bearer(piece * fits, Code.TOKEN_MALFORMED),
            "longer_than_a_head": bearer(piece * never, Code.HEADERS_TOO_LARGE, 431, recorded=False),
            "a_million": bearer(piece * 1_000_000, Code.HEADERS_TOO_LARGE, 431, recorded=False),
        }
    )
    assert target.memory_bytes() - before < 8_000_000


def test_D11_scopes_and_models_of_other_types(target: Target, catalogue: Catalogue, forge: TestIssuer) -> None:
    target.refuses_tokens(catalogue.row("D11", 18))
    models = ("m", {"m": True}, [1], [["m"]], [None], True, 1, "", [{"m": 1}], {"0": "m"}, [""], ["m", 1])
    target.refuses_tokens(
        {
            f"models_{number}": (forge.with_claims(models=value), Code.CLAIM_REFUSED)
            for number, value in enumerate(models)
        }
    )


def test_D11_only_a_whole_scope_permits(target: Target, forge: TestIssuer) -> None:
    """The token is good, and what it says it may do is not this."""
    scopes = (
        *(
            "AI",
            "ai,metrics",
            "a",
            "aii",
            "metrics",
            "ai;",
            "ai/",
            "*",
            "chat",
            "chat.completion",
            "chat.completions,ai",
        ),
        *(
            "Chat.Completions",
            "embeddings models",
            "ai:chat",
            "openid",
            "chat.*",
            "[ai]",
            "{ai}",
            "'ai'",
            "admin",
            "+ai",
        ),
    )
    shots = {
        f"scope_{number}": bearer(forge.with_claims(scope=scope), Code.INSUFFICIENT_SCOPE, 403, known=True)
        for number, scope in enumerate(scopes)
    }
    claims: tuple[dict[str, object], ...] = (
        {"scp": ["ai"]},
        {"scopes": "ai"},
        {"roles": ["admin"]},
        {"role": {"ai": True}},
        {"permissions": ["ai"]},
        {"Scope": "ai"},
        {"realm_access": {"roles": ["ai"]}},
    )
    for number, more in enumerate(claims):
        token = forge.with_claims(scope="embeddings", **more)
        shots[f"elsewhere_{number}"] = bearer(token, Code.INSUFFICIENT_SCOPE, 403, known=True)
        in_header = forge.seal(forge.header(scope="ai", **more), forge.claims(scope="embeddings"))
        shots[f"in_header_{number}"] = bearer(in_header, Code.INSUFFICIENT_SCOPE, 403, known=True)
    for number, models in enumerate(([], ["M"], ["m "], ["*"], ["other"], ["m,other"], ["m/"], ["%"])):
        token = forge.with_claims(models=models)
        shots[f"models_{number}"] = bearer(token, Code.MODEL_NOT_PERMITTED, 403, known=True)
    target.refuses(shots)


def test_D12_tokens_that_were_made_for_something_else(target: Target, forge: TestIssuer) -> None:
    """ID tokens, refresh tokens, logout tokens, proofs and assertions of the same issuer, under the same key."""
    kinds: dict[str, tuple[str | None, dict[str, object]]] = {
        "id_token": ("JWT", {"aud": "jotgate-cli", "nonce": "n"}),
        "id_token_for_us": ("JWT", {"nonce": "n", "auth_time": forge.now_s}),
        "id_token_without_typ": (None, {"aud": "jotgate-cli"}),
        "logout": ("logout+jwt", {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        "refresh": ("rt+jwt", {}),
        "assertion": ("client-authentication+jwt", {"iss": "jotgate-cli", "sub": "jotgate-cli"}),
        "proof": ("dpop+jwt", {"htm": "POST", "htu": forge.audience}),
        "introspection": ("token-introspection+jwt", {"token_introspection": {"active": True}}),
        "secevent": ("secevent+jwt", {"events": {}}),
        "for_another": ("at+jwt", {"aud": "https://other.example"}),
    }
    shots = {}
    for name, (typ, claims) in kinds.items():
        header = forge.header(typ=ABSENT if typ is None else typ)
        shots[name] = (forge.seal(header, forge.claims(**claims)), Code.CLAIM_REFUSED)
    target.refuses_tokens(shots)


def test_D13_no_fault_hides_another(target: Target, forge: TestIssuer) -> None:
    """Each fault alone is refused; two together are too, and nothing of the claims is believed."""
    past: dict[str, object] = {"iat": forge.now_s - 2 * _LONG_PAST_S, "exp": forge.now_s - _LONG_PAST_S}
    faults: dict[str, dict[str, object]] = {
        "expired": past,
        "immature": {"nbf": forge.now_s + _LONG_PAST_S},
        "issuer": {"iss": "https://other.example"},
        "audience": {"aud": "https://other.example"},
        "subject": {"sub": ["admin"]},
        "scope": {"scope": ["ai"]},
        "without_jti": {"jti": ABSENT},
        "lifetime": {"exp": forge.now_s + 10**9},
    }
    by_time = {("expired", "immature"): Code.TOKEN_EXPIRED, ("immature", "lifetime"): Code.TOKEN_IMMATURE}
    refusals = {"expired": Code.TOKEN_EXPIRED, "immature": Code.TOKEN_IMMATURE}
    stranger = TestIssuer(generate("ES256"), forge.issuer, forge.audience, forge.now_s)
    shots: dict[str, tuple[bytes, Code]] = {}
    for one, claims in faults.items():
        shots[one] = (forge.with_claims(**claims), refusals.get(one, Code.CLAIM_REFUSED))
        shots[f"{one}_forged"] = _forged(stranger, forge, claims)
        for other, more in faults.items():
            if other > one and not claims.keys() & more.keys():
                both = {**claims, **more}
                code = by_time.get((one, other), Code.CLAIM_REFUSED)
                shots[f"{one}_and_{other}"] = (forge.with_claims(**both), code)
    target.refuses_tokens(shots)


def _forged(stranger: TestIssuer, forge: TestIssuer, claims: dict[str, object]) -> tuple[bytes, Code]:
    """Wrong claims under somebody else's signature; looked at before it: their types, and the issuer's name."""
    token = stranger.seal(stranger.header(kid=forge.key.kid), stranger.claims(**claims))
    mistyped = any(isinstance(value, list) for value in claims.values())
    return token, Code.CLAIM_REFUSED if mistyped or "iss" in claims else Code.SIGNATURE_INVALID


def test_D14_a_refusal_repeats_nothing(target: Target, forge: TestIssuer) -> None:
    """The answer has no word of what was refused; the audit log has it escaped, and the terminal scrubbed."""
    shots: dict[str, Shot] = {}
    for number, text in enumerate(_REFLECTIONS):
        malformed = not text.isascii() or not text.isprintable()
        strict = Code.TOKEN_MALFORMED if "\udcff" in text else Code.CLAIM_REFUSED
        for claim in ("iss", "aud"):
            code = Code.TOKEN_MALFORMED if "\udcff" in text else strict
            shots[f"{claim}_{number}"] = bearer(forge.with_claims(**{claim: text}), code)
        for claim in ("exp", "nbf"):
            shots[f"{claim}_{number}"] = bearer(forge.with_claims(**{claim: text}), strict)
        for claim in ("sub", "jti", "client_id", "scope"):
            shots[f"{claim}_{number}"] = bearer(forge.with_claims(**{claim: [text]}), strict)
        shots[f"name_{number}"] = bearer(forge.with_claims(aud=None, **{text: 1}), strict)
        kid = Code.TOKEN_MALFORMED if malformed else Code.KEY_UNKNOWN
        shots[f"kid_{number}"] = bearer(forge.with_header(kid=text), kid)
        alg = Code.TOKEN_MALFORMED if "\udcff" in text else Code.ALGORITHM_REFUSED
        shots[f"alg_{number}"] = bearer(forge.with_header(alg=text), alg)
        typ = Code.TOKEN_MALFORMED if "\udcff" in text else Code.CLAIM_REFUSED
        shots[f"typ_{number}"] = bearer(forge.with_header(typ=text), typ)
        shots[f"crit_{number}"] = bearer(forge.with_header(crit=[text], **{text: 1}), Code.TOKEN_MALFORMED)
    thrown = target.refuses(shots)
    assert _MARK.encode() not in thrown.said
    for raw in (b"\r\nSet-Cookie", b"\x1b[31m", b"\0mark"):
        assert raw not in thrown.kept
    for number in (number for number, text in enumerate(_REFLECTIONS) if "\x1b" in text or "\u202e" in text):
        shown = run_command("explain", f"{thrown.batch}aud_{number}", data=target.gateway.data)
        assert shown.returncode == 0
        assert _MARK in shown.stdout
        assert not {"\x1b", "\u202e", "\u2028"} & set(shown.stdout)


def test_D14_what_is_recorded_of_a_good_token_stays_in_its_place(target: Target, forge: TestIssuer) -> None:
    """A subject may have quotes and angles: in the audit log it is one JSON string on one line."""
    subject = f'{_MARK}","outcome":"complete"<script>\\'
    record = target.record(target.takes(forge.with_claims(sub=subject)))
    assert record["subject"] == subject
    assert json.loads(json.dumps(record)) == record

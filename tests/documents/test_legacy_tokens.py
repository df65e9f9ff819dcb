"""The tokens of documents 001, 003 and 004 are taken by the profiles of their issuers, and no others."""

import contextlib
import io
import json
import math
import re
import secrets
import time
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import jwt as pyjwt
import pytest

from jotgate.core.config import Server
from jotgate.core.config_reader import parse as parse_config
from jotgate.core.guessing import PRINTED
from jotgate.core.issuer_secrets import check_guessable, secret_mark, warn_of_ages, warn_of_guessable
from jotgate.core.limit_texts import read_limit, write_limit
from jotgate.core.plans import Held, find_plan
from jotgate.core.principals import Principal
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.spenders import spender_of, spending_of, surroundings_of
from jotgate.errors import Code, JotgateError
from jotgate.jose import jws
from jotgate.jose.jws import parse
from jotgate.jose.keys import KeySet, generate, hmac_key, signing_key_to_pem
from jotgate.services.verifier import Verifier
from tests.callers import NAME
from tests.documents.excerpts import ROOT, code, excerpt
from tests.documents.ledger import read_documents
from tests.issuers import fault_of, verifier_of, ways_of

NOW_S: Final = 1_800_000_000
SECRET: Final = secrets.token_hex(32)
OLDER: Final = secrets.token_hex(32)
PROMPT_CHAIN: Final = '[[issuers]]\nname = "chain"\nprofile = "prompt-chain"\n'
API_GATEWAY: Final = '[[issuers]]\nname = "gateway"\nprofile = "api-gateway"\n'
MCP_DAEMON: Final = '[[issuers]]\nname = "daemon"\nprofile = "mcp-daemon"\n'
JWKS: Final = 'jwks_url = "https://auth-server.com/.well-known/jwks.json"'
VARIABLES: Final = {"JWT_SECRET_KEY": SECRET, "SUPABASE_JWT_SECRET": SECRET}
YEAR_S: Final = 365 * 24 * 60 * 60
PRINTED_SECRET: Final = re.compile(
    r"""(?:SECRET["']?\s*=\s*|secret(?:_key)?\s*=\s*|--secret\s+|Secret:\s*|Output:\s*|encode\(payload,\s*|KEY=)"""
    r"""["']?([^\s"'$,)(]{12,})"""
)

CHAIN: Final[Mapping[str, object]] = {"sub": "client", "iat": NOW_S - 100}
GATEWAY: Final[Mapping[str, object]] = {
    "sub": "user_123",
    "name": "John Doe",
    "email": "john@example.com",
    "roles": ["user", "api_access"],
    "iat": NOW_S,
    "exp": NOW_S + 3600,
    "iss": "api-gateway",
    "aud": "openai-api",
}
DAEMON: Final[Mapping[str, object]] = {
    "sub": "agent_001",
    "iat": NOW_S,
    "exp": NOW_S + 86_400,
    "iss": "exai-mcp-server",
    "aud": "exai-mcp-client",
}


def signed(claims: Mapping[str, object], key: str = SECRET, alg: str = "HS256", **header: object) -> bytes:
    """A token as the documents' own libraries make it; a header member None is left out."""
    return pyjwt.encode(dict(claims), key, alg, headers=header or None).encode()


def without(claims: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in claims.items() if name not in names}


def refusal(verifier: Verifier, token: bytes, now_s: float = NOW_S) -> tuple[Code, str]:
    with pytest.raises(JotgateError) as caught:
        verifier.verify(token, now_s)
    return caught.value.code, caught.value.message


def test_the_token_that_001_prints_is_taken() -> None:
    header, payload = json.loads(code("001", 122)), json.loads(code("001", 131))
    assert header == {"alg": "HS256", "typ": "JWT"}
    verifier = verifier_of(PROMPT_CHAIN, VARIABLES)
    now_s = payload["iat"] + 10
    token = signed(payload)
    assert parse(token).header == header
    assert verifier.verify(token, now_s) == Principal(
        issuer="chain",
        subject="client",
        client_id="",
        token_id=sha256(parse(token).signing_input).hexdigest(),
        kid="secret-0",
        scopes=frozenset(("chat.completions", "models")),
        models=None,
        expires_at_s=payload["exp"],
        not_before_s=0.0,
        token_type="jwt",
        issued_at_s=payload["iat"],
    )
    assert refusal(verifier, token, payload["exp"])[0] is Code.TOKEN_EXPIRED
    assert verifier.verify(token, payload["exp"] - 1).subject == "client"


def test_a_token_of_001_may_live_for_ever_and_leave_its_type_out() -> None:
    verifier = verifier_of(PROMPT_CHAIN, VARIABLES)
    assert verifier.verify(signed(CHAIN), NOW_S + 100 * YEAR_S).expires_at_s == math.inf
    assert verifier.verify(signed(CHAIN, typ=None), NOW_S).subject == "client"
    assert "typ" not in parse(signed(CHAIN, typ=None)).header


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_algorithm_of_001_is_the_one_that_is_set_and_no_other(alg: str) -> None:
    verifier = verifier_of(f'{PROMPT_CHAIN}algorithms = ["{alg}"]', VARIABLES)
    for other in ("HS256", "HS384", "HS512"):
        if other == alg:
            assert verifier.verify(signed(CHAIN, alg=other), NOW_S).subject == "client"
        else:
            assert refusal(verifier, signed(CHAIN, alg=other))[0] is Code.ALGORITHM_REFUSED


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({**CHAIN, "iss": "api-gateway"}, Code.CLAIM_REFUSED),
        ({**CHAIN, "iss": ""}, Code.CLAIM_REFUSED),
        ({**CHAIN, "iss": "chain"}, Code.CLAIM_REFUSED),
        ({**CHAIN, "aud": "openai-api"}, Code.CLAIM_REFUSED),
        ({**CHAIN, "aud": []}, Code.CLAIM_REFUSED),
        ({**CHAIN, "exp": NOW_S}, Code.TOKEN_EXPIRED),
        ({**CHAIN, "exp": None}, Code.CLAIM_REFUSED),
        ({**CHAIN, "exp": NOW_S - 200}, Code.TOKEN_EXPIRED),
        ({**CHAIN, "exp": NOW_S + 2 * YEAR_S}, Code.CLAIM_REFUSED),
        ({**CHAIN, "iat": NOW_S + 1}, Code.TOKEN_IMMATURE),
        ({**CHAIN, "nbf": NOW_S + 1}, Code.TOKEN_IMMATURE),
        (without(CHAIN, "sub"), Code.CLAIM_REFUSED),
        (without(CHAIN, "iat"), Code.CLAIM_REFUSED),
        ({**CHAIN, "sub": ""}, Code.CLAIM_REFUSED),
    ],
)
def test_what_001_does_not_describe_is_refused(claims: Mapping[str, object], wanted: Code) -> None:
    raw = json.dumps(claims)  # PyJWT mends or refuses some of these.
    token = pyjwt.PyJWS().encode(raw.encode(), SECRET, "HS256").encode()
    assert refusal(verifier_of(PROMPT_CHAIN, VARIABLES), token)[0] is wanted


@pytest.mark.parametrize("typ", ["at+jwt", "id", "dpop+jwt", ""])
@pytest.mark.parametrize("text", [PROMPT_CHAIN, MCP_DAEMON])
def test_another_type_is_refused(text: str, typ: str) -> None:
    claims = CHAIN if text is PROMPT_CHAIN else DAEMON
    key = hmac_key(SECRET.encode(), "HS256", "secret")
    token = jws.sign({"typ": typ}, json.dumps(dict(claims)).encode(), key, with_kid=False)
    assert refusal(verifier_of(text, VARIABLES), token)[0] is Code.CLAIM_REFUSED


def test_the_claims_that_003_signs_are_taken() -> None:
    text = excerpt("003", 86)
    for name in ("sub: user.id", "roles: user.roles", "iss: 'api-gateway'", "aud: 'openai-api'", "algorithm: 'RS256'"):
        assert name in text
    for alg in ("RS256", "ES256"):
        key = generate(alg)
        token = pyjwt.encode(dict(GATEWAY), signing_key_to_pem(key), alg).encode()
        assert parse(token).kid is None
        sets = {"gateway": KeySet([key.verification_key]).to_jwks()}
        verifier = verifier_of(API_GATEWAY + JWKS, None, sets)
        found = verifier.verify(token, NOW_S)
        assert (found.issuer, found.subject) == ("api-gateway", "user_123")
        assert found.roles == {"user", "api_access"}
        assert found.scopes == {"ai"}
        assert verifier.verify(token, NOW_S + 3600 + 29).subject == "user_123"
        assert refusal(verifier, token, NOW_S + 3600 + 30)[0] is Code.TOKEN_EXPIRED
        with_kid = pyjwt.encode(dict(GATEWAY), signing_key_to_pem(key), alg, headers={"kid": key.kid}).encode()
        assert verifier.verify(with_kid, NOW_S).kid == key.kid
    assert "clockTolerance: 30" in excerpt("003", 153)


def test_a_token_without_kid_is_ambiguous_among_several_keys() -> None:
    first, second = generate("ES256"), generate("ES256")
    token = pyjwt.encode(dict(GATEWAY), signing_key_to_pem(first), "ES256").encode()
    sets = {"gateway": KeySet([first.verification_key, second.verification_key]).to_jwks()}
    text = API_GATEWAY + JWKS
    assert refusal(verifier_of(text, None, sets), token)[0] is Code.KEY_AMBIGUOUS
    mixed = {"gateway": KeySet([first.verification_key, generate("RS256").verification_key]).to_jwks()}
    assert verifier_of(text, None, mixed).verify(token, NOW_S).subject == "user_123"


def test_003_with_a_shared_secret_takes_hs256_and_no_key_pair() -> None:
    verifier = verifier_of(API_GATEWAY + 'secret_env = "INTERNAL"', {"INTERNAL": SECRET})
    assert verifier.verify(signed(GATEWAY), NOW_S).subject == "user_123"
    assert refusal(verifier, signed(GATEWAY, alg="HS512"))[0] is Code.ALGORITHM_REFUSED
    key = generate("RS256")
    assert (
        refusal(verifier, pyjwt.encode(dict(GATEWAY), signing_key_to_pem(key), "RS256").encode())[0]
        is Code.ALGORITHM_REFUSED
    )


@pytest.mark.parametrize(
    "claims",
    [
        {**GATEWAY, "aud": "openai-api2"},
        {**GATEWAY, "iss": "api-gateway2"},
        {**GATEWAY, "exp": NOW_S + 2 * 86_400},
        *(without(GATEWAY, name) for name in ("sub", "iat", "exp", "iss", "aud")),
        {**GATEWAY, "roles": [7]},
        {**GATEWAY, "roles": {"name": "admin"}},
    ],
)
def test_what_003_does_not_describe_is_refused(claims: Mapping[str, object]) -> None:
    verifier = verifier_of(API_GATEWAY + 'secret_env = "INTERNAL"', {"INTERNAL": SECRET})
    wanted = Code.CLAIM_REFUSED if "iss" in claims else Code.ALGORITHM_REFUSED  # This installation's rules.
    assert refusal(verifier, signed(claims))[0] is wanted


@pytest.mark.parametrize("line", [170, 240])
def test_the_generators_that_004_prints_make_tokens_that_are_taken(line: int) -> None:
    text = excerpt("004", line)
    python = text[text.index("import jwt") :].partition('\n")')[0].partition("```")[0]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(python.replace("your_64_character_hex_secret_here", SECRET), {})  # noqa: S102 - the document's own code
    token = said.getvalue().split()[-1].encode()
    found = verifier_of(MCP_DAEMON, VARIABLES).verify(token, time.time())
    assert (found.issuer, found.subject) == ("exai-mcp-server", "agent_001")
    assert found.roles == {"user"}
    assert found.scopes == {"ai"}


def test_name_quota_and_role_of_004_are_optional() -> None:
    verifier = verifier_of(MCP_DAEMON, VARIABLES)
    assert verifier.verify(signed(DAEMON), NOW_S).roles == frozenset()
    for extra in ({"quota": 0}, {"quota": 1000}, {"name": "AI Client"}, {"role": "user"}):
        assert verifier.verify(signed({**DAEMON, **extra}), NOW_S).subject == "agent_001"


def plan_of(token: bytes, *, rules: str = "", held: Held | None = None) -> dict[str, tuple[str, str]]:
    """What meets a call by a token of the daemon: the limit and the holder of each account, by its key."""
    verifier = verifier_of(MCP_DAEMON, VARIABLES)
    around = surroundings_of(tuple(one.content for one in verifier.federation.issuers), frozenset())
    spender = spender_of(verifier.verify(token, NOW_S))
    spending = spending_of(spender, "glm", "chat.completions", around)
    meters = find_plan(spender, spending, compile_quotas(parse_config(tomllib.loads(rules)).quotas), held or {})
    return {one.key: (write_limit(one.quota.limit), one.holders[0]) for one in meters}


def limits_of(plan: Mapping[str, tuple[str, str]]) -> set[str]:
    return {text for text, _ in plan.values()}


def test_F20_the_quota_of_004_is_an_upper_bound_that_is_counted_and_never_counted_down() -> None:
    """A number in a token says how much at most; what was used stands in accounts of the token and of its subject."""
    assert 'if payload.get("quota", 0) <= 0:' in excerpt("004", 278)
    first = plan_of(signed({**DAEMON, "quota": 5}))
    assert limits_of(first) == {"5 requests", "1000 requests/day"}
    assert plan_of(signed({**DAEMON, "quota": 5})) == first, "the same token spends from the same accounts"
    assert limits_of(plan_of(signed(DAEMON))) == {"100 requests", "1000 requests/day"}
    for spent in (0, -1, -(10**18)):
        token = signed({**DAEMON, "quota": spent})
        assert "0 requests" in limits_of(plan_of(token)), "which no request fits in: 429"


@pytest.mark.parametrize("value", ["100", 5.0, None, True, [5], {"requests": 5}])
def test_a_quota_of_004_that_is_no_whole_number_makes_the_token_invalid(value: object) -> None:
    code_, message = refusal(verifier_of(MCP_DAEMON, VARIABLES), signed({**DAEMON, "quota": value}))
    assert (code_, "'quota' is not a whole number" in message) == (Code.CLAIM_REFUSED, True)


def test_F20_a_freshly_signed_token_of_004_buys_nothing() -> None:
    """Whoever has the secret signs what they like; the daily limit of the subject stands over all of it."""
    assert '"quota": 1000,  # Higher quota' in excerpt("004", 633)
    tokens = [signed({**DAEMON, "quota": 10**12, "iat": NOW_S - age}) for age in range(3)]
    plans = [plan_of(token) for token in tokens]
    shared = set.intersection(*map(set, plans))
    assert {plans[0][key] for key in shared} == {("1000 requests/day", f"{NAME} daemon/agent_001")}
    everybody = plan_of(signed({**DAEMON, "sub": "agent_002"}))
    assert shared.isdisjoint(everybody), "each subject has its own"


def test_another_limit_of_the_subject_of_004_takes_the_place_of_the_daily_one() -> None:
    token = signed({**DAEMON, "quota": 5})
    rule = '[[quotas]]\nname = "more"\nlimit = "5000 requests/day"\nsubjects = ["agent_*"]\n'
    assert limits_of(plan_of(token, rules=rule)) == {"5 requests", "5000 requests/day"}
    held: Held = {("principal", f"{NAME} daemon/agent_001"): (read_limit("50 requests/day"),)}
    assert limits_of(plan_of(token, held=held)) == {"5 requests", "50 requests/day"}
    rate = rule.replace("5000 requests/day", "60 requests/60s")
    assert limits_of(plan_of(token, rules=rate)) == {"5 requests", "60 requests/60s", "1000 requests/day"}


@pytest.mark.parametrize(
    "claims",
    [
        {**DAEMON, "aud": "exai-mcp-server"},
        {**DAEMON, "iss": "exai-mcp-client"},
        {**DAEMON, "exp": NOW_S + 91 * 86_400},
        {**DAEMON, "role": 7},
        *(without(DAEMON, name) for name in ("sub", "iat", "exp", "iss", "aud")),
    ],
)
def test_what_004_does_not_describe_is_refused(claims: Mapping[str, object]) -> None:
    wanted = Code.CLAIM_REFUSED if "iss" in claims else Code.ALGORITHM_REFUSED  # This installation's rules.
    assert refusal(verifier_of(MCP_DAEMON, VARIABLES), signed(claims))[0] is wanted


def test_a_year_is_too_long_for_004() -> None:
    assert "365 * 24 * 60 * 60  # 1 year (INSECURE!)" in excerpt("004", 557)
    verifier = verifier_of(MCP_DAEMON, VARIABLES)
    code_, message = refusal(verifier, signed({**DAEMON, "exp": NOW_S + YEAR_S}))
    assert (code_, "lives longer than" in message) == (Code.CLAIM_REFUSED, True)


def test_the_64_hexadecimal_digits_of_004_are_64_bytes() -> None:
    raw = pyjwt.encode(dict(DAEMON), bytes.fromhex(SECRET), "HS256").encode()
    assert refusal(verifier_of(MCP_DAEMON, VARIABLES), raw)[0] is Code.SIGNATURE_INVALID
    assert verifier_of(MCP_DAEMON, VARIABLES).verify(signed(DAEMON), NOW_S).subject == "agent_001"


@pytest.mark.parametrize(
    ("text", "variable", "line", "claims"),
    [(PROMPT_CHAIN, "JWT_SECRET_KEY", ("001", 278), CHAIN), (MCP_DAEMON, "SUPABASE_JWT_SECRET", ("004", 109), DAEMON)],
)
def test_a_secret_is_rotated_and_the_old_one_ends(
    text: str, variable: str, line: tuple[str, int], claims: Mapping[str, object]
) -> None:
    """Generate, update the environment, and old tokens are invalid, at a stated time."""
    assert re.search("(?i)invalidate old tokens", excerpt(*line))
    assert verifier_of(text, {variable: OLDER}).verify(signed(claims, OLDER), NOW_S).subject == claims["sub"]
    rotated = {
        variable: SECRET,
        f"{variable}_PREVIOUS": OLDER,
        f"{variable}_PREVIOUS_UNTIL": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW_S + 60)),
    }
    verifier = verifier_of(text, rotated)
    old, new = signed(claims, OLDER), signed(claims)
    assert verifier.verify(old, NOW_S + 59).kid == "secret-1"
    assert verifier.verify(new, NOW_S + 59).kid == "secret-0"
    assert refusal(verifier, old, NOW_S + 60)[0] is Code.SIGNATURE_INVALID
    assert verifier.verify(new, NOW_S + 60).kid == "secret-0"
    fresh = verifier_of(text, rotated)
    assert refusal(fresh, old, NOW_S + 60)[0] is Code.SIGNATURE_INVALID
    del rotated[f"{variable}_PREVIOUS_UNTIL"]
    ((path, fault),) = ways_of(text, rotated)[0].faults
    assert (path, f"{variable}_PREVIOUS_UNTIL" in fault) == ("issuers[0].previous_until", True)


def test_a_secret_of_90_days_is_due() -> None:
    assert "90 Days" in excerpt("004", 108)
    found = ways_of(MCP_DAEMON, VARIABLES)[0].found
    assert found.secret is not None
    seen = {secret_mark(found.secret): NOW_S}
    assert warn_of_ages(found, seen, NOW_S + 90 * 86_400 - 1) == []
    (warning,) = warn_of_ages(found, seen, NOW_S + 90 * 86_400)
    assert "is 90 days old" in warning


def test_each_secret_that_a_document_prints_is_refused_where_others_reach_the_gateway() -> None:
    printed = {
        found
        for document in read_documents(ROOT).values()
        for found in PRINTED_SECRET.findall("\n".join(document.lines))
    }
    assert len(printed) >= 4
    assert {sha256(one.lower().encode()).hexdigest() for one in printed} >= PRINTED
    for secret in printed:
        for form in (secret, secret.upper(), f" {secret} "):
            found = ways_of(MCP_DAEMON, {"SUPABASE_JWT_SECRET": form})[0].found
            for server in (Server(host="10.0.0.1"), Server(behind_proxy=True), Server(trusted_proxies=("10.0.0.1",))):
                ((path, fault),) = check_guessable(found, server)
                assert (path, secret not in fault) == ("issuers[0].secret_env", True)
            assert check_guessable(found, Server()) == []
            (warning,) = warn_of_guessable(found)
            assert secret not in warning


def test_004_says_itself_not_to_use_what_it_prints() -> None:
    assert "# jwt_secret = " in excerpt("004", 582)
    found = ways_of(MCP_DAEMON, {"SUPABASE_JWT_SECRET": code("004", 577).split('"')[-2]})[0].found
    assert check_guessable(found, Server(host="0.0.0.0")) != []  # noqa: S104 - nothing is bound here


def test_two_issuers_without_a_name_of_their_own_are_a_fault() -> None:
    path, fault = fault_of(PROMPT_CHAIN + PROMPT_CHAIN.replace("chain", "second", 1).replace("second", "second"))
    assert path == "issuers[1].issuer"
    assert "one issuer alone may name none" in fault

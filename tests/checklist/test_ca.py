"""Rows CA-01 to CA-04 and F16 of the token checklist (RFC 7523 and its update): assertions of clients.

CA-05 is of assertions as grants: `tests/conformance/test_trades.py`.
"""

import asyncio
import hmac
from collections import Counter
from typing import Any, Final

import pytest

from jotgate.core.oauth_form import Form
from jotgate.core.senders import Sender
from jotgate.errors import ClientRefused
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import generate, public_jwk, signing_key_to_pem
from jotgate.services.client_auth import ASSERTION_LIFETIME_MAX_S, ClientAuthenticator
from jotgate.services.client_refusals import ClientRefusals
from jotgate.store_ports import Store
from jotgate.stores.access import ThreadedAccess
from jotgate.testing.forge import to_json
from tests.callers import NAME, NOW_S
from tests.token_stage import CLIENT_KEY, TokenStage, asserting, assertion, client, key_client

OTHER_KEY: Final = generate("ES256")
TOKEN_URL: Final = NAME + "/oauth/token"


@pytest.fixture
def stage() -> TokenStage:
    found = TokenStage()
    found.put(key_client())
    return found


def ask(stage: TokenStage, text: str, **form: str) -> tuple[int, str]:
    """The status and, of a refusal, its word and what it says."""
    answer = stage.post("/oauth/token", {"grant_type": "client_credentials", **asserting(text), **form})
    body = answer.json()
    return answer.status_code, "" if answer.status_code == 200 else f"{body['error']}: {body['error_description']}"


def test_CA_01_a_good_assertion_is_taken_once(store: Store) -> None:
    stage = TokenStage(store)
    stage.put(key_client())
    text = assertion(jti="a")
    assert ask(stage, text) == (200, "")
    status, why = ask(stage, text)
    assert (status, "used before" in why) == (401, True)
    assert ask(stage, assertion(jti="a", exp=int(NOW_S) + 50))[0] == 401
    assert ask(stage, assertion(jti="b")) == (200, "")
    assert ask(stage, assertion(jti="c"), client_id="robot") == (200, "")


def test_CA_01_of_twenty_uses_at_once_one_is_taken(store: Store) -> None:
    stage = TokenStage(store)
    stage.put(key_client())
    access = ThreadedAccess(store, 8)
    clients = ClientAuthenticator(
        access=access, issuer=NAME, clock=stage.clock, refusals=ClientRefusals(stage.recorder, stage.clock)
    )
    form = Form({name: (value,) for name, value in asserting(assertion()).items()})

    async def use() -> str:
        try:
            return (await clients.authenticate(form, Sender("192.0.2.1"))).record.name
        except ClientRefused as refusal:
            return refusal.message

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(use() for _ in range(20)))

    said = Counter(asyncio.run(all_at_once()))
    assert said == {"robot": 1, "the client assertion is refused: it was used before": 19}


def test_CA_01_it_is_remembered_until_it_has_ended_and_for_each_client_alone(store: Store) -> None:
    stage = TokenStage(store)
    stage.put(key_client())
    stage.put(key_client("twin"))
    assert ask(stage, assertion(jti="a"))[0] == 200
    assert ask(stage, assertion("twin", jti="a"))[0] == 200
    stage.clock.advance(89)  # of 60 s and the leeway of 30 s
    assert ask(stage, assertion(jti="a"))[0] == 401
    assert store.drop_marks(int(stage.clock.now_s()), 10) == 0
    stage.clock.advance(1)
    assert store.drop_marks(int(stage.clock.now_s()), 10) == 2


def test_CA_01_one_that_is_refused_is_not_used_up(stage: TokenStage) -> None:
    assert ask(stage, assertion(jti="a", key=OTHER_KEY))[0] == 401
    assert ask(stage, assertion(jti="a", aud=TOKEN_URL))[0] == 401
    stage.put(key_client(enabled=False))
    assert ask(stage, assertion(jti="a"))[0] == 401
    stage.put(key_client())
    assert ask(stage, assertion(jti="a"))[0] == 200


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "other"}, "another issuer"),
        ({"iss": None}, "no claim 'iss'"),
        ({"jti": None}, "no claim 'jti'"),
        ({"jti": 7}, "'jti' is not"),
        ({"aud": None}, "no claim 'aud'"),
        ({"exp": None}, "no claim 'exp'"),
        ({"exp": int(NOW_S) - 30}, "expired"),
        ({"exp": int(NOW_S) + ASSERTION_LIFETIME_MAX_S + 1}, "lives longer"),
        ({"exp": int(NOW_S) + ASSERTION_LIFETIME_MAX_S + 1, "iat": None}, "lives longer"),
        ({"nbf": int(NOW_S) + 31}, "not valid yet"),
        ({"iat": int(NOW_S) + 31}, "in the future"),
    ],
)
def test_CA_01_whose_claims_are_not_those_of_an_assertion_is_refused(
    stage: TokenStage, claims: dict[str, Any], why: str
) -> None:
    status, said = ask(stage, assertion(**claims))
    assert (status, said.startswith("invalid_client"), why in said) == (401, True, True), said


def test_CA_01_a_subject_that_is_another_client_is_refused(stage: TokenStage) -> None:
    stage.put(key_client("twin"))
    assert ask(stage, assertion(sub="twin"))[0] == 401
    assert ask(stage, assertion(iss="twin"))[0] == 401
    assert ask(stage, assertion(sub=None))[0] == 401
    assert ask(stage, assertion(sub=None), client_id="robot")[0] in (400, 401)
    assert ask(stage, assertion(), client_id="twin")[0] == 400


@pytest.mark.parametrize("kind", ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer"])
def test_CA_01_another_type_of_assertion_is_refused(stage: TokenStage, kind: str) -> None:
    assert ask(stage, assertion(), client_assertion_type=kind)[0] == 400


@pytest.mark.parametrize(
    "aud",
    [
        TOKEN_URL,
        [NAME, TOKEN_URL],
        [TOKEN_URL, NAME],
        [NAME, NAME],
        [],
        NAME + "/",
        NAME.upper(),
        "https://other.example",
        "robot",
    ],
)
def test_CA_02_the_audience_is_our_name_and_nothing_beside_it(stage: TokenStage, aud: object) -> None:
    assert ask(stage, assertion(aud=aud))[0] == 401


def test_CA_02_an_array_of_our_name_alone_is_that_one_value(stage: TokenStage) -> None:
    assert ask(stage, assertion(aud=[NAME]))[0] == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"typ": "client-authentication+jwt"}, 200),
        ({"typ": "application/client-authentication+jwt"}, 200),
        ({"typ": "JWT"}, 200),
        ({}, 200),
        ({"typ": "at+jwt"}, 401),
        ({"typ": "dpop+jwt"}, 401),
        ({"typ": ""}, 401),
    ],
)
def test_CA_03_the_type_is_that_of_assertions_or_of_those_before_there_was_one(
    stage: TokenStage, header: dict[str, object], status: int
) -> None:
    assert ask(stage, assertion(header=header))[0] == status


@pytest.mark.parametrize("alg", ["ES256", "ES384", "Ed25519", "RS256", "PS256"])
def test_CA_04_each_algorithm_of_key_pairs_is_taken(stage: TokenStage, alg: str) -> None:
    key = generate(alg)
    stage.put(key_client(key=key))
    assert ask(stage, assertion(key=key))[0] == 200


def test_CA_04_no_other_algorithm_is_taken_whatever_the_key_is(stage: TokenStage) -> None:
    """Neither `none` nor a secret, be it the client's public key itself (RS to HS confusion)."""
    rsa = generate("RS256")
    jwk = to_json(public_jwk(rsa.verification_key))
    stage.put(key_client(key=rsa))
    claims = assertion(key=rsa).split(".")[1].encode()
    for secret in (jwk, signing_key_to_pem(rsa), b"", b"k" * 64):
        for kid in (rsa.kid, "other"):
            head = b64url_encode(to_json({"alg": "HS256", "kid": kid}))
            mac = hmac.digest(secret, head + b"." + claims, "sha256")
            assert ask(stage, b".".join((head, claims, b64url_encode(mac))).decode())[0] == 401
    signed, payload, _ = assertion(key=rsa).split(".")
    unsigned = assertion(key=rsa, header={}).split(".")
    for text in (f"{signed}.{payload}.", f"{unsigned[0]}.{payload}.", f"eyJhbGciOiJub25lIn0.{payload}."):
        assert ask(stage, text)[0] == 401


def test_F16_the_key_of_another_client_is_refused(stage: TokenStage) -> None:
    stage.put(key_client("twin", key=OTHER_KEY))
    assert ask(stage, assertion(key=OTHER_KEY))[0] == 401
    assert ask(stage, assertion("twin", key=OTHER_KEY))[0] == 200


def test_F16_a_client_without_keys_or_with_damaged_ones_gets_nothing(stage: TokenStage) -> None:
    for jwks in (b"", b"{}", b'{"keys":[]}', b"\xff"):
        stage.put(key_client(jwks=jwks))
        assert ask(stage, assertion())[0] == 401


def test_F16_an_assertion_of_ten_years_is_refused_even_when_it_was_made_long_ago(stage: TokenStage) -> None:
    ten_years_s = 10 * 365 * 86_400
    assert ask(stage, assertion(exp=int(NOW_S) + ten_years_s))[0] == 401
    assert ask(stage, assertion(exp=int(NOW_S) + 60, iat=int(NOW_S) - ten_years_s))[0] == 401


def test_F16_a_client_of_a_secret_has_no_use_for_assertions(stage: TokenStage) -> None:
    stage.put(client("robot", jwks=key_client().jwks))
    assert ask(stage, assertion())[0] == 401


def test_F16_each_refusal_is_on_record_and_none_holds_the_assertion(stage: TokenStage) -> None:
    text = assertion(key=OTHER_KEY)
    ask(stage, text)
    (event,) = stage.log.named("client.refused")
    assert (event.actor, event.details) == ("robot", {"method": "private_key_jwt", "peer": "192.0.2.7"})
    assert text.encode() not in b"".join(stage.log.lines)


def test_F16_a_flood_of_refusals_fills_no_log(stage: TokenStage) -> None:
    for _ in range(100):
        ask(stage, assertion(CLIENT_KEY.verification_key.kid))
    assert len(stage.log.named("client.refused")) == 60
    stage.clock.advance(60)
    ask(stage, assertion(key=OTHER_KEY))
    assert stage.log.named("client.refused")[-1].details["left_out"] == 40

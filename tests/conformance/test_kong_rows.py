"""The sixteen rows of Kong's jwt plugin, over the tokens that we make and over broken ones, at the verifier in testing.

What stands here is what the page of Kong's protocol says, letter by letter; so the verifier is held to it, and our
tokens are held to the verifier.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jotgate.testing.kong import Kong, kong_in_thread
from jotgate.testing.kong_told import DOCUMENT_CONFIG
from jotgate.testing.kong_values import Row
from tests.kong_calls import SECRET, KongCalls, encoded, escaped, forged, minted

YEAR_S: Final = 31_536_000
INVALID: Final = 'Bearer error="invalid_token"'
UNEXPECTED: Final = {"message": "An unexpected error occurred"}
Token = str | Callable[[Kong], str]


@pytest.fixture(scope="module")
def running() -> Iterator[Kong]:
    with kong_in_thread() as kong:
        kong.protect()
        yield kong


@pytest.fixture
def kong(running: Kong) -> Iterator[Kong]:
    yield running
    running.skew_s = 0.0
    running.reached.clear()
    for credential in running.credentials:
        running.store.drop("jwt_secrets", credential["id"])
    for consumer in running.consumers:
        running.store.drop("consumers", consumer["id"])
    configure(running)


def configure(kong: Kong, **config: object) -> None:
    """Have the jwt plugin as the document has it but for this."""
    given = {"config": {"realm": None, **DOCUMENT_CONFIG, **config}}
    status, answer = KongCalls(kong).told("PATCH", f"/plugins/{kong.plugins[0]['id']}", given)
    assert status == 200, answer


def credential(kong: Kong, **members: Any) -> Row:
    """A credential of a consumer of its own."""
    consumer = kong.add("consumers", username="bob")
    return kong.add("jwt_secrets", **{"consumer": {"id": consumer["id"]}, "key": "k", "secret": SECRET, **members})


def times(kong: Kong, **claims: object) -> dict[str, object]:
    """The claims of a token that is good but for these; None leaves one out."""
    good = {"iss": "bob", "kid": "k", "exp": int(kong.now_s()) + 60, **claims}
    return {name: value for name, value in good.items() if value is not None}


def good(kong: Kong) -> str:
    """A token that is good."""
    return minted(kong, "alice")[0]


def text(token: Token, kong: Kong) -> str:
    """A token of a row: as it stands, or made at this stand-in."""
    return token if isinstance(token, str) else token(kong)


def other(kong: Kong) -> str:
    """Another that is good too."""
    return minted(kong, "alice")[0]


# Our tokens


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256", "EdDSA"])
def test_a_token_of_ours_passes_and_the_service_learns_whose_it_is(kong: Kong, algorithm: str) -> None:
    token, row = minted(kong, "alice", algorithm)
    forgery = {"X-Consumer-Username": "root", "x-credential-identifier": "other", "X-Anonymous-Consumer": "true"}
    assert KongCalls(kong).chat(token, **forgery).status == 200
    seen = kong.reached[-1]
    assert seen.header("x-consumer-username") == "alice"
    assert seen.header("x-consumer-custom-id") == "id-of-alice"
    assert seen.header("x-consumer-id") == row["consumer"]["id"]
    assert seen.headers["x-credential-identifier"] == (row["key"],)
    assert seen.header("x-anonymous-consumer") is None
    assert seen.header("authorization") == f"Bearer {token}"


def test_a_token_of_ours_is_found_in_query_and_cookie_and_once_in_all_of_them(kong: Kong) -> None:
    token = good(kong)
    calls = KongCalls(kong)
    assert calls.chat(query=f"?jwt={escaped(token)}").status == 200
    assert calls.chat(Cookie=f"a=b; jwt={token}").status == 200
    assert calls.chat(token, query=f"?jwt={token}&jwt={token}&jwt=", Cookie=f"jwt={token}; c=d").status == 200


def test_a_token_of_ours_is_good_until_its_second_and_no_further_than_kong_allows(kong: Kong) -> None:
    token, _ = minted(kong, "alice", life_s=YEAR_S - 60)
    calls = KongCalls(kong)
    assert calls.chat(token).status == 200
    kong.advance(-120)
    assert calls.chat(token).told == (401, {"exp": "exceeds maximum allowed expiration"})
    kong.advance(120 + YEAR_S)
    assert calls.chat(token).told == (401, {"exp": "token expired"})


# The rows


def _without_kid(kong: Kong) -> str:
    credential(kong)
    return forged(times(kong, kid=None))


def _with(message: str, **claims: Any) -> Any:
    """A token by a credential that is there, with these claims."""

    def token(kong: Kong) -> str:
        credential(kong)
        return forged(times(kong, **claims))

    return pytest.param(token, message, id=f"{message}: {claims}")


def _asymmetric_without_key(kong: Kong) -> str:
    credential(kong, algorithm="ES256")
    return forged(times(kong), alg="ES256")


ROWS: Final = [
    pytest.param("one", "Bad token; invalid JSON", id="4: one part"),
    pytest.param("one.two", "Bad token; invalid JSON", id="4: two parts"),
    pytest.param("!!!.e30.AA", "Bad token; invalid JSON", id="4: header is no base64url"),
    pytest.param("e30.e3.AA", "Bad token; invalid JSON", id="4: payload is no JSON"),
    pytest.param("e30.eyJhIjoifn8_In0+.AA", "Bad token; invalid JSON", id="4: the other alphabet"),
    pytest.param(forged(b"{'a':1}"), "Bad token; invalid JSON", id="4: payload is nearly JSON"),
    pytest.param(forged(b"{}", alg=None), "Bad token; invalid alg", id="5: alg is null"),
    pytest.param(forged(b"{}", alg=256), "Bad token; invalid alg", id="5: alg is a number"),
    pytest.param(forged(b"{}", alg="none"), "Bad token; invalid alg", id="5: none"),
    pytest.param(forged(b"{}", alg="hs256"), "Bad token; invalid alg", id="5: lower case"),
    pytest.param(forged(b"{}", alg="ES256K"), "Bad token; invalid alg", id="5: a fourteenth"),
    pytest.param(f"{encoded(b'[]')}.e30.AA", "Bad token; invalid alg", id="5: header is a list"),
    pytest.param(forged(b"null"), "Bad token; invalid claims", id="6: null"),
    pytest.param(forged(b"false"), "Bad token; invalid claims", id="6: false"),
    pytest.param(lambda k: f"{good(k)}!", "Bad token; invalid signature", id="7: no base64url"),
    pytest.param(lambda k: f"{good(k)}.AA", "Bad token; invalid signature", id="7: a fourth part"),
    pytest.param(lambda k: f"{good(k).rpartition('.')[0]}.A", "Bad token; invalid signature", id="7: one letter"),
    pytest.param(_without_kid, "No mandatory 'kid' in claims", id="8: nowhere"),
    pytest.param(lambda k: forged(times(k, kid=None), kid=None), "No mandatory 'kid' in claims", id="8: null"),
    pytest.param(lambda k: forged(times(k, kid=False)), "No mandatory 'kid' in claims", id="8: false"),
    _with("Invalid 'kid' in claims", kid=""),
    _with("No credentials found for given 'kid'", kid="nobodys"),
    pytest.param(lambda k: forged(times(k, kid="")), "Invalid 'kid' in claims", id="9: before anything is looked up"),
    pytest.param(lambda k: forged(times(k), alg="HS384"), "No credentials found for given 'kid'", id="10: before alg"),
]


@pytest.mark.parametrize(("token", "message"), ROWS)
def test_what_cannot_be_read_or_named_is_refused_with_its_words(kong: Kong, token: Token, message: str) -> None:
    answer = KongCalls(kong).chat(text(token, kong))
    assert answer.told == (401, {"message": message})
    assert answer.headers.get_all("WWW-Authenticate") == [INVALID]
    assert kong.reached == []


def test_row_1_no_token_is_a_challenge_without_an_error(kong: Kong) -> None:
    calls = KongCalls(kong)
    for answer in (
        calls.chat(),
        calls.chat(""),
        calls.chat(query="?jwt=", Cookie="jwt="),
        calls.chat(Authorization="Basic eDp5"),
    ):
        assert answer.told == (401, {"message": "Unauthorized"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_row_2_two_different_tokens_are_refused_wherever_they_stand(kong: Kong) -> None:
    one, two = good(kong), other(kong)
    calls = KongCalls(kong)
    for answer in (
        calls.chat(one, query=f"?jwt={two}"),
        calls.chat(one, Cookie=f"jwt={two}"),
        calls.chat(query=f"?jwt={one}&jwt={two}"),
        calls.chat(one, query="?jwt=x"),
    ):
        assert answer.told == (401, {"message": "Multiple tokens provided"})
        assert answer.headers["WWW-Authenticate"] == INVALID


def test_row_3_an_argument_without_a_value_is_no_text(kong: Kong) -> None:
    answer = KongCalls(kong).chat(query="?jwt")
    assert answer.told == (401, {"message": "Unrecognizable token"})
    assert answer.headers["WWW-Authenticate"] == INVALID


def test_row_11_the_algorithm_is_the_credentials_and_not_the_tokens(kong: Kong) -> None:
    token, row = minted(kong, "alice", "RS256")
    pem = row["rsa_public_key"].encode()
    claims = {"kid": row["key"], "exp": int(kong.now_s()) + 60}
    for answer in (KongCalls(kong).chat(forged(claims, secret=pem)), KongCalls(kong).chat(forged(claims, alg="PS256"))):
        assert answer.told == (401, {"message": "Invalid algorithm"})
    assert KongCalls(kong).chat(token).status == 200


@pytest.mark.parametrize(
    "secret", ["not base64!", "+/+/", "abcde"], ids=["other letters", "the other alphabet", "a letter too many"]
)
def test_row_12_a_secret_that_is_no_base64url_serves_nothing(kong: Kong, secret: str) -> None:
    credential(kong, secret=secret)
    answer = KongCalls(kong).chat(forged(times(kong)))
    assert answer.told == (401, {"message": "Invalid key/secret"})
    assert answer.headers["WWW-Authenticate"] == INVALID


def test_row_12_a_credential_of_ecdsa_without_a_key_serves_nothing(kong: Kong) -> None:
    assert KongCalls(kong).chat(_asymmetric_without_key(kong)).told == (401, {"message": "Invalid key/secret"})


def test_row_12_without_secret_is_base64_the_secret_is_the_text(kong: Kong) -> None:
    configure(kong, secret_is_base64=False)
    credential(kong, secret="+/+/")
    assert KongCalls(kong).chat(forged(times(kong), secret=b"+/+/")).status == 200
    assert KongCalls(kong).chat(forged(times(kong))).told == (401, {"message": "Invalid signature"})


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256", "EdDSA"])
def test_row_13_a_token_of_ours_with_other_claims_or_another_key_is_refused(kong: Kong, algorithm: str) -> None:
    token, row = minted(kong, "alice", algorithm)
    head, _, signature = token.split(".")
    claims = encoded(b'{"kid":"%b","exp":9999999999}' % row["key"].encode())
    answer = KongCalls(kong).chat(f"{head}.{claims}.{signature}")
    assert answer.told == (401, {"message": "Invalid signature"})
    assert answer.headers["WWW-Authenticate"] == INVALID


def test_row_14_all_claims_that_are_wrong_are_told_together_and_the_body_is_they(kong: Kong) -> None:
    configure(kong, claims_to_verify=["exp", "nbf"])
    credential(kong)
    calls = KongCalls(kong)
    now_s = int(kong.now_s())
    both = calls.chat(forged(times(kong, exp=now_s - 5, nbf=now_s + 500)))
    assert both.told == (401, {"exp": "token expired", "nbf": "token not valid yet"})
    assert both.headers["WWW-Authenticate"] == INVALID
    told = calls.chat(forged(times(kong, exp=None, nbf="1"))).body
    assert told == {"exp": "must be a number", "nbf": "must be a number"}
    assert calls.chat(forged(times(kong, exp=True, nbf=1))).body == {"exp": "must be a number"}
    assert calls.chat(forged(times(kong, nbf=now_s - 5))).status == 200


def test_row_15_an_end_too_far_away_is_refused_and_only_after_the_signature(kong: Kong) -> None:
    configure(kong, maximum_expiration=100)
    credential(kong)
    calls = KongCalls(kong)
    answer = calls.chat(forged(times(kong, exp=int(kong.now_s()) + 500)))
    assert answer.told == (401, {"exp": "exceeds maximum allowed expiration"})
    assert answer.headers["WWW-Authenticate"] == INVALID
    assert calls.chat(forged(times(kong, exp=int(kong.now_s()) + 500), secret=b"other")).body == {
        "message": "Invalid signature"
    }


def test_row_16_a_credential_whose_consumer_is_gone_is_refused_without_a_challenge(kong: Kong) -> None:
    row = credential(kong)
    kong.store.drop("consumers", row["consumer"]["id"])
    answer = KongCalls(kong).chat(forged(times(kong)))
    assert answer.told == (401, {"message": "Could not find consumer for 'kid=k'"})
    assert answer.headers["WWW-Authenticate"] is None


def test_a_realm_stands_in_every_challenge(kong: Kong) -> None:
    configure(kong, realm="llm")
    assert KongCalls(kong).chat().headers["WWW-Authenticate"] == 'Bearer realm="llm"'
    assert KongCalls(kong).chat("x").headers["WWW-Authenticate"] == 'Bearer realm="llm", error="invalid_token"'


def test_the_key_claim_is_looked_for_in_the_payload_and_then_in_the_header(kong: Kong) -> None:
    credential(kong)
    calls = KongCalls(kong)
    assert calls.chat(forged(times(kong, kid=None), kid="k")).status == 200
    assert calls.chat(forged(times(kong, kid="nobodys"), kid="k")).body == {
        "message": "No credentials found for given 'kid'"
    }
    configure(kong, key_claim_name="iss")
    assert calls.chat(forged(times(kong, iss="k"))).status == 200
    assert calls.chat(forged(times(kong))).body == {"message": "No credentials found for given 'iss'"}
    assert calls.chat(good(kong)).body == {"message": "No credentials found for given 'iss'"}


# What Kong asserts


def _short_ecdsa(kong: Kong) -> str:
    token, _ = minted(kong, "alice", "ES256")
    return token[:-4]


def _unreadable(kong: Kong) -> str:
    credential(kong, algorithm="ES256", rsa_public_key="-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----")
    return forged(times(kong), alg="ES256")


def _wrong_length_for_pss(kong: Kong) -> str:
    _, row = minted(kong, "alice", "RS256")
    credential(kong, key="p", algorithm="PS256", rsa_public_key=row["rsa_public_key"])
    return forged(times(kong, kid="p"), alg="PS256")


@pytest.mark.parametrize(
    "token",
    [
        _short_ecdsa,
        _unreadable,
        _wrong_length_for_pss,
        f"{encoded(b'7')}.e30.AA",
        f"{encoded(b'null')}.e30.AA",
        forged(b"7"),
        lambda k: forged(times(k, kid=7)),
    ],
    ids=["signature of ES256", "PEM", "signature of PS256", "number for a header", "null", "number for claims", "kid"],
)
def test_an_assertion_that_fails_is_a_500_that_tells_nothing(kong: Kong, token: Token) -> None:
    assert KongCalls(kong).chat(text(token, kong)).told == (500, UNEXPECTED)
    assert kong.reached == []


def test_a_key_of_another_kind_is_a_wrong_signature(kong: Kong) -> None:
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    token, row = minted(kong, "alice", "RS256")
    status, _ = KongCalls(kong).told("PATCH", f"/jwts/{row['id']}", {"rsa_public_key": pem.decode()})
    assert status == 200
    assert KongCalls(kong).chat(token).told == (401, {"message": "Invalid signature"})


# Anonymous, preflight


def test_an_anonymous_consumer_stands_in_for_whoever_proves_nothing(kong: Kong) -> None:
    consumer = kong.add("consumers", username="nobody")
    for named in (consumer["id"], "nobody"):
        configure(kong, anonymous=named)
        answer = KongCalls(kong).chat("broken", **{"X-Credential-Identifier": "other"})
        assert answer.status == 200
        seen = kong.reached[-1]
        assert (seen.header("x-anonymous-consumer"), seen.header("x-consumer-username")) == ("true", "nobody")
        assert seen.header("x-credential-identifier") is None
    assert KongCalls(kong).chat(good(kong)).status == 200
    assert kong.reached[-1].header("x-anonymous-consumer") is None


def test_an_anonymous_consumer_that_is_not_there_is_a_500(kong: Kong) -> None:
    configure(kong, anonymous="ghost")
    told = {"message": "anonymous consumer ghost is configured but doesn't exist"}
    assert KongCalls(kong).chat().told == (500, told)


def test_preflights_pass_only_where_they_are_said_to(kong: Kong) -> None:
    assert KongCalls(kong).chat(method="OPTIONS").status == 401
    configure(kong, run_on_preflight=False)
    assert KongCalls(kong).chat(method="OPTIONS").status == 200
    assert KongCalls(kong).chat().status == 401

"""Rows BR-01 to BR-10 of the token checklist (RFC 6750, OAuth 2.1 s5), at a gateway and as its callers see it."""

import json
from typing import Final

import pytest

from jotgate.core.problems import render
from jotgate.core.routes import CredentialPlace
from jotgate.edge.http1.heads import gather_fields
from jotgate.errors import ClaimRefused, Code, CredentialsAmbiguous
from tests.callers import NAME
from tests.checklist.gates import PAGE, Gate, chat, models, parameters

_BARE: Final = {"realm": "jotgate", "resource_metadata": f"{NAME}/.well-known/oauth-protected-resource"}
_OPEN: Final = 0  # the call has gone to its upstream


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"bEaReR    "])
def test_BR_01_the_scheme_has_no_case_and_one_space_or_more(gate: Gate, scheme: bytes) -> None:
    assert gate.see(models(authorization=scheme + gate.issuer.token())).status == 200


@pytest.mark.parametrize("value", [b"Bearer", b"Bearer ", b"bearer   ", b"Bearer ,", b"Bearer =", b"Bearer \xff\xfe"])
def test_BR_01_an_empty_or_broken_token_is_refused_and_breaks_nothing(gate: Gate, value: bytes) -> None:
    seen = gate.see(models(authorization=value))
    assert (seen.status, seen.code) == (401, Code.TOKEN_MALFORMED)


def _places(token: bytes) -> dict[str, tuple[bytes, dict[str, bytes]]]:
    """Each place of a credential: the query and the header fields that carry it."""
    return {
        "authorization": (b"", {"authorization": b"Bearer " + token}),
        "x-api-key": (b"", {"x_api_key": token}),
        "api-key": (b"", {"api_key": token}),
        "query": (b"a=1&access_token=" + token, {}),
        "escaped query": (b"access%5Ftoken=" + token, {}),
        "cookie": (b"", {"cookie": b"theme=dark; jot=" + token}),
        "subprotocol": (b"", {"sec_websocket_protocol": b"mcp, bearer." + token}),
    }


_PAIRS: Final = [(one, two) for one in _places(b"") for two in _places(b"") if one < two and "query" not in one[-5:]]


@pytest.mark.parametrize(("one", "two"), _PAIRS)
@pytest.mark.parametrize("model", ["a", "b"])
def test_BR_02_two_credentials_are_refused_wherever_they_stand(gate: Gate, one: str, two: str, model: str) -> None:
    """Also where both are the same good token, and where the route takes neither place."""
    places = _places(gate.issuer.token())
    (first_query, first), (second_query, second) = places[one], places[two]
    seen = gate.see(chat(model, b"&".join(filter(None, (first_query, second_query))), **first, **second))
    assert (seen.status, seen.code) == (400, Code.CREDENTIALS_AMBIGUOUS)


def test_BR_02_a_scheme_that_is_not_bearer_is_a_credential_too(gate: Gate) -> None:
    seen = gate.see(chat(authorization=b"Basic dXNlcjpwYXNz", x_api_key=gate.issuer.token()))
    assert seen.code == Code.CREDENTIALS_AMBIGUOUS


@pytest.mark.parametrize("list_", [b"Bearer %b, Bearer %b", b"Bearer %b,Bearer  %b", b"bearer %b , DPoP %b"])
def test_BR_02_a_list_in_one_field_is_two_credentials(gate: Gate, list_: bytes) -> None:
    token = gate.issuer.token()
    seen = gate.see(models(authorization=list_ % (token, token)))
    assert (seen.status, seen.code) == (400, Code.CREDENTIALS_AMBIGUOUS)
    seen = gate.see(models(authorization=b"Basic dXNlcjpwYXNz, Bearer " + token))
    assert (seen.status, seen.code) == (400, Code.CREDENTIALS_AMBIGUOUS)


def test_BR_02_one_place_twice_is_two_credentials(gate: Gate) -> None:
    token = gate.issuer.token()
    for asked in (
        chat("a", b"access_token=%b&access_token=%b" % (token, token)),
        chat(cookie=b"jot=%b; jot=%b" % (token, token), origin=PAGE.encode()),
        chat(cookie=b"jot=%b, jot=%b" % (token, token), origin=PAGE.encode()),
        chat(x_api_key=token + b", " + token),
    ):
        assert gate.see(asked).code == Code.CREDENTIALS_AMBIGUOUS
    for name in (b"Authorization", b"X-Api-Key", b"api-key"):
        with pytest.raises(CredentialsAmbiguous):
            gather_fields([(name, token), (b"Host", b"a"), (name.lower(), token)])


def test_BR_02_cookies_count_only_where_a_route_takes_them() -> None:
    gate = Gate("query")
    token = gate.issuer.token()
    assert gate.see(models(authorization=b"Bearer " + token, cookie=b"jot=" + token)).status == 200
    assert Gate("cookie").see(models(authorization=b"Bearer " + token, cookie=b"other=" + token)).status == 200


@pytest.mark.parametrize("value", [None, b"Basic dXNlcjpwYXNz", b"Digest abc", b"Bearertoken", b""])
def test_BR_03_without_credentials_the_challenge_has_no_error(gate: Gate, value: bytes | None) -> None:
    seen = gate.see(models() if value is None else models(authorization=value))
    assert (seen.status, seen.code, seen.challenge) == (401, Code.TOKEN_MISSING, _BARE)


def test_BR_04_a_refused_token_is_invalid_token(gate: Gate) -> None:
    wrong = gate.issuer
    for token in (wrong.expired(), wrong.wrong_audience(), wrong.changed_payload(), b"a.b", wrong.unknown_key()):
        seen = gate.bear(token)
        assert seen.status == 401
        assert seen.challenge is not None
        assert seen.challenge["error"] == "invalid_token"


def test_BR_05_a_lack_of_scope_is_insufficient_scope_with_the_scope(gate: Gate) -> None:
    seen = gate.see(chat(authorization=b"Bearer " + gate.issuer.with_claims(scope="models")))
    assert (seen.status, seen.code) == (403, Code.INSUFFICIENT_SCOPE)
    assert seen.challenge is not None
    assert (seen.challenge["error"], seen.challenge["scope"]) == ("insufficient_scope", "chat.completions")


def test_BR_06_a_request_with_two_credentials_is_invalid_request(gate: Gate) -> None:
    seen = gate.see(models(authorization=b"Bearer x", api_key=b"y"))
    assert (seen.status, seen.code) == (400, Code.CREDENTIALS_AMBIGUOUS)
    assert seen.challenge is not None
    assert seen.challenge["error"] == "invalid_request"


def test_BR_06_a_body_that_is_no_json_is_400_and_no_matter_of_credentials(gate: Gate) -> None:
    asked = chat(authorization=b"Bearer " + gate.issuer.token())
    asked.body = b"{"
    seen = gate.see(asked)
    assert (seen.status, seen.code, seen.challenge) == (400, Code.REQUEST_MALFORMED, None)


_HOSTILE: Final = 'x", error="none"\r\nSet-Cookie: a=b\r\n\\\x00\x1b[2J\u202e\x7f'


def test_BR_07_what_a_token_says_cannot_leave_its_quotes(gate: Gate) -> None:
    """In the challenge of whatever refuses it, and in a message that would repeat it."""
    tokens = [gate.issuer.with_claims(**{name: _HOSTILE}) for name in ("iss", "aud", "sub", "scope", "jti", _HOSTILE)]
    tokens += [gate.issuer.with_header(**{name: _HOSTILE}) for name in ("alg", "typ", "kid", "cty", "iss", "crit")]
    for token in tokens:
        seen = gate.bear(token)
        if seen.status == 401:
            assert seen.challenge is not None  # `parameters` has read it as it must be written
            assert list(seen.challenge) == ["realm", "error", "error_description", "resource_metadata"]
        assert "set-cookie" not in seen.caller.headers
    lines = render(ClaimRefused("aud", "mismatch", _HOSTILE)).lines.decode("ascii")
    value = next(line for line in lines.split("\r\n") if line.startswith("WWW-Authenticate: "))
    assert parameters(value.removeprefix("WWW-Authenticate: "))["error"] == "invalid_token"


def test_BR_08_each_parameter_stands_once(gate: Gate) -> None:
    """In one challenge of one scheme; `parameters` fails on a parameter that stands twice."""
    for asked in (
        models(),
        models(authorization=b"Bearer x.y.z"),
        models(authorization=b"Bearer x", x_api_key=b"y"),
        chat(authorization=b"Bearer " + gate.issuer.with_claims(scope="models")),
        chat(authorization=b"Bearer " + gate.issuer.with_claims(models=["b"])),
    ):
        seen = gate.see(asked)
        assert seen.caller.lines.lower().count(b"www-authenticate: ") == 1
        assert seen.challenge is not None


def test_BR_09_a_token_in_the_query_is_none_where_no_route_takes_it(gate: Gate) -> None:
    token = gate.issuer.token()
    for asked in (models(b"access_token=" + token), chat("b", b"access_token=" + token)):
        seen = gate.see(asked)
        assert (seen.status, seen.code, seen.challenge) == (401, Code.TOKEN_MISSING, _BARE)
    strict = Gate("x-api-key")
    assert strict.see(chat("a", b"access_token=" + strict.issuer.token())).code == Code.TOKEN_MISSING


def test_BR_10_no_answer_about_a_token_is_stored(gate: Gate) -> None:
    seen = [
        gate.see(models()),
        gate.bear(gate.issuer.expired()),
        gate.bear(gate.issuer.token()),
        gate.see(models(authorization=b"Bearer x", x_api_key=b"y")),
        gate.see(chat(authorization=b"Bearer " + gate.issuer.with_claims(scope="models"))),
    ]
    assert [one.status for one in seen] == [401, 401, 200, 400, 403]
    assert {one.caller.headers["cache-control"] for one in seen} == {"no-store"}


_ELSEWHERE: Final[tuple[CredentialPlace, ...]] = ("x-api-key", "api-key", "query", "cookie")


@pytest.mark.parametrize("place", _ELSEWHERE)
def test_BR_10_a_token_goes_neither_to_the_upstream_nor_into_a_record(gate: Gate, place: str) -> None:
    good, late = gate.issuer.token(), gate.issuer.expired()
    query, fields = _places(good)[place]
    assert gate.see(chat("a", query, origin=PAGE.encode(), **fields)).status == _OPEN
    outbound = gate.one.last.outbound
    gate.one.last.answer(200, b"{}")
    query, fields = _places(late)[place]
    seen = gate.see(chat("a", query, origin=PAGE.encode(), **fields))
    assert (seen.status, seen.code) == (401, Code.TOKEN_EXPIRED)
    kept = b"".join((outbound.target, outbound.lines, outbound.body, *gate.trail.lines, seen.caller.body))
    for token in (good, late):
        assert not any(part in kept for part in token.split(b"."))
    assert outbound.target == b"/v1/chat/completions"
    assert not any(name in outbound.lines.lower() for name in (b"cookie", b"api-key", b"authorization"))
    assert (evidence := gate.trail.records[-1].refused) is not None
    assert (evidence.place, evidence.claim) == (place, "exp")


@pytest.mark.parametrize("place", _ELSEWHERE)
def test_a_route_that_takes_the_place_takes_the_call_and_the_others_do_not(place: CredentialPlace) -> None:
    gate = Gate(place)
    query, fields = _places(gate.issuer.token())[place]
    page = PAGE.encode()
    assert gate.see(chat("a", query, origin=page, **fields)).status == _OPEN
    for other in ("b", "nowhere"):
        seen = gate.see(chat(other, query, origin=page, **fields))
        assert (seen.status, seen.code, seen.challenge) == (401, Code.TOKEN_MISSING, _BARE)
        assert "taken from the Authorization header here" in json.loads(seen.caller.body)["error"]["message"]
    assert gate.see(models(query, origin=page, **fields)).code == Code.TOKEN_MISSING
    for elsewhere in set(_ELSEWHERE) - {place}:
        query, fields = _places(gate.issuer.token())[elsewhere]
        assert gate.see(chat("a", query, origin=page, **fields)).code == Code.TOKEN_MISSING
    assert gate.see(chat("a", authorization=b"Bearer " + gate.issuer.token())).status == _OPEN


def test_a_misplaced_token_is_no_key_to_what_its_owner_may_not_do(gate: Gate) -> None:
    """The refusal is that of a call without a token, not that of its scopes or models."""
    poor = gate.issuer.with_claims(scope="models", models=["x"])
    assert gate.see(chat("b", x_api_key=poor)).code == Code.TOKEN_MISSING


@pytest.mark.parametrize(
    "offer",
    [
        b"bearer.%b",
        b"mcp, base64url.bearer.authorization.k8s.io.%b",
        b"realtime, openai-insecure-api-key.%b",
        b"access_token, %b",
        b"mcp,%b",
        b"jwt.%b",
    ],
)
def test_a_subprotocol_with_a_token_is_a_second_credential(gate: Gate, offer: bytes) -> None:
    token = gate.issuer.token()
    seen = gate.see(models(authorization=b"Bearer " + token, sec_websocket_protocol=offer % token))
    assert (seen.status, seen.code) == (400, Code.CREDENTIALS_AMBIGUOUS)


def test_a_subprotocol_is_never_taken(gate: Gate) -> None:
    seen = gate.see(chat(sec_websocket_protocol=b"bearer." + gate.issuer.token()))
    assert (seen.status, seen.code) == (401, Code.TOKEN_MISSING)
    plain = gate.see(
        models(authorization=b"Bearer " + gate.issuer.token(), sec_websocket_protocol=b"mcp, keyJoin.v1, chat")
    )
    assert plain.status == 200


@pytest.mark.parametrize("origin", [PAGE.encode(), NAME.encode()])
def test_a_cookie_counts_from_a_listed_page_and_from_the_gateways_own(gate: Gate, origin: bytes) -> None:
    assert gate.see(chat(cookie=b"jot=" + gate.issuer.token(), origin=origin)).status == _OPEN


@pytest.mark.parametrize("origin", [None, b"", b"null", b"https://evil.example", b"http://app.example", b"*"])
def test_a_cookie_from_elsewhere_is_refused_for_its_origin(gate: Gate, origin: bytes | None) -> None:
    fields = {"cookie": b"jot=" + gate.issuer.token()} | ({} if origin is None else {"origin": origin})
    for asked in (chat(**fields), models(**fields)):
        seen = gate.see(asked)
        assert (seen.status, seen.code, seen.challenge) == (403, Code.ORIGIN_REFUSED, None)

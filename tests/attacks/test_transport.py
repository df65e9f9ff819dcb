"""Rows E03, E05 and E06: what is remembered of a token, which path it is for, and where it stands."""

from typing import Final

from jotgate.errors import Code
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.testing.issuer import TestIssuer
from tests.attacks.target import Shot, Target, bearer

_CHAT: Final = b"/v1/chat/completions"
_FIELDS: Final = (
    *(
        b"X-Forwarded-Host: localhost",
        b"X-Forwarded-Host: 127.0.0.1",
        b"X-Host: localhost",
        b"Forwarded: host=localhost",
    ),
    *(b"X-Original-URL: /health", b"X-Rewrite-URL: /health", b"X-Forwarded-Uri: /health", b"X-Forwarded-Path: /health"),
    *(b"X-Forwarded-Prefix: /health", b"X-Original-Uri: /health", b"X-HTTP-Method-Override: OPTIONS"),
    *(b"X-Method-Override: OPTIONS", b"X-HTTP-Method: OPTIONS", b"X-Forwarded-For: 127.0.0.1", b"X-Real-IP: 127.0.0.1"),
    *(b"X-Forwarded-Proto: https", b"X-Authenticated-User: admin", b"X-Remote-User: admin", b"Remote-User: admin"),
    *(b"X-Envoy-Original-Path: /health", b"X-Envoy-Internal: true", b"X-Middleware-Subrequest: middleware"),
    *(b"X-Consumer-Username: admin", b"X-Jwt-Payload: eyJzdWIiOiJhZG1pbiJ9", b"X-Forwarded-User: admin"),
)
_HOSTS: Final = (b"localhost", b"127.0.0.1", b"[::1]", b"control", b"admin.internal", b"", b"gate.example:99999")
_NO_HOSTS: Final = (b"gate.example/health", b"gate.example#", b"user@gate.example", b"a b", b"gate.example?/health")
_UNKNOWN: Final = (
    *(b"//v1/chat/completions", b"/v1//chat/completions", b"/v1/chat//completions", b"/v1/chat/completions/"),
    *(b"/health/../v1/chat/completions", b"/health/..%2fv1/chat/completions", b"/health/%2e%2e/v1/chat/completions"),
    *(b"/health/./v1/chat/completions", b"/health/v1/chat/completions", b"/health;/../v1/chat/completions"),
    *(b"/health%2f..%2fv1/chat/completions", b"/health/..;/v1/chat/completions", b"/v1;/health", b"/v1/..;/health"),
    *(
        b"/v1/chat/completions;/health",
        b"/v1/chat/completions;a=b",
        b"/v1/chat/completions/..",
        b"/v1/chat/./completions",
    ),
    *(
        b"/v1/chat/completions/health",
        b"/v1/chat/completions%00",
        b"/v1/chat/completions%3f",
        b"/v1/chat/completions%20",
    ),
    *(b"/%76%31/chat/completions", b"/v1%2fchat%2fcompletions", b"/V1/Chat/Completions", b"/v1\\chat\\completions"),
    *(
        b"/v1/chat/completions.json",
        b"/v1/chat%c0%afcompletions",
        b"/v1/chat%252fcompletions",
        b"/health/ready/../../v1",
    ),
    *(b"/./v1/chat/completions", b"/../v1/chat/completions", b"/v1/../v1/chat/completions", b"/health/", b"/healthx"),
    *(b"/health/live/", b"/.well-knownx", b"/oauth", b"/admin", b"/status", b"/metrics/", b"/v1", b"/", b"/v1/models/"),
)
_CONTROL: Final = (
    *(
        b"/.well-known/../status",
        b"/.well-known/%2e%2e/status",
        b"/admin/../status",
        b"/oauth/..%2fstatus",
        b"/admin/status",
    ),
    *(
        b"/.well-known/../v1/chat/completions",
        b"/admin/;/status",
        b"/.well-known//jwks.json",
        b"/.well-known/jwks.json/",
    ),
    *(b"/oauth/../../control.sock", b"/admin/..;/reload", b"/.well-known/../admin/tokens", b"/admin//tokens"),
)


def test_E05_no_field_changes_who_must_prove_what(target: Target) -> None:
    shots = {f"field_{number}": Shot(line + b"\r\n", Code.TOKEN_MISSING) for number, line in enumerate(_FIELDS)}
    for number, host in enumerate(_HOSTS):
        shots[f"host_{number}"] = Shot(b"", Code.TOKEN_MISSING, host=host)
    for number, host in enumerate(_NO_HOSTS):
        shots[f"no_host_{number}"] = Shot(b"", Code.REQUEST_MALFORMED, 400, host=host, recorded=False)
    for number, scheme in enumerate((b"http", b"https", b"ftp")):
        for place in (b"gate.example", b"localhost", b"127.0.0.1:1"):
            first = b"POST %b://%b%b" % (scheme, place, _CHAT)
            shots[f"absolute_{number}_{place[:5].decode()}"] = Shot(b"", Code.TOKEN_MISSING, first=first)
    target.refuses(shots)


def test_E05_no_path_is_read_in_two_ways(target: Target) -> None:
    """A path is compared byte for byte: with a good token and without, nothing but the table's own paths is served."""
    good = b"Authorization: Bearer " + target.good + b"\r\n"
    shots: dict[str, Shot] = {}
    for number, path in enumerate(_UNKNOWN):
        for name, lines in (("good", good), ("without", b"")):
            shots[f"{name}_{number}"] = Shot(lines, Code.UNKNOWN_OPERATION, 404, first=b"POST " + path)
        absolute = b"POST http://localhost" + path
        shots[f"absolute_{number}"] = Shot(good, Code.UNKNOWN_OPERATION, 404, first=absolute)
    target.refuses(shots)


def test_E05_health_is_nothing_but_health(target: Target) -> None:
    """What needs no token gives nothing: with the path of a public page the method, body and query change nothing."""
    shots = {
        f"{method.decode()}_{number}": Shot(b"", Code.METHOD_REFUSED, 405, first=method + b" " + path, recorded=False)
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH")
        for number, path in enumerate((b"/health", b"/health?/v1/chat/completions", b"/health/live?/../v1"))
    }
    target.refuses(shots)


def test_E05_no_path_leads_to_the_operators_socket(target: Target) -> None:
    shots = {
        f"{method.decode()}_{number}": Shot(
            b"", Code.UNKNOWN_OPERATION, 404, first=method + b" " + path, recorded=False
        )
        for method in (b"GET", b"POST")
        for number, path in enumerate(_CONTROL)
    }
    target.refuses(shots)


def test_E06_one_credential_in_one_place(target: Target) -> None:
    good = target.good
    field, other = b"Authorization: Bearer " + good + b"\r\n", b"Authorization: Basic dXNlcjpwYXNz\r\n"
    twice = {
        "twice": field + field,
        "twice_in_capitals": field + field.replace(b"Authorization", b"AUTHORIZATION"),
        "basic_before": other + field,
        "basic_behind": field + other,
        "empty_before": b"Authorization:\r\n" + field,
        "empty_behind": field + b"Authorization:\r\n",
        "bad_behind": field + b"Authorization: Bearer x.y.z\r\n",
        "thrice": field * 3,
        "list": field[:-2] + b",Bearer " + good + b"\r\n",
        "list_with_space": field[:-2] + b", Bearer " + good + b"\r\n",
        "list_with_basic": field[:-2] + b", Basic dXNlcjpwYXNz\r\n",
        "comma_before": b"Authorization: , Bearer " + good + b"\r\n",
        "list_begins_with_basic": b"Authorization: Basic dXNlcjpwYXNz, Bearer " + good + b"\r\n",
        "key_beside": field + b"X-Api-Key: " + good + b"\r\n",
        "other_key_beside": field + b"Api-Key: " + good + b"\r\n",
        "both_keys": b"X-Api-Key: " + good + b"\r\nApi-Key: " + good + b"\r\n",
        "protocol_beside": field + b"Sec-WebSocket-Protocol: bearer, " + good + b"\r\n",
    }
    shots = {
        name: Shot(lines, Code.CREDENTIALS_AMBIGUOUS, 400, recorded=lines.lower().count(b"authorization:") < 2)
        for name, lines in twice.items()
    }
    for number, name in enumerate((b"access_token", b"access%5Ftoken", b"%61ccess_token", b"a=b&access_token")):
        first = b"POST " + _CHAT + b"?" + name + b"=" + good
        shots[f"query_beside_{number}"] = Shot(field, Code.CREDENTIALS_AMBIGUOUS, 400, first=first)
    both = b"POST %b?access_token=%b&access_token=%b" % (_CHAT, good, good)
    shots["query_twice"] = Shot(b"", Code.CREDENTIALS_AMBIGUOUS, 400, first=both)
    cookie = b"Cookie: access_token=" + good + b"; jotgate=" + good + b"\r\n"
    shots["everywhere"] = Shot(field + cookie, Code.CREDENTIALS_AMBIGUOUS, 400, first=both)
    target.refuses(shots)


def test_E06_a_token_elsewhere_is_no_token(target: Target) -> None:
    good = target.good
    elsewhere = {
        "proxy": b"Proxy-Authorization: Bearer " + good,
        "cookie": b"Cookie: access_token=" + good + b"; token=" + good + b"; jotgate=" + good,
        "key": b"X-Api-Key: " + good,
        "other_key": b"Api-Key: " + good,
        "forwarded": b"X-Forwarded-Authorization: Bearer " + good,
        "original": b"X-Original-Authorization: Bearer " + good,
        "access_token": b"X-Access-Token: " + good,
        "jwt_assertion": b"X-Jwt-Assertion: " + good,
        "underscore": b"Authorization_: Bearer " + good,
        "protocol": b"Sec-WebSocket-Protocol: bearer, " + good,
        "longer_name": b"XAuthorization: Bearer " + good,
    }
    shots = {name: Shot(line + b"\r\n", Code.TOKEN_MISSING) for name, line in elsewhere.items()}
    shots["query"] = Shot(b"", Code.TOKEN_MISSING, first=b"POST " + _CHAT + b"?access_token=" + good)
    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    shots["form"] = Shot(form, Code.TOKEN_MISSING, body=b"access_token=" + good)  # RFC 6750 s2.2
    target.refuses(shots)


def test_E06_spellings_of_the_scheme(target: Target) -> None:
    good = target.good
    missing = {
        "tab": b"Bearer\t" + good,
        "colon": b"Bearer:" + good,
        "colon_and_space": b"Bearer: " + good,
        "equals": b"Bearer=" + good,
        "none": good,
        "joined": b"Bearer" + good,
        "longer": b"Bearers " + good,
        "shorter": b"Beare " + good,
        "token": b"Token " + good,
        "jwt": b"JWT " + good,
        "basic": b"Basic " + good,
        "negotiate": b"Negotiate " + good,
        "quoted_scheme": b'"Bearer" ' + good,
        "homoglyph": b"\xd0\x92earer " + good,
        "non_breaking_space": b"Bearer\xc2\xa0" + good,
    }
    malformed = {
        "twice": b"Bearer Bearer " + good,
        "quoted": b'Bearer "' + good + b'"',
        "parameter": b"Bearer token=" + good,
        "comma_behind": b"Bearer " + good + b",",
        "space_and_tab": b"Bearer \t" + good,
        "word_behind": b"Bearer " + good + b" x",
        "alone": b"Bearer",
        "alone_with_space": b"Bearer ",
        "comma": b"Bearer ,",
    }
    shots = {name: Shot(b"Authorization: %b\r\n" % one, Code.TOKEN_MISSING) for name, one in missing.items()}
    for name, one in malformed.items():
        shots[name] = Shot(b"Authorization: %b\r\n" % one, Code.TOKEN_MALFORMED)
    folds = {
        "folded": b"Authorization: Bearer\r\n " + good,
        "folded_by_tab": b"Authorization: Bearer\r\n\t" + good,
        "folded_at_once": b"Authorization:\r\n Bearer " + good,
        "space_before_colon": b"Authorization : Bearer " + good,
        "tab_before_colon": b"Authorization\t: Bearer " + good,
        "leading_space": b" Authorization: Bearer " + good,
        "line_feed": b"X: a\nAuthorization: Bearer " + good,
        "return": b"X: a\rAuthorization: Bearer " + good,
        "nul": b"Authorization: Bearer\0" + good,
    }
    for name, one in folds.items():
        shots[name] = Shot(one + b"\r\n", Code.REQUEST_MALFORMED, 400, recorded=False)
    target.refuses(shots)
    for scheme in (b"bearer ", b"BEARER ", b"bEaReR   "):
        target.takes(good, scheme=scheme)


def test_E03_what_is_remembered_is_the_whole_token(target: Target, forge: TestIssuer) -> None:
    """Tokens that share their beginning, their end or their signature with one that was just taken."""
    token = forge.token()
    target.takes(token)
    header, payload, signature = token.split(b".")
    other = forge.with_claims(sub="mallory")
    forged = b".".join((header, other.split(b".")[1], signature))
    shots = {
        "shorter": (token[:-1], Code.TOKEN_MALFORMED),
        "longer": (token + b"A", Code.SIGNATURE_INVALID),
        "other_case": (token.swapcase(), Code.TOKEN_MALFORMED),
        "other_payload": (forged, Code.SIGNATURE_INVALID),
        "other_signature": (b".".join((header, payload, other.split(b".")[2])), Code.SIGNATURE_INVALID),
        "expired": (forge.expired(), Code.TOKEN_EXPIRED),
    }
    for size in (4, 8, 16):
        cut = b64url_encode(b64url_decode(signature)[:-size])
        shots[f"cut_by_{size}"] = (b".".join((header, payload, cut)), Code.SIGNATURE_INVALID)
    target.refuses_tokens(shots)
    target.takes(token)


def test_E03_what_is_remembered_permits_no_other_operation(target: Target, forge: TestIssuer) -> None:
    narrow = forge.token(scope="chat.completions")
    target.takes(narrow)
    lines = b"Authorization: Bearer " + narrow + b"\r\n"
    rest = {
        "embeddings": b"POST /v1/embeddings",
        "completions": b"POST /v1/completions",
        "models": b"GET /v1/models",
        "metrics": b"GET /metrics",
    }
    target.refuses(
        {name: Shot(lines, Code.INSUFFICIENT_SCOPE, 403, first=first, known=True) for name, first in rest.items()}
    )
    none = bearer(forge.token(models=["other"]), Code.MODEL_NOT_PERMITTED, 403, known=True)
    target.refuses({"other_model": none})
    target.takes(narrow)

"""What tells upstreams who calls, and what tells planes that ask nobody what was revoked, at a running gateway."""

import json
import time
import urllib.request
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jwt as other_library
import pytest

from jotgate.core.status_lists import StatusRules, list_claims, pack_statuses
from jotgate.testing.issuer_server import IssuerServer, issuer_in_thread
from jotgate.testing.running import Gateway, run_command, running_gateway, until
from jotgate.testing.upstream import unary

AUDIENCE: Final = "https://orders.example"
CONFIG: Final = f"""
[decisions]
proxies = ["127.0.0.1"]
identity_audience = "{AUDIENCE}"

[[decisions.paths]]
name = "orders"
path = "/orders"
scopes = ["ai"]

[[decisions.paths]]
name = "open"
path = "/open"
public = true

[tokens]
status_lists = true
status_list_ttl = "5s"
"""


ELSEWHERE: Final = """
[[issuers]]
name = "elsewhere"
issuer = "{issuer}"
jwks_url = "{jwks_url}"
audiences = ["shop"]
status_lists = true
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[IssuerServer]:
    with issuer_in_thread() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(elsewhere: IssuerServer) -> Iterator[Gateway]:
    where = ELSEWHERE.format(issuer=elsewhere.issuer, jwks_url=elsewhere.jwks_url)
    with running_gateway(CONFIG + where) as running:
        yield running


def decide(gateway: Gateway, token: str, path: str = "/orders/7") -> tuple[int, dict[str, str]]:
    """What a proxy is answered about a request that has written the field itself."""
    connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)
    fields = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": path, "X-Forwarded-Proto": "https"}
    fields |= {"X-Forwarded-Host": "shop.example", "X-Forwarded-For": "203.0.113.9", "X-Jot-Identity": "spoofed"}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    connection.request("GET", "/forward-auth", headers=fields)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def read_identity(gateway: Gateway, token: str) -> dict[str, Any]:
    """What an upstream makes of the field, with another library and the key set alone."""
    with urllib.request.urlopen(gateway.url + "/.well-known/jwks.json", timeout=10) as answer:
        keys = other_library.PyJWKSet.from_dict(json.load(answer))
    header = other_library.get_unverified_header(token)
    assert header["typ"] == "jot-identity+jwt"
    key = next(one for one in keys.keys if one.key_id == header["kid"])
    found: dict[str, Any] = other_library.decode(token, key, algorithms=["ES256"], audience=AUDIENCE)
    return found


def claims_of(token: str) -> Any:
    """What a token says."""
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


def status_of(token: str) -> int:
    """The bit of a token in the list that it names."""
    claims = claims_of(token)["status"]["status_list"]
    with urllib.request.urlopen(claims["uri"], timeout=10) as answer:
        listed = json.loads(urlsafe_b64decode(answer.read().split(b".")[1] + b"=="))
    octets = zlib.decompress(urlsafe_b64decode(listed["status_list"]["lst"] + "=="))
    index: int = claims["idx"]
    return octets[index // 8] >> index % 8 & 1


def test_an_upstream_is_told_who_calls_by_a_token_that_it_can_verify(gateway: Gateway) -> None:
    token = gateway.token(subject="alice")
    status, fields = decide(gateway, token)
    assert status == 200, fields
    claims = read_identity(gateway, fields["x-jot-identity"])
    assert (claims["sub"], claims["aud"], claims["subject_issuer"]) == ("alice", AUDIENCE, claims["iss"])
    assert claims["exp"] - claims["iat"] == 60
    again = decide(gateway, token)[1]["x-jot-identity"]
    assert again == fields["x-jot-identity"], "it is made once, and sent until shortly before its end"
    status, fields = decide(gateway, again)
    assert (status, fields["www-authenticate"].partition(" ")[0]) == (401, "Bearer"), "it opens nothing here"


def test_where_nobody_has_to_show_a_token_nobody_is_told_of(gateway: Gateway) -> None:
    status, fields = decide(gateway, "", "/open")
    assert (status, fields["x-jot-identity"]) == (200, "")


def test_a_revoked_token_shows_in_its_list(gateway: Gateway) -> None:
    token, other = gateway.token(subject="bob"), gateway.token(subject="carol")
    assert (status_of(token), status_of(other)) == (0, 0)
    assert run_command("token", "revoke", claims_of(token)["jti"], "--yes", data=gateway.data).returncode == 0
    until(lambda: status_of(token) == 1, "the revoked token shows")
    assert status_of(other) == 0
    assert decide(gateway, token)[0] == 401


def put_list(elsewhere: IssuerServer, number: int, invalid: tuple[int, ...] = ()) -> str:
    """Publish a list of the other issuer, which may be kept for a minute; where it is."""
    uri = f"{elsewhere.origin}/lists/{number}"
    maker = elsewhere.maker("shop")
    claims = list_claims(uri, pack_statuses(invalid), time.time(), StatusRules(on=True, ttl_s=60, life_s=600))
    elsewhere.answers[f"/lists/{number}"] = unary(
        maker.seal(maker.header(typ="statuslist+jwt"), claims), 200, b"Cache-Control: no-store"
    )
    return uri


def test_what_another_issuer_says_in_its_list_is_looked_up_once_while_it_may_be_kept(
    gateway: Gateway, elsewhere: IssuerServer
) -> None:
    uri = put_list(elsewhere, 1, (7,))

    def passes(index: int, where: str = uri) -> int:
        place = {"status_list": {"idx": index, "uri": where}}
        return decide(gateway, elsewhere.mint("shop", status=place, scope="ai", jti=f"{where} {index}"))[0]

    assert [passes(index) for index in (6, 7, 8, 7, 6)] == [200, 401, 200, 401, 200]
    assert elsewhere.count("/lists/1") == 1
    assert passes(1 << 40) == 503
    assert passes(1, f"{elsewhere.origin}/lists/2") == 503
    assert passes(1, "http://127.0.0.1:1/lists/1") == 503
    put_list(elsewhere, 3)
    assert passes(7, f"{elsewhere.origin}/lists/3") == 200


def test_a_token_that_is_made_while_no_jotgate_runs_has_its_place_too(tmp_path: Path) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_text("[tokens]\nstatus_lists = true\n")
    made = run_command("token", "create", "--subject", "dave", "--config", str(file), data=tmp_path / "data")
    place = claims_of(made.stdout.strip())["status"]["status_list"]
    assert "/oauth/statuslists/" in place["uri"], made.stderr

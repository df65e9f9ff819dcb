"""Casdoor's stand-in: tokens that others' code verifies, what its endpoints say and refuse, keys that change."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jwt as pyjwt
import pytest

from jotgate.testing.casdoor import (
    DISCOVERY_PATH,
    INTROSPECTION_PATH,
    JWKS_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
    CasdoorServer,
    casdoor_in_thread,
)
from jotgate.testing.casdoor_told import ALICE, EC_CERT, RSA_CERT
from jotgate.testing.casdoor_values import FORMATS, TokenFormat
from jotgate.testing.upstream import unary

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def casdoor() -> Iterator[CasdoorServer]:
    with casdoor_in_thread() as server:
        yield server


def call(server: CasdoorServer, method: str, target: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
    """Status and decoded body."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    fields = {"Content-Type": FORM} if body is not None else {}
    client.request(method, target, body, fields | headers)
    answer = client.getresponse()
    raw = answer.read()
    client.close()
    return answer.status, json.loads(raw) if raw.startswith(b"{") else raw


def get(server: CasdoorServer, target: str, token: str = "") -> tuple[int, Any]:
    return call(server, "GET", target, **({"Authorization": f"Bearer {token}"} if token else {}))


def post(server: CasdoorServer, target: str, **fields: str) -> tuple[int, Any]:
    """A form with the client's own ID and secret, unless it says others."""
    named = {"client_id": server.client_id, "client_secret": server.client_secret, **fields}
    return call(server, "POST", target, urlencode(named))


def claims_by_others(server: CasdoorServer, token: str, path: str = JWKS_PATH) -> dict[str, Any]:
    """What PyJWT reads of a token, with the keys that are published. Raises as it does."""
    keys = pyjwt.PyJWKSet.from_dict(get(server, path)[1])
    head = pyjwt.get_unverified_header(token)
    key = next(one for one in keys.keys if one.key_id == head["kid"])
    audience = [server.client_id, f"{server.client_id}-org-sharif"]
    found: dict[str, Any] = pyjwt.decode(
        token, key.key, algorithms=[str(key.algorithm_name)], audience=audience, issuer=server.issuer
    )
    return found


@pytest.mark.parametrize("path", [DISCOVERY_PATH, "/.well-known/app-kong/openid-configuration"])
def test_discovery_has_one_issuer_and_leads_to_the_keys(casdoor: CasdoorServer, path: str) -> None:
    status, told = get(casdoor, path)
    assert (status, told["issuer"]) == (200, casdoor.issuer)
    keys = get(casdoor, told["jwks_uri"].removeprefix(casdoor.issuer))[1]["keys"]
    assert {key["kid"] for key in keys} == ({RSA_CERT} if "app-kong" in path else {RSA_CERT, EC_CERT})
    assert {key["use"] for key in keys} == {"sig"}
    assert get(casdoor, f"{JWKS_PATH}.json")[1]["keys"][0] == keys[0]


@pytest.mark.parametrize("cert", [RSA_CERT, EC_CERT])
@pytest.mark.parametrize("token_format", FORMATS)
def test_others_verify_its_tokens_in_every_format(casdoor: CasdoorServer, token_format: TokenFormat, cert: str) -> None:
    casdoor.token_format, casdoor.signing = token_format, cert
    claims = claims_by_others(casdoor, casdoor.mint())
    assert (claims["sub"], claims["owner"], claims["tokenType"]) == (ALICE.subject, "sharif", "access-token")
    named = claims["preferred_username"] if token_format == "JWT-Standard" else claims["name"]
    assert named == "alice"
    assert claims["aud"] == [casdoor.client_id]
    assert ("isForbidden" in claims) == (token_format == "JWT")


def test_a_refresh_token_looks_like_an_access_token_but_for_one_claim(casdoor: CasdoorServer) -> None:
    access, refresh = (claims_by_others(casdoor, casdoor.mint(kind=kind)) for kind in ("access-token", "refresh-token"))
    assert {name for name in access if access[name] != refresh[name]} <= {"tokenType", "jti", "exp", "iat", "nbf"}
    casdoor.token_format = "JWT-Custom"
    refresh = claims_by_others(casdoor, casdoor.mint(kind="refresh-token"))
    assert (refresh["TokenType"], "tokenType" in refresh) == ("refresh-token", False)


def test_roles_are_objects_and_groups_are_names(casdoor: CasdoorServer) -> None:
    casdoor.change("sharif/alice", roles=("admin",), groups=("sharif/staff",))
    claims = claims_by_others(casdoor, casdoor.mint())
    assert [(role["owner"], role["name"]) for role in claims["roles"]] == [("sharif", "admin")]
    assert claims["groups"] == ["sharif/staff"]


def test_a_shared_application_has_an_audience_for_each_organization(casdoor: CasdoorServer) -> None:
    casdoor.shared = True
    assert claims_by_others(casdoor, casdoor.mint())["aud"] == [f"{casdoor.client_id}-org-sharif"]


@pytest.mark.parametrize("drop", [False, True])
def test_a_rotation_signs_by_another_name_and_keeps_or_drops_the_one_before(casdoor: CasdoorServer, drop: bool) -> None:
    before = casdoor.mint()
    casdoor.rotate(drop=drop)
    after = casdoor.mint()
    assert pyjwt.get_unverified_header(after)["kid"] == "cert-kong-2"
    assert claims_by_others(casdoor, after)["owner"] == "sharif"
    assert (casdoor.read(before) is None) is drop


def test_a_renewal_keeps_the_name_and_changes_the_key(casdoor: CasdoorServer) -> None:
    before = casdoor.mint()
    casdoor.renew()
    assert pyjwt.get_unverified_header(casdoor.mint())["kid"] == pyjwt.get_unverified_header(before)["kid"]
    with pytest.raises(pyjwt.InvalidSignatureError):
        claims_by_others(casdoor, before)


def test_the_token_endpoint_gives_three_tokens_and_refreshes_once(casdoor: CasdoorServer) -> None:
    status, told = post(
        casdoor, TOKEN_PATH, grant_type="password", username="alice", password=ALICE.password, scope="openid"
    )
    assert (status, told["token_type"], told["scope"]) == (200, "Bearer", "openid")
    kinds = [
        claims_by_others(casdoor, told[name])["tokenType"] for name in ("access_token", "id_token", "refresh_token")
    ]
    assert kinds == ["access-token", "id-token", "refresh-token"]
    again = post(casdoor, TOKEN_PATH, grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert (again[0], claims_by_others(casdoor, again[1]["access_token"])["sub"]) == (200, ALICE.subject)
    used = post(casdoor, TOKEN_PATH, grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert (used[0], used[1]["error"]) == (400, "invalid_grant")
    machine = post(casdoor, TOKEN_PATH, grant_type="client_credentials")[1]
    assert claims_by_others(casdoor, machine["access_token"])["name"] == "app-kong"


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "password", "username": "alice", "password": "wrong"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "nobody", "password": ""}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, 401, "invalid_client"),
    ],
)
def test_the_token_endpoint_refuses_what_casdoor_does(
    casdoor: CasdoorServer, fields: dict[str, str], status: int, error: str
) -> None:
    found = post(casdoor, TOKEN_PATH, **fields)
    assert (found[0], found[1]["error"]) == (status, error)


def test_an_access_token_refreshes_nothing(casdoor: CasdoorServer) -> None:
    found = post(casdoor, TOKEN_PATH, grant_type="refresh_token", refresh_token=casdoor.mint())
    assert (found[0], found[1]["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("change", [{"is_forbidden": True}, {"is_deleted": True}])
def test_who_is_forbidden_or_deleted_gets_no_tokens_and_is_told_of(
    casdoor: CasdoorServer, change: dict[str, bool]
) -> None:
    before = casdoor.tokens()
    casdoor.change("sharif/alice", **change)
    for fields in (
        {"grant_type": "password", "username": "alice", "password": ALICE.password},
        {"grant_type": "refresh_token", "refresh_token": before["refresh_token"]},
    ):
        assert post(casdoor, TOKEN_PATH, **fields)[1]["error"] == "invalid_grant"
    told = get(casdoor, "/api/get-account", before["access_token"])[1]["data"]
    assert (told["isForbidden"], told["isDeleted"]) == ("is_forbidden" in change, "is_deleted" in change)
    assert claims_by_others(casdoor, casdoor.mint())["isForbidden"] is ("is_forbidden" in change)


def test_introspection_tells_its_clients_what_is_active(casdoor: CasdoorServer) -> None:
    token = casdoor.mint()
    basic = base64.b64encode(f"{casdoor.client_id}:{casdoor.client_secret}".encode()).decode()
    body = urlencode({"token": token, "token_type_hint": "access_token"})
    status, told = call(casdoor, "POST", INTROSPECTION_PATH, body, Authorization=f"Basic {basic}")
    assert (status, told["active"], told["username"], told["sub"]) == (200, True, "alice", ALICE.subject)
    assert (told["aud"], told["iss"], told["client_id"]) == ([casdoor.client_id], casdoor.issuer, casdoor.client_id)
    assert post(casdoor, INTROSPECTION_PATH, token=f"{token}x") == (200, {"active": False})
    casdoor.revoked.add(token)
    assert post(casdoor, INTROSPECTION_PATH, token=token) == (200, {"active": False})
    assert post(casdoor, INTROSPECTION_PATH, token=token, client_secret="x")[0] == 401
    later = casdoor.mint(exp=int(casdoor.now_s()) + 10)
    casdoor.advance(11)
    assert post(casdoor, INTROSPECTION_PATH, token=later) == (200, {"active": False})


def test_users_are_told_in_an_envelope_to_whom_they_concern(casdoor: CasdoorServer) -> None:
    alice, admin = casdoor.mint(), casdoor.mint("sharif/admin")
    status, told = get(casdoor, "/api/get-account", alice)
    assert (status, told["status"], told["sub"], told["data"]["name"]) == (200, "ok", ALICE.subject, "alice")
    assert get(casdoor, "/api/get-account")[1]["status"] == "error"
    assert get(casdoor, "/api/get-account", casdoor.mint(kind="refresh-token"))[1]["status"] == "error"
    assert call(casdoor, "POST", "/api/get-account", "")[0] == 405
    assert get(casdoor, "/api/get-user?id=sharif/alice", alice)[1]["data"]["password"] == "***"
    assert get(casdoor, f"/api/get-user?userId={ALICE.subject}", admin)[1]["data"]["name"] == "alice"
    assert get(casdoor, "/api/get-user?id=sharif/bob", alice)[1]["msg"] == "Unauthorized operation"
    assert get(casdoor, "/api/get-user?id=sharif/nobody", admin)[1]["msg"] == "The user: sharif/nobody doesn't exist"
    pair = urlencode({"clientId": casdoor.client_id, "clientSecret": casdoor.client_secret})
    assert get(casdoor, f"/api/get-user?id=sharif/bob&{pair}")[1]["data"]["name"] == "bob"


def test_a_record_is_asked_for_by_id_and_what_it_says_depends_on_who_asks(casdoor: CasdoorServer) -> None:
    alice, mine = casdoor.mint(), f"/api/get-user?owner=sharif&userId={ALICE.subject}"
    status, told = get(casdoor, mine, alice)
    assert (status, told["status"], told["data"]["id"]) == (200, "ok", ALICE.subject)
    assert get(casdoor, "/api/get-user?owner=sharif&userId=x", alice)[1] | {"data": 0} == told | {"data": 0}
    assert get(casdoor, mine.replace("sharif", "other"), alice)[1]["data"] is None
    casdoor.change("sharif/alice", is_forbidden=True)
    assert get(casdoor, mine, alice)[1]["data"]["isForbidden"]
    casdoor.hides_standing = True
    assert [get(casdoor, mine, one)[1]["data"]["isForbidden"] for one in (alice, casdoor.mint("sharif/admin"))] == [
        False,
        True,
    ]
    casdoor.watches_users = True
    assert get(casdoor, mine, alice)[1]["msg"].startswith("The user is forbidden")
    casdoor.watches_users = False
    casdoor.change("sharif/alice", is_forbidden=False, is_deleted=True)
    assert get(casdoor, mine, alice)[1]["msg"] == "Unauthorized operation"
    casdoor.revoked.add(alice)
    status, told = get(casdoor, mine, alice)
    assert (status, told["status"], told["msg"]) == (403, "error", "Access token doesn't exist in database")
    casdoor.advance(casdoor.life_s + 1)
    assert get(casdoor, mine, next(iter(set(casdoor.minted) - casdoor.revoked)))[1]["msg"] == "Access token has expired"


def test_userinfo_has_names_where_tokens_have_objects(casdoor: CasdoorServer) -> None:
    casdoor.change("sharif/alice", roles=("admin",))
    status, told = get(casdoor, USERINFO_PATH, casdoor.mint())
    assert (status, told["preferred_username"], told["roles"]) == (200, "alice", ["admin"])
    assert get(casdoor, USERINFO_PATH, casdoor.mint(kind="id-token"))[0] == 401


def test_it_answers_as_scripted_and_counts(casdoor: CasdoorServer) -> None:
    casdoor.answers[JWKS_PATH] = unary(b'{"keys":[]}', 500)
    assert get(casdoor, JWKS_PATH)[0] == 500
    assert casdoor.count(JWKS_PATH) == 1
    assert get(casdoor, "/nowhere")[0] == 404

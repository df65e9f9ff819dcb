"""The admin API of a running jotgate, through its edge: what is ordered there counts everywhere, and is recorded."""

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jotgate.testing.running import Gateway, run_command, until
from tests.administrators import Administrator, Reply
from tests.integration.exchanges import Caller, records
from tests.token_stage import claims_of

CI = {"name": "ci", "grants": ["client_credentials"], "scopes": ["ai"]}


@pytest.fixture
def root(gateway: Gateway) -> Administrator:
    """An administrator of everything."""
    return Administrator(gateway)


def events(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    """The audit events of one name."""
    return [one for one in records(gateway, "event") if one.get("event") == name]


def token_of(gateway: Gateway, secret: str) -> tuple[int, Any]:
    """What the token endpoint says to the client `ci`."""
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
    form = f"grant_type=client_credentials&client_id=ci&client_secret={secret}"
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/token", form, fields)
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()
    return response.status, found


def test_a_client_that_is_made_there_gets_tokens_until_it_is_disabled(gateway: Gateway, root: Administrator) -> None:
    made = root.make("/clients", {**CI, "authentication": "client_secret_post"}, idempotency_key="one")
    secret = made["client_secret"]
    status, answer = token_of(gateway, secret)
    assert status == 200
    caller = Caller(gateway, answer["access_token"])
    assert caller("GET", "/v1/models").status == 200
    assert root.ask("POST", "/clients", {**CI, "authentication": "client_secret_post"}, idempotency_key="one").code == (
        409,
        "secret_shown",
    )
    assert [one["client_id"] for one in root.get("/tokens?client_id=ci")["items"]] == ["ci"]
    assert root.ask("POST", "/clients/ci/disable").body["enabled"] is False
    assert token_of(gateway, secret)[1]["error"] == "invalid_client"
    assert caller("GET", "/v1/models").code == "token_revoked", "at once, on this machine"
    assert root.ask("DELETE", "/clients/ci", if_match="*").body["live_tokens"] == 0
    caller.close()
    (created,) = events(gateway, "client.created")
    assert (created["actor"], created["subject"]) == ("jotgate-cli", "ci")
    assert created["details"]["request_id"].startswith("req-")
    log = b"".join(file.read_bytes() for file in (gateway.data / "audit").iterdir()) + gateway.errors.encode()
    for word in (secret, root.token, answer["access_token"]):
        assert word.encode() not in log


def test_tokens_of_the_gateway_and_of_its_admin_api_are_apart(gateway: Gateway, root: Administrator) -> None:
    caller = Caller(gateway, root.token)
    assert caller("GET", "/v1/models").code == "claim_refused"
    caller.close()
    stranger = Administrator(gateway)
    stranger.token = gateway.token("--scope", "ai")
    assert stranger.ask("GET", "/clients").code == (401, "claim_refused")
    reader = Administrator(gateway, "admin:read")
    assert reader.get("/clients") == {"items": [], "next_cursor": None}
    refused = reader.ask("POST", "/clients", CI)
    assert refused.code == (403, "insufficient_scope")
    challenge = refused.fields["www-authenticate"]
    assert 'scope="admin:clients"' in challenge
    metadata = f"{gateway.url}/.well-known/oauth-protected-resource/admin/api"
    assert f'resource_metadata="{metadata}"' in challenge
    caller = Caller(gateway)
    found = caller("GET", metadata.removeprefix(gateway.url)).json
    assert found["resource"] == f"{gateway.url}/admin/api"
    caller.close()


def test_an_administrator_whose_token_was_revoked_is_out(gateway: Gateway, root: Administrator) -> None:
    other = Administrator(gateway, "admin:read", "admin:tokens")
    for who in (other, root):
        assert root.ask("POST", f"/tokens/{claims_of(who.token)['jti']}/revoke").status == 204
    assert other.ask("GET", "/clients").code == (401, "token_revoked")
    assert root.ask("GET", "/clients").code == (401, "token_revoked")


def test_of_two_administrators_one_is_told_that_the_record_has_changed(gateway: Gateway, root: Administrator) -> None:
    root.make("/tenants", {"name": "acme"})
    other, replies = Administrator(gateway), []
    for turn in range(10):
        version = root.ask("GET", "/tenants/acme").fields["etag"]
        gate = threading.Barrier(2)

        def change(who: Administrator, title: str, version: str = version, gate: threading.Barrier = gate) -> None:
            gate.wait()
            replies.append(who.ask("PATCH", "/tenants/acme", {"title": title}, if_match=version))

        threads = [
            threading.Thread(target=change, args=(who, f"{turn} {name}")) for who, name in ((root, "a"), (other, "b"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pair: list[Reply] = replies[-2:]
        assert sorted(one.status for one in pair) == [200, 412]
        (good,) = (one for one in pair if one.status == 200)
        assert root.get("/tenants/acme")["title"] == good.body["title"]
    assert len(events(gateway, "tenant.changed")) == 10


def test_keys_are_rotated_and_what_one_signed_is_refused(gateway: Gateway, root: Administrator) -> None:
    old = root.get("/keys")["items"][0]["kid"]
    caller = Caller(gateway, gateway.token())
    made = root.make("/keys", {})["key"]
    until(lambda: root.get(f"/keys/{made['kid']}")["state"] == "active", "the new key signs", 15)
    newer = Administrator(gateway)
    assert newer.ask("POST", f"/keys/{old}/revoke").body["key"]["state"] == "compromised"
    until(lambda: caller("GET", "/v1/models").status == 401, "what the old key signed is refused")
    assert root.ask("GET", "/keys").code[0] == 401
    caller.close()
    (event,) = [one for one in events(gateway, "key.created") if one["details"]["kid"] == made["kid"]]
    assert (event["actor"], event["details"]["client_id"]) == ("jotgate-cli", "jotgate-cli")


def test_an_issuer_is_kept_and_leads_to_public_addresses_alone(gateway: Gateway, root: Administrator) -> None:
    for url in (f"https://127.0.0.1:{gateway.url.rpartition(':')[2]}", "http://127.0.0.1:1", "https://localhost"):
        assert root.ask("POST", "/issuers", {"name": "idp", "issuer": url}).code == (422, "configuration")
    assert root.ask("POST", "/issuers", {"name": "idp", "secret_env": "PATH"}).code == (422, "configuration")
    body = {"name": "idp", "issuer": "urn:idp", "jwks_url": "https://8.8.8.8/keys", "enabled": False}
    made = root.make("/issuers", body)
    assert made["settings"]["public_only"] is True
    listed = run_command("issuer", "list", data=gateway.data).stdout
    assert "idp" in listed
    assert "disabled" in listed
    assert root.ask("DELETE", "/issuers/idp", if_match="*").status == 204
    assert [one["event"] for one in records(gateway, "event") if str(one.get("event")).startswith("issuer.")] == [
        "issuer.added",
        "issuer.removed",
    ]


def test_no_page_reads_the_admin_api(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway('[cors]\norigins = ["https://app.example"]\n')
    root = Administrator(gateway)
    reply = root.ask("GET", "/clients", origin="https://app.example")
    assert reply.status == 200
    assert not [name for name in reply.fields if name.startswith("access-control-")]


def test_the_edge_hands_on_what_the_admin_api_goes_by_and_nothing_else(gateway: Gateway, root: Administrator) -> None:
    reply = root.ask("GET", "/clients/nobody", x_request_id="mine-1")
    assert (reply.body["instance"], reply.fields["x-request-id"]) == ("mine-1", "mine-1")
    coded = root.ask("POST", "/tenants", {"name": "acme"}, content_encoding="gzip")
    assert coded.code == (415, "encoding_refused")
    assert root.ask("GET", "/clients/", cookie=f"token={root.token}").code == (404, "unknown_operation")
    for path in ("/admin/api/%63lients", "/admin/api//clients", "/admin//api/clients", "/admin/api;/clients"):
        caller = Caller(gateway, root.token)
        assert caller("GET", path).status == 404
        caller.close()

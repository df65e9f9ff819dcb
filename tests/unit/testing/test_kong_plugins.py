"""Plugins, groups, services and routes in the Admin API of Kong's stand-in, and what their schemas refuse."""

from jotgate.testing.kong import Kong
from jotgate.testing.kong_told import DOCUMENT_CONFIG
from tests.kong_calls import KongCalls, violated


def test_the_documents_plugin_is_made_and_its_configuration_merged(calls: KongCalls) -> None:
    status, made = calls.told("POST", "/plugins", {"name": "jwt", "config": {"key_claim_name": "iss"}})
    assert (status, made["config"]["secret_is_base64"], made["config"]["claims_to_verify"]) == (201, False, None)
    assert made["protocols"] == ["grpc", "grpcs", "http", "https"]
    status, changed = calls.told("PATCH", f"/plugins/{made['id']}", {"config": {"key_claim_name": "kid"}})
    assert (status, changed["config"]) == (200, {**made["config"], "key_claim_name": "kid"})
    whole = calls.told("PATCH", f"/plugins/{made['id']}", {"config": DOCUMENT_CONFIG})[1]["config"]
    assert whole == {**DOCUMENT_CONFIG, "realm": None}
    replaced = calls.told("PUT", f"/plugins/{made['id']}", {"name": "jwt"})[1]["config"]
    assert replaced == made["config"]


def test_a_plugin_says_no_to_what_its_schema_does_not_know(calls: KongCalls) -> None:
    unknown = "plugin 'oidc' not enabled; add it to the 'plugins' configuration property"
    assert calls.told("POST", "/plugins", {"name": "oidc"}) == violated(
        {"name": unknown}, f"schema violation (name: {unknown})"
    )
    config = {"claims_to_verify": ["iat"], "maximum_expiration": 31_536_001, "leeway": 5, "secret_is_base64": "yes"}
    fields = calls.told("POST", "/plugins", {"name": "jwt", "config": config})[1]["fields"]
    assert fields["config"] == {
        "claims_to_verify": ["expected one of: exp, nbf"],
        "maximum_expiration": "value should be between 0 and 31536000",
        "leeway": "unknown field",
        "secret_is_base64": "expected a boolean",
    }
    fields = calls.told("POST", "/plugins", {"name": "jwt", "config": {"maximum_expiration": 60}})[1]["fields"]
    assert fields == {
        "@entity": ["failed conditional validation given value of field 'config.maximum_expiration'"],
        "config": {"claims_to_verify": "expected to contain: exp"},
    }


def test_a_plugin_of_a_consumer_is_none_that_finds_out_who_asks(calls: KongCalls, kong: Kong) -> None:
    kong.add("consumers", username="bob")
    assert calls.told("POST", "/consumers/bob/plugins", {"name": "jwt"})[1]["fields"] == {
        "consumer": "value must be null"
    }
    assert calls.told("POST", "/consumers/bob/plugins", {"name": "rate-limiting", "config": {"hour": 1}})[0] == 201


def test_one_plugin_of_a_name_stands_in_one_place(calls: KongCalls, kong: Kong) -> None:
    service = kong.add("services", name="llm", host="127.0.0.1")
    kong.add("routes", name="chat", paths=["/llm"], service={"id": service["id"]})
    for path in ("/plugins", "/services/llm/plugins", "/routes/chat/plugins"):
        assert calls.told("POST", path, {"name": "jwt"})[0] == 201
        status, told = calls.told("POST", path, {"name": "jwt"})
        assert (status, told["code"], told["fields"].keys()) == (409, 5, {"name", "route", "service", "consumer"})
    assert len(calls.told("GET", "/services/llm/plugins")[1]["data"]) == 1


def test_limits_that_allow_less_for_longer_are_refused(calls: KongCalls) -> None:
    given = {"name": "rate-limiting", "config": {"minute": 10, "hour": 5}}
    told = "The limit for hour(5.0) cannot be lower than the limit for minute(10.0)"
    assert calls.told("POST", "/plugins", given)[1]["fields"] == {"config": told}
    none = calls.told("POST", "/plugins", {"name": "rate-limiting"})[1]["fields"]["@entity"]
    assert none[0].startswith("at least one of these fields must be non-empty: 'config.second', ")
    both = {"name": "acl", "config": {"allow": ["a"], "deny": ["b"]}}
    assert calls.told("POST", "/plugins", both)[1]["fields"] == {
        "@entity": ["only one of these fields must be non-empty: 'config.allow', 'config.deny'"]
    }


def test_plugins_and_their_schemas_are_listed(calls: KongCalls) -> None:
    assert calls.told("GET", "/plugins/enabled")[1] == {"enabled_plugins": ["jwt", "acl", "rate-limiting"]}
    fields = calls.told("GET", "/schemas/plugins/jwt")[1]["fields"][0]["config"]["fields"]
    assert {"key_claim_name": {"type": "string", "required": False, "default": "iss"}} in fields
    assert calls.told("GET", "/schemas/plugins/oidc") == (404, {"message": "No plugin named 'oidc'"})


def test_a_group_is_a_consumers_once(calls: KongCalls, kong: Kong) -> None:
    kong.add("consumers", username="bob")
    assert calls.told("POST", "/consumers/bob/acls", {"group": "staff"})[0] == 201
    assert calls.told("POST", "/consumers/bob/acls", {"group": "staff"})[0] == 409
    assert calls.told("PUT", "/consumers/bob/acls/admins")[1]["group"] == "admins"
    assert calls.told("DELETE", "/consumers/bob/acls/staff") == (204, None)
    assert [row["group"] for row in calls.told("GET", "/consumers/bob/acls")[1]["data"]] == ["admins"]


def test_a_service_is_made_of_a_url_and_kept_by_its_routes(calls: KongCalls) -> None:
    service = calls.told("POST", "/services", {"name": "llm", "url": "http://llm.internal:8080/v1"})[1]
    assert (service["protocol"], service["host"], service["port"], service["path"]) == (
        *("http", "llm.internal"),
        *(8080, "/v1"),
    )
    route = calls.told("POST", "/services/llm/routes", {"name": "chat", "paths": ["/llm"]})[1]
    assert calls.told("GET", "/routes/chat/service")[1]["id"] == service["id"]
    status, told = calls.told("DELETE", "/services/llm")
    assert (status, told["message"]) == (400, "an existing 'routes' entity references this 'services' entity")
    assert calls.told("DELETE", f"/routes/{route['id']}") == calls.told("DELETE", "/services/llm") == (204, None)

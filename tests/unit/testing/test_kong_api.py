"""The port of Kong's Admin API in testing: bodies, paths, who is let in, and how it goes wrong when told to."""

import http.client
import json
from typing import Any

import pytest

from jotgate.testing.kong import Kong
from jotgate.testing.kong_values import KongFault
from tests.kong_calls import FORM, NO_METHOD, NOT_FOUND, KongCalls


def test_forms_say_by_their_names_where_values_belong(calls: KongCalls) -> None:
    form = b"name=jwt&config.key_claim_name=kid&config.claims_to_verify[]=exp&config.maximum_expiration=60&tags=a,b"
    status, made = calls.told("POST", "/plugins", form + b"&config.secret_is_base64=true", FORM)
    assert (status, made["tags"]) == (201, ["a", "b"])
    config = made["config"]
    told = ("kid", ["exp"], 60, True)
    assert (config["key_claim_name"], config["claims_to_verify"], config["maximum_expiration"]) == told[:3]
    assert config["secret_is_base64"] is told[3]
    told = calls.told("POST", "/plugins", b"name=jwt&config.uri_param_names.a=x", FORM)[1]["fields"]
    assert told == {"config": {"uri_param_names": "expected a set"}}
    parts = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nbob\r\n--x--\r\n'
    assert calls.told("POST", "/consumers", parts, "multipart/form-data; boundary=x")[1]["username"] == "bob"
    assert calls.told("PATCH", "/consumers/bob", b"custom_id=1", FORM)[1]["custom_id"] == "1"


def test_bodies_of_other_kinds_and_broken_ones_are_refused(calls: KongCalls) -> None:
    assert calls.told("POST", "/consumers", b"{", "application/json") == (400, {"message": "Cannot parse JSON body"})
    assert calls.told("POST", "/consumers", b"[]", "application/json") == (400, {"message": "Cannot parse JSON body"})
    assert calls.told("POST", "/consumers", b"a: b", "application/yaml")[0] == 415


def test_paths_and_methods_that_are_not_there_are_refused(calls: KongCalls, kong: Kong) -> None:
    kong.add("consumers", username="bob")
    assert calls.told("GET", "/nowhere") == calls.told("GET", "/consumers/bob/oauth2") == NOT_FOUND
    assert calls.told("DELETE", "/consumers") == calls.told("POST", "/consumers/bob") == NO_METHOD
    assert calls.told("POST", "/status") == NO_METHOD
    assert calls.admin("HEAD", "/consumers/bob").raw == b""
    assert calls.told("GET", "/status")[1]["database"] == {"reachable": True}
    assert calls.told("GET", "/")[1]["version"].startswith("3.")


def test_whoever_lacks_the_header_is_refused_everything(calls: KongCalls, kong: Kong) -> None:
    kong.admin_header = ("Kong-Admin-Token", "secret")
    assert calls.told("GET", "/consumers")[0] == 401
    assert calls.admin("GET", "/consumers", Kong_Admin_Token="secret").status == 200


def test_without_a_database_nothing_changes_but_as_a_whole(calls: KongCalls, kong: Kong) -> None:
    kong.api.admin.declared = True
    told = {"code": 12, "name": "operation unsupported"}
    told["message"] = "cannot create 'consumers' entities when not using a database"
    assert calls.told("POST", "/consumers", {"username": "bob"}) == (405, told)
    consumer = {"username": "bob", "jwt_secrets": [{"key": "k", "secret": "s"}], "acls": [{"group": "staff"}]}
    service = {"name": "llm", "host": "127.0.0.1", "routes": [{"name": "chat", "paths": ["/llm"]}]}
    plugins = [{"name": "jwt", "service": "llm"}]
    whole = {"_format_version": "3.0", "services": [service], "consumers": [consumer], "plugins": plugins}
    assert calls.told("POST", "/config", {"config": json.dumps(whole)})[0] == 201
    assert [row["key"] for row in calls.told("GET", "/consumers/bob/jwt")[1]["data"]] == ["k"]
    unknown = {**whole, "consumer_groups": [{"name": "x"}]}
    refused: list[dict[str, Any]] = [{"consumers": []}, {**whole, "consumers": [{}]}, unknown]
    for broken in refused:
        status, answer = calls.told("POST", "/config", broken)
        assert (status, answer["name"]) == (400, "invalid declarative configuration")
    assert (len(kong.credentials), kong.plugins[0]["service"]) == (1, {"id": kong.store.rows("services")[0]["id"]})


def test_faults_come_when_they_are_told_to_and_may_hide_what_was_done(calls: KongCalls, kong: Kong) -> None:
    kong.faults.append(KongFault(ill="status", method="POST", path="/consumers", skip=1, times=2))
    kong.faults.append(KongFault(ill="status", method="POST", status=503, done=True))
    statuses = [calls.told("POST", "/consumers", {"username": f"u{number}"})[0] for number in range(5)]
    assert statuses == [503, 500, 500, 201, 201]
    assert calls.told("GET", "/consumers")[0] == 200
    assert [ask.status for ask in kong.asks if ask.method == "POST"] == statuses


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("ill", ["drop", "reset", "silence"])
def test_an_answer_can_be_lost_before_or_after_the_deed(calls: KongCalls, kong: Kong, ill: Any, done: bool) -> None:
    kong.faults.append(KongFault(ill=ill, method="PUT", done=done))
    client = http.client.HTTPConnection("127.0.0.1", kong.api.port, timeout=0.2)
    client.request("PUT", "/consumers/bob")
    with pytest.raises((http.client.HTTPException, OSError)):
        client.getresponse()
    client.close()
    assert [row["username"] for row in kong.consumers] == (["bob"] if done else [])
    assert kong.count("PUT", "/consumers/bob") == kong.changes == 1


def test_slow_answers_pages_and_torn_json_come_too(calls: KongCalls, kong: Kong) -> None:
    kong.faults.append(KongFault(ill="slow", span_s=0.01))
    assert calls.told("PUT", "/consumers/bob")[0] == 200
    kong.faults.append(KongFault(ill="page", status=502))
    assert calls.admin("GET", "/consumers").raw == b"<html><body><h1>502</h1></body></html>"
    kong.faults.append(KongFault(ill="malformed"))
    with pytest.raises(json.JSONDecodeError):
        calls.admin("GET", "/consumers")

"""The surface of the Coze proxy: what is whose, and who may have what."""

import json

import pytest
from msgspec.structs import replace

from jotgate.core.calls import ResponseHead
from jotgate.core.coze_aims import Aim
from jotgate.core.face_callers import FaceCaller
from jotgate.core.policy_values import Policy
from jotgate.core.prompt_chain import Pages
from tests.callers import NAME, request
from tests.coze_surfaces import ALIASES, BODY, JWT, RULES, House, bearer, error, get


@pytest.mark.parametrize(("method", "path"), JWT)
def test_weak_000_1_the_live_token_is_for_who_has_the_scope_for_it(method: bytes, path: bytes) -> None:
    house = House()
    nobody = house.ask(get(path, method))
    assert error(nobody) == (401, "token_missing")
    assert b"jotgate token create" in nobody.body
    ordinary = house.ask(get(path, method, authorization=bearer()))
    assert error(ordinary) == (403, "insufficient_scope")
    assert b"upstream:credentials" in ordinary.body
    assert not house.control.exchanges, "control hears of neither"
    house.ask(get(path, method, authorization=bearer("upstream:credentials"), x_jotgate_caller=b"e30"))
    assert (house.control.last.outbound.method, house.control.last.outbound.target) == (method, path)
    assert house.told == FaceCaller(NAME, "", "alice")


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/conversations",
        b"/v1/conversations/c/history",
        b"/v1/workflows/sessions",
        b"/v1/workflows/sessions/s",
        b"/v1/conversations/a%2Fb/history",
    ],
)
def test_weak_000_1_what_is_kept_of_callers_is_told_to_callers_and_control_is_told_to_whom(path: bytes) -> None:
    house = House()
    assert error(house.ask(get(path))) == (401, "token_missing")
    house.ask(get(path, authorization=bearer(), x_session_name="né".encode()))
    assert house.told == FaceCaller(NAME, "", "alice", "né")
    assert house.control.last.outbound.target == path


def test_what_control_answers_is_passed_on_and_recorded_under_the_callers_name() -> None:
    house = House()
    caller = house.ask(get(b"/get_jwt", authorization=bearer("upstream:credentials")))
    house.control.last.answer(200, b"{}")
    assert (caller.status, caller.body) == (200, b"{}")
    record = house.trail.only
    assert (record.operation, record.subject, record.status) == ("upstream:credentials", "alice", 200)


@pytest.mark.parametrize("said", [[], [(b"cache-control", b"public, max-age=60")]])
def test_no_answer_may_be_kept_by_who_passes_it_on(said: list[tuple[bytes, bytes]]) -> None:
    house = House()
    whole, stream = house.chat(bearer()), house.chat(bearer(), {"stream": True})
    head = ResponseHead(200, [(b"content-type", b"application/json"), *said], 2)
    house.upstream.exchanges[0].tell(head, b"{}", complete=True)
    head = ResponseHead(200, [(b"content-type", b"text/event-stream"), *said], None)
    house.upstream.exchanges[1].tell(head, b"data: {}\n\n", complete=False)
    answered = [whole, stream, house.chat(), house.ask(get(b"/v1/models", authorization=bearer()))]
    for caller in answered:
        assert [line for line in caller.lines.split(b"\r\n") if line.lower().startswith(b"cache-control")] == [
            b"Cache-Control: no-store"
        ]
    assert [caller.status for caller in answered] == [200, 200, 401, 200]


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/v2",
        b"/metrics",
        b"/v1/usage",
        b"/v1/embeddings",
        b"/v1/completions",
        b"/oauth/token",
        b"/get_jwt/",
        b"/v1/conversations/",
        b"/v1/conversations/a/b",
        b"/v1/conversations/a/b/history",
        b"/v1/conversations/a/history/",
        b"/v1/conversations//history",
        b"/v1/workflows/sessions/",
        b"/v1/workflows/sessions/a/b",
    ],
)
def test_all_other_paths_are_unknown_to_everybody(path: bytes) -> None:
    for headers in ({}, {"authorization": bearer()}):
        caller = House().ask(get(path, **headers))
        assert error(caller) == (404, "endpoint_not_found")
        assert json.loads(caller.body)["error"]["message"] == f"Unknown endpoint: GET {path.decode()}"
    asked = get(b"/v\xff")
    asked.query = b"a=" + b"b" * 1_000
    message = json.loads(House().ask(asked).body)["error"]["message"]
    assert message.startswith("Unknown endpoint: GET /v\\xff?a=b")
    assert len(message) < 300


def test_the_list_of_models_is_the_originals_and_the_callers() -> None:
    listed = json.loads(House().ask(get(b"/v1/models", authorization=bearer())).body)
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == list(ALIASES)
    first = listed["data"][0]
    assert first == {
        "id": "gpt-3.5-turbo",
        "object": "model",
        "created": first["created"],
        "owned_by": "coze-proxy",
        "permission": [],
        "root": "gpt-3.5-turbo",
        "parent": None,
    }
    one = json.loads(House().ask(get(b"/v1/models/bot:7", authorization=bearer())).body)
    assert one["id"] == "bot:7"
    denied = House(RULES, Policy(name="gpt", effect="allow", models=("gpt-*",)))
    listed = json.loads(denied.ask(get(b"/v1/models", authorization=bearer())).body)
    assert [one["id"] for one in listed["data"]] == ["gpt-3.5-turbo", "gpt-4"]


def test_a_call_goes_on_with_what_it_asks_settled() -> None:
    house = House()
    house.chat(bearer(), x_model_type=b"conversation", x_conversation_id=b"c", x_session_name=b"mine")
    assert house.aim == Aim("conversation", conversation_id="c", label="mine", alias="gpt-3.5-turbo")
    assert json.loads(house.upstream.last.outbound.body) == {**BODY, "model": "bot:7"}
    house.chat(bearer(), {"x-model-type": "workflow"})
    assert house.aim == Aim("workflow", workflow_id="8", label="usual", alias="workflow:8")
    assert json.loads(house.upstream.last.outbound.body) == {**BODY, "model": "workflow:8"}


def test_weak_000_1_no_bot_and_no_workflow_is_run_that_the_operator_did_not_list() -> None:
    assert error(House().chat(bearer(), x_bot_id=b"9")) == (404, "model_not_found")
    assert error(House().chat(bearer(), x_model_type=b"workflow", x_workflow_id=b"9")) == (404, "model_not_found")
    house = House(replace(RULES, bots=("*",)))
    house.chat(bearer(), x_bot_id=b"9")
    assert json.loads(house.upstream.last.outbound.body)["model"] == "bot:9"


def test_policies_and_tokens_speak_of_bots_and_workflows_by_their_aliases() -> None:
    no_workflow = Policy(name="no-workflow", effect="deny", models=("workflow:*",), reason="Workflows are for others")
    house = House(RULES, no_workflow, Policy(name="rest", effect="allow"))
    refused = house.chat(bearer(), x_model_type=b"workflow")
    assert (refused.status, b"Workflows are for others" in refused.body) == (403, True)
    house.chat(bearer())
    assert len(house.upstream.exchanges) == 1
    narrow = bearer(models=["gpt-3.5-turbo"])
    assert House().chat(narrow, x_bot_id=b"7").status == 403
    assert House().chat(narrow, x_model_type=b"workflow").status == 403


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ({"messages": None, "x-model-type": "agent"}, {}, "invalid_model_type"),
        ({}, {"x_model_type": b"agent"}, "invalid_model_type"),
        ({"x-bot-id": 7}, {}, "request_malformed"),
    ],
)
def test_a_call_that_says_nothing_sensible_is_refused_by_code(
    body: dict[str, object], headers: dict[str, bytes], code: str
) -> None:
    assert error(House().chat(bearer(), body, **headers)) == (400, code)


@pytest.mark.parametrize("members", ["", ',"messages":[]', ',"messages": [ \n\t] ', ',"messages": null'])
def test_a_call_without_messages_is_told_so(members: str) -> None:
    asked = request(b'{"model":"gpt-4"%b}' % members.encode(), host=b"localhost", authorization=bearer())
    caller = House().ask(asked)
    assert error(caller) == (400, "missing_messages")
    assert json.loads(caller.body)["error"]["message"] == "Messages array is required"
    bare = House(replace(RULES, workflow_id=""))
    assert error(bare.chat(bearer(), x_model_type=b"workflow")) == (400, "missing_workflow_id")


def test_a_face_that_lacks_its_credential_says_so_to_who_may_call() -> None:
    house = House(missing=("Neither JWT configuration nor API key provided",))
    assert error(house.chat()) == (401, "token_missing")
    caller = house.chat(bearer())
    assert caller.status == 503
    assert b"Neither JWT configuration nor API key provided" in caller.body
    assert house.ask(get(b"/v1/models", authorization=bearer())).status == 200


def test_health_is_for_everybody_and_tells_who_comes_with_a_token_of_the_own_session() -> None:
    house = House()
    house.ask(get(b"/health"))
    assert (house.control.last.outbound.target, house.told) == (b"/health", None)
    assert error(house.ask(get(b"/health", authorization=b"Bearer wrong")))[0] == 401
    house.ask(get(b"/health", authorization=bearer()))
    assert house.told == FaceCaller(NAME, "", "alice")
    assert house.ask(get(b"/health", b"POST")).status == 405


def test_weak_000_2_a_page_that_is_not_listed_reads_nothing() -> None:
    house = House()
    house.chat(bearer(), origin=b"https://evil.example")
    caller = house.ask(get(b"/v1/models", authorization=bearer(), origin=b"https://evil.example"))
    assert (caller.status, b"Access-Control" in caller.lines) == (200, False)
    listed = House(replace(RULES, pages=Pages(("https://a.example", "https://b.example"))))
    for origin in (b"https://a.example", b"https://b.example"):
        caller = listed.ask(get(b"/v1/models", authorization=bearer(), origin=origin))
        assert b"Access-Control-Allow-Origin: %b\r\n" % origin in caller.lines
        assert b"Allow-Credentials" not in caller.lines

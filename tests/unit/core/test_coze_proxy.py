"""What a call at the Coze proxy's face comes to: the mode, the bot or workflow, and the alias that is decided about."""

import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Request, read_body
from jotgate.core.coze_aims import Aim, Asked
from jotgate.core.coze_proxy import ANY, LOCAL, CozeProxyRules, find_aim, open_route, settle_aim
from jotgate.core.policies import ALLOW, Deny, authorize
from jotgate.errors import RequestMalformed

RULES = CozeProxyRules(bot_id="7", workflow_id="8", label="usual")
WORKFLOWS = replace(RULES, default_mode="workflow")
BARE = CozeProxyRules()


def aim(model: str = "gpt-4", rules: CozeProxyRules = RULES, **asked: str) -> Aim:
    return find_aim(Asked(**asked), model, rules)


def settled(
    body: Mapping[str, object], rules: CozeProxyRules = RULES, head: Mapping[bytes, bytes] | None = None
) -> tuple[Request, Mapping[str, object]]:
    raw = json.dumps({"messages": [1], **body}).encode()
    request = Request(b"POST", b"/v1/chat/completions", b"", dict(head or {}), "127.0.0.1", 0.0, raw)
    found = settle_aim(request, read_body(raw), rules, {"gpt-4"})
    assert json.loads(found.compact)["model"] == found.model == json.loads(bytes(found.members["model"]))
    return request, json.loads(found.compact)


def test_where_nothing_is_named_the_model_is_the_alias_and_its_route_decides() -> None:
    assert aim() == Aim("chat", label="usual", alias="gpt-4")
    assert aim(rules=WORKFLOWS) == Aim("workflow", label="usual", alias="gpt-4")
    assert aim(mode="chat") == aim()
    assert aim(mode="conversation") == Aim("conversation", label="usual", alias="gpt-4"), "the same bot"


def test_what_is_named_is_the_alias() -> None:
    assert aim(bot_id="9") == Aim("chat", "9", label="usual", alias="bot:9")
    assert aim(mode="workflow", workflow_id="9").alias == "workflow:9"
    assert aim(mode="workflow") == Aim("workflow", workflow_id="8", label="usual", alias="workflow:8")
    assert aim(mode="chat", rules=WORKFLOWS) == Aim("chat", "7", label="usual", alias="bot:7")
    assert aim(model="bot:9") == Aim("chat", "9", label="usual", alias="bot:9")
    assert aim(model="workflow:9") == Aim("workflow", workflow_id="9", label="usual", alias="workflow:9")


def test_a_mode_that_is_not_named_is_that_of_what_is() -> None:
    assert aim(workflow_id="9").mode == "workflow"
    assert aim(bot_id="9", rules=WORKFLOWS).mode == "chat"
    assert aim(conversation_id="c") == Aim("conversation", conversation_id="c", label="usual", alias="gpt-4")
    assert aim(bot_id="9", workflow_id="9").mode == "chat", "both are named: the usual one"
    assert aim(mode="chat", bot_id="9", workflow_id="9").alias == "bot:9"


def test_a_label_goes_before_the_one_of_the_settings() -> None:
    assert aim(label="mine").label == "mine"


@pytest.mark.parametrize(
    ("model", "asked", "rules", "param"),
    [
        ("bot:1", {"bot_id": "2"}, RULES, "x-bot-id"),
        ("workflow:1", {"workflow_id": "2"}, RULES, "x-workflow-id"),
        ("bot:1", {"mode": "workflow"}, RULES, "x-model-type"),
        ("workflow:1", {"mode": "chat"}, RULES, "x-model-type"),
        ("gpt-4", {"mode": "chat", "conversation_id": "c"}, RULES, "x-model-type"),
        ("gpt-4", {"mode": "workflow", "conversation_id": "c"}, RULES, "x-model-type"),
        ("gpt-4", {"mode": "workflow"}, BARE, "workflow_id"),
        ("gpt-4", {"mode": "chat"}, replace(BARE, default_mode="workflow"), "bot_id"),
    ],
)
def test_what_contradicts_itself_or_is_nowhere_is_refused(
    model: str, asked: dict[str, str], rules: CozeProxyRules, param: str
) -> None:
    with pytest.raises(RequestMalformed) as caught:
        aim(model, rules, **asked)
    assert caught.value.param == param


def test_the_body_goes_on_with_the_alias_and_without_what_named_it() -> None:
    request, body = settled({"model": "gpt-4", "x-bot-id": "9", "temperature": 1})
    assert body == {"messages": [1], "model": "bot:9", "temperature": 1}
    assert request.aim is not None
    assert request.aim.alias == "bot:9"
    request, body = settled({"model": "gpt-4"}, head={b"x-session-name": b"mine"})
    assert body == {"messages": [1], "model": "gpt-4"}
    assert request.aim == Aim("chat", label="mine", alias="gpt-4")


@pytest.mark.parametrize(("body", "param"), [({"model": "gpt-4", "x-model-type": "agent"}, "x-model-type")])
def test_a_body_at_fault_is_refused_by_the_member(body: dict[str, object], param: str) -> None:
    with pytest.raises(RequestMalformed) as caught:
        settled(body)
    assert caught.value.param == param


def test_messages_are_needed() -> None:
    raw = b'{"model":"gpt-4"}'
    request = Request(b"POST", b"/v1/chat/completions", b"", {}, "127.0.0.1", 0.0, raw)
    with pytest.raises(RequestMalformed, match="Messages array is required"):
        settle_aim(request, read_body(raw), RULES, ())


def test_a_model_without_a_route_says_what_is_not_configured_only_where_that_is_why() -> None:
    with pytest.raises(RequestMalformed, match="COZE_BOT_ID is not set"):
        settled({"model": "gpt-3.5-turbo"}, BARE)
    _, body = settled({"model": "bot:9"}, BARE)
    assert body["model"] == "bot:9", "it names one"
    _, body = settled({"model": "gpt-5"})
    assert body["model"] == "gpt-5", "admission says that no route carries it"
    _, body = settled({"model": "gpt-4"}, BARE)
    assert body["model"] == "gpt-4", "a route of the operator's own"


def test_weak_000_1_which_bots_and_workflows_may_be_named_is_the_operators_word() -> None:
    assert open_route("bot:9", RULES) is None
    assert open_route("gpt-9", replace(RULES, bots=(ANY,), workflows=(ANY,))) is None
    listed = replace(RULES, bots=("9",))
    assert open_route("bot:9", listed) is not None
    assert open_route("bot:91", listed) is None
    assert open_route("workflow:9", listed) is None
    route = open_route("workflow:1", replace(RULES, workflows=(ANY,)))
    assert route is not None
    assert [(one.upstream, one.model) for one in route.attempts] == [("coze", "workflow:1")]


def test_the_one_user_of_an_open_face_may_do_all_that_it_does_and_nothing_else() -> None:
    assert authorize(LOCAL, "chat.completions", "bot:7") == ALLOW
    assert authorize(LOCAL, "upstream:credentials", "") == ALLOW
    assert isinstance(authorize(LOCAL, "metrics", ""), Deny)


def test_weak_000_1_the_live_token_needs_a_scope_of_its_own() -> None:
    ordinary = replace(LOCAL, scopes=frozenset({"ai"}))
    assert authorize(ordinary, "upstream:credentials", "") == Deny("scope", "upstream:credentials")
    assert authorize(ordinary, "conversations", "") == ALLOW

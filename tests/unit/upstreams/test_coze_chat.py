"""A chat with a bot of Coze: what it is asked, what its caller is told, and how it ends."""

import json

import pytest

from jotgate.core.coze_aims import Aim
from jotgate.core.coze_sessions import session_of, user_name
from jotgate.errors import Code
from tests.coze_calls import (
    BOT,
    CHAT,
    CONVERSATION,
    CREATED,
    DONE,
    CozeStage,
    chat_event,
    chunks,
    completed,
    delta,
    event,
    text_of,
    usage,
    whole,
)


@pytest.fixture
def stage() -> CozeStage:
    return CozeStage()


def test_a_stream_has_the_role_first_one_id_a_reason_and_the_usage_where_it_is_asked_for(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream_options={"include_usage": True})
    stage.hear(CREATED, delta("Hel"), delta("lo."), whole("Hello."), completed(11, 7), complete=True)
    first, second, third, last, told = chunks(caller)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [one["choices"][0]["delta"] for one in (second, third)] == [{"content": "Hel"}, {"content": "lo."}]
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert last["coze"] == {"chat_id": CHAT}
    assert (told["choices"], told["usage"]["total_tokens"]) == ([], 18)
    assert len({one["id"] for one in chunks(caller)}) == 1
    assert {one["model"] for one in chunks(caller)} == {"bot"}
    assert caller.state == "ended"
    assert caller.body.endswith(b"data: [DONE]\n\n")
    record = stage.trail.only
    assert (record.outcome, record.status, record.tokens_in, record.tokens_out) == ("complete", 200, 11, 7)
    assert stage.at_rest()


def test_a_whole_answer_is_gathered_and_has_its_usage(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, delta("Hel"), delta("lo."), whole("Hello."), whole("More?", "follow_up", message="2"))
    assert caller.state == "waiting"
    stage.hear(completed(11, 7), complete=True)
    answer = json.loads(caller.body)
    assert (caller.status, answer["object"]) == (200, "chat.completion")
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello."}
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert answer["coze"]["follow_ups"] == ["More?"]
    assert stage.trail.only.tokens_out == 7


def test_coze_is_asked_in_its_own_words_by_the_callers_digest_and_session(stage: CozeStage) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
    stage.chat(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello to you."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        metadata={"trace": "1"},
        temperature=0.5,
        max_tokens=10,
    )
    assert stage.coze.targets == ["POST /v3/chat"]
    body = stage.sent()
    assert (body["bot_id"], body["stream"], body["auto_save_history"]) == (BOT, True, True)
    assert [(one["role"], one["type"], one["content_type"]) for one in body["additional_messages"]] == [
        ("user", "question", "text"),
        ("user", "question", "text"),
        ("assistant", "answer", "text"),
        ("user", "question", "object_string"),
    ]
    assert json.loads(body["additional_messages"][3]["content"])[1] == {
        "type": "image",
        "file_url": "https://pictures.example/a.png",
    }
    assert body["meta_data"] == {"trace": "1"}
    assert body.keys().isdisjoint({"model", "temperature", "max_tokens", "messages"})
    (call,) = stage.gateway.live
    assert body["user_id"] == user_name(call.call.principal)
    assert "alice" not in body["user_id"]
    assert stage.tokens.needs == [(session_of(call.call.principal, ""), b"")]
    assert b"Authorization: Bearer czs_test0\r\n" in stage.coze.last.outbound.lines


def test_thoughts_are_told_apart_from_the_text(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, delta("", reasoning_content="Hm. "), delta("", reasoning_content="Yes."), delta("Yes."))
    stage.hear(completed(), complete=True)
    message = json.loads(caller.body)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Hm. Yes.", "Yes.")
    streamed, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("", reasoning_content="Hm."), delta("Yes."), completed(), complete=True)
    deltas = [one["choices"][0]["delta"] for one in chunks(streamed)]
    assert deltas[:3] == [{"role": "assistant", "content": ""}, {"reasoning_content": "Hm."}, {"content": "Yes."}]


def test_an_answer_that_comes_whole_is_told_and_what_the_bot_does_by_itself_is_not(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    finish = json.dumps({"msg_type": "generate_answer_finish", "data": '{"finish_reason":0,"FinData":""}'})
    stage.hear(
        CREATED,
        whole('{"name":"search"}', "function_call", message="5"),
        whole("found", "tool_response", message="6"),
        event("conversation.audio.delta", {"id": "9", "type": "answer", "content": "UklGRg=="}),
        whole("All at once.", message="7"),
        whole(finish, "verbose", message="8"),
        completed(),
        complete=True,
    )
    assert text_of(caller) == "All at once."


def test_every_cut_of_a_stream_with_and_without_spaces_gives_the_same_text(stage: CozeStage) -> None:
    said = event("conversation.message.delta", {"id": "1", "type": "answer", "content": "Grüße, 世界 🌍"}, space=True)
    text = CREATED + said + delta("ß") + completed()
    for size in (1, 2, 3, 5, 7, 64):
        caller, _ = stage.chat("Hi")
        for begin in range(0, len(text), size):
            stage.hear(text[begin : begin + size], complete=begin + size >= len(text))
        assert text_of(caller) == "Grüße, 世界 🌍ß"
        assert caller.state == "ended"


def test_a_stream_that_breaks_off_ends_in_an_error_and_coze_is_told_to_stop(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    exchange = stage.coze.last
    stage.hear(CREATED, delta("Hel"), delta("lo.")[:30])
    stage.hear(at=exchange, complete=True)
    assert caller.state == "aborted"
    assert text_of(caller) == "Hel"
    assert chunks(caller)[-1]["error"]["code"] == Code.UPSTREAM_TORN
    assert stage.coze.targets[-1] == "POST /v3/chat/cancel"
    assert stage.sent() == {"conversation_id": CONVERSATION, "chat_id": CHAT}
    stage.answer({"status": "canceled"})
    assert stage.trail.only.outcome == "torn"
    assert stage.at_rest()


def test_what_a_stream_still_says_after_an_event_that_cannot_be_read_is_not_mixed_in(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stream = stage.coze.last
    stage.hear(CREATED, delta("Hel"), b"event:conversation.message.delta\ndata:{\n\n")
    stage.hear(delta("o."), completed(), at=stream)
    stage.pass_time(1)
    assert stream.aborted
    stage.answer({"id": CHAT, "conversation_id": CONVERSATION, "status": "completed", "usage": usage(3, 4)})
    stage.answer([{"id": "1", "type": "answer", "content": "Hello."}])
    assert json.loads(caller.body)["choices"][0]["message"]["content"] == "Hello."


@pytest.mark.parametrize("broken", [b'event:conversation.message.delta\ndata:{"id":"1","typ\n\n', delta("x")[:25]])
def test_a_whole_answer_outlives_its_stream_by_asking_for_the_chat(stage: CozeStage, broken: bytes) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, delta("Hel"), broken, complete=True)
    assert len(stage.coze.exchanges) == 1
    stage.pass_time(0.75)
    assert len(stage.coze.exchanges) == 1, "Coze is asked once a second at most"
    stage.pass_time(0.25)
    query = f"?conversation_id={CONVERSATION}&chat_id={CHAT}"
    assert stage.coze.targets[-1] == f"GET /v3/chat/retrieve{query}"
    stage.answer({"id": CHAT, "conversation_id": CONVERSATION, "status": "in_progress"})
    stage.pass_time(1)
    stage.answer({"id": CHAT, "conversation_id": CONVERSATION, "status": "completed", "usage": usage(3, 4)})
    assert stage.coze.targets[-1] == f"GET /v3/chat/message/list{query}"
    stage.answer(
        [
            {"id": "0", "type": "verbose", "content": "{}"},
            {"id": "1", "role": "assistant", "type": "answer", "content": "Hello."},
            {"id": "2", "type": "follow_up", "content": "More?"},
        ]
    )
    answer = json.loads(caller.body)
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert (answer["usage"]["completion_tokens"], answer["coze"]["follow_ups"]) == (4, ["More?"])
    assert stage.at_rest()


def test_looks_in_vain_are_repeated_and_come_to_an_end(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED, complete=True)
    for _ in range(5):
        stage.pass_time(1)
        stage.answer(code=5000, msg="internal", status=500)
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (502, "coze_failed")
    assert stage.coze.targets[-1] == "POST /v3/chat/cancel"
    stage.answer({"status": "canceled"})
    assert stage.at_rest()


def test_a_chat_that_fails_before_its_text_has_a_status_and_after_it_an_error_in_the_stream(stage: CozeStage) -> None:
    failed = chat_event("failed", last_error={"code": 4105, "msg": "sensitive"}) + DONE
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, failed, complete=True)
    error = json.loads(caller.body)["error"]
    assert (caller.status, error["code"], error["type"]) == (400, "content_filter", "invalid_request_error")
    assert "4105" in error["message"]
    late, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"), failed, complete=True)
    assert chunks(late)[-1]["error"]["code"] == Code.UPSTREAM_FAILED
    assert "Coze's code 4105): sensitive" in chunks(late)[-1]["error"]["message"]
    assert text_of(late) == "Hel"
    assert "cancel" not in "".join(stage.coze.targets)


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"code": 5000, "msg": "event interval error"}, 500, "coze_failed"),
        ({}, 500, "coze_failed"),
        ({"code": 4020, "msg": "slow down"}, 429, "rate_limit_exceeded"),
    ],
)
def test_an_error_event_is_an_error(stage: CozeStage, said: dict[str, object], status: int, code: str) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, event("error", said), DONE, complete=True)
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (status, code)


def test_what_coze_says_amid_a_stream_ends_in_one_full_stop(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"), event("error", {"code": 5000, "msg": "Internal error."}), DONE, complete=True)
    assert chunks(caller)[-1]["error"]["message"].endswith("Coze's code 5000): Internal error.")


def test_a_chat_cancelled_at_coze_is_no_answer(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("Hel"), chat_event("canceled"), DONE, complete=True)
    assert chunks(caller)[-1]["error"]["code"] == Code.UPSTREAM_FAILED
    assert caller.state == "aborted"


def test_what_coze_cannot_do_is_refused_before_it_is_asked(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stop=["\n"])
    error = json.loads(caller.body)["error"]
    assert (caller.status, error["param"], error["type"]) == (400, "stop", "invalid_request_error")
    assert not stage.coze.exchanges
    assert stage.at_rest()


def test_more_messages_than_coze_takes_are_refused_and_none_is_left_out(stage: CozeStage) -> None:
    caller, _ = stage.chat(*["Hi"] * 101)
    assert caller.status == 400
    assert not stage.coze.exchanges
    stage.chat(*["Hi"] * 100)
    assert len(stage.sent()["additional_messages"]) == 100


def test_an_answer_without_bounds_is_not_gathered(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi", stream=False)
    stage.hear(CREATED)
    for _ in range(9):
        stage.hear(delta("x" * 500_000))
        if caller.state != "waiting":
            break
    assert (caller.status, json.loads(caller.body)["error"]["code"]) == (502, Code.UPSTREAM_TORN)
    assert stage.coze.targets[-1] == "POST /v3/chat/cancel"


def test_an_event_without_an_end_is_not_gathered(stage: CozeStage) -> None:
    caller, _ = stage.chat("Hi")
    stage.hear(CREATED, delta("a"), b"event:conversation.message.delta\ndata:" + b"x" * 1_100_000)
    assert chunks(caller)[-1]["error"]["code"] == Code.UPSTREAM_TORN


def test_the_aim_of_a_face_chooses_session_and_conversation_and_the_model_the_bot(stage: CozeStage) -> None:
    stage.chat("Hi", aim=Aim("chat", BOT, label="work", alias=f"bot:{BOT}"))
    (call,) = stage.gateway.live
    assert stage.tokens.needs == [(session_of(call.call.principal, "work"), b"")]

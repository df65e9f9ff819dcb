"""The official `cozepy` SDK against Coze's stand-in: the flows that it has for the real one go through here too."""

import json
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import APP_SECRET, BOT_ID, REDIRECT_URI, WORKFLOW_ID, WORKSPACE_ID
from jotgate.testing.coze_values import Fault, Interrupt, Reply, ToolCall, Workflow
from tests.coze_clients import CozeClients, clients_of, cozepy, moment

_ASKED = [cozepy.Message.build_user_question_text("Wie spät ist es in 東京?")]
_SAID = "You said: Wie spät ist es in 東京?"


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def clients(server: CozeServer) -> Iterator[CozeClients]:
    with clients_of(server) as made:
        yield made


def text_of(stream: Iterable[cozepy.ChatEvent]) -> str:
    """What the deltas of a stream make; the stream is read to its end."""
    pieces = [
        event.message.content or ""
        for event in stream
        if event.event == cozepy.ChatEventType.CONVERSATION_MESSAGE_DELTA and event.message is not None
    ]
    return "".join(pieces)


def test_a_token_for_a_jwt_keeps_its_session_and_says_when_it_ends(server: CozeServer, clients: CozeClients) -> None:
    token = clients.jwt_app().get_access_token(ttl=600, session_name="alice")
    assert token.access_token.startswith("czs_")
    assert token.refresh_token == ""
    assert 590 <= token.expires_in - moment() <= 600
    text_of(clients.coze(token.access_token).chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED))
    assert [(chat.session, chat.user_id) for chat in server.chats] == [("alice", "u")]
    assert server.exchanges_by_session == {"alice": 1}


def test_a_jwt_by_a_key_that_was_deleted_gets_no_token(server: CozeServer, clients: CozeClients) -> None:
    app = clients.jwt_app()
    old = server.key_id
    server.add_key()
    assert app.get_access_token().access_token
    server.drop_key(old)
    with pytest.raises(cozepy.CozeAPIError, match="kid not been registred"):
        app.get_access_token()


def test_a_scope_of_bots_holds(server: CozeServer, clients: CozeClients) -> None:
    scope = cozepy.Scope.build_bot_chat(["7300000000000000002"])
    token = clients.jwt_app().get_access_token(scope=scope).access_token
    with pytest.raises(cozepy.CozeAPIError) as caught:
        clients.coze(token).chat.create(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    assert caught.value.code == 4101


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("chunk_bytes", [0, 1, 7])
def test_a_streamed_chat_is_whole_however_it_is_written(
    server: CozeServer, clients: CozeClients, spaces: bool, chunk_bytes: int
) -> None:
    server.spaces, server.chunk_bytes = spaces, chunk_bytes
    events = list(clients.coze().chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED))
    assert text_of(events) == _SAID
    assert [event.event.value for event in events][:2] == ["conversation.chat.created", "conversation.chat.in_progress"]
    assert events[-1].chat is not None
    assert events[-1].chat.usage is not None
    assert (events[-1].chat.status.value, events[-1].chat.usage.token_count) == ("completed", 18)
    assert server.running == 0


def test_a_chat_is_looked_at_until_it_is_over(server: CozeServer, clients: CozeClients) -> None:
    server.poll_delay = 0
    server.replies.append(Reply(pieces=("Ja", "."), follow_ups=("Warum?",), reasoning=("Hm.",)))
    polled = clients.coze().chat.create_and_poll(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    assert polled.chat.status == cozepy.ChatStatus.COMPLETED
    assert polled.messages is not None
    found = [(message.type.value, message.content) for message in polled.messages if message.type.value != "verbose"]
    assert found == [("answer", "Ja."), ("follow_up", "Warum?")]
    assert polled.messages[0].reasoning_content == "Hm."


def test_a_chat_is_heard(server: CozeServer, clients: CozeClients) -> None:
    server.replies.append(Reply(pieces=("Ja.",), audio=("AAAA", "AQEB")))
    events = clients.coze().chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    heard = [event.message for event in events if event.event == cozepy.ChatEventType.CONVERSATION_AUDIO_DELTA]
    assert [message.content for message in heard if message is not None] == ["AAAA", "AQEB"]


def test_a_failed_chat_says_why(server: CozeServer, clients: CozeClients) -> None:
    server.replies.append(Reply(pieces=(), failure=(5000, "event interval error")))
    *_, last = clients.coze().chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    assert last.event == cozepy.ChatEventType.CONVERSATION_CHAT_FAILED
    assert last.chat is not None
    assert last.chat.last_error == cozepy.ChatError(code=5000, msg="event interval error")


@pytest.mark.parametrize("streamed", [True, False])
def test_tools_are_asked_for_and_their_outputs_handed_in(
    server: CozeServer, clients: CozeClients, streamed: bool
) -> None:
    server.replies.append(
        Reply(pieces=("12 ", "°C"), tool_calls=(ToolCall(name="weather", arguments='{"in":"Wien"}'),))
    )
    chats = clients.coze().chat
    *_, stopped = chats.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    assert stopped.event == cozepy.ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION
    chat = stopped.chat
    assert chat is not None
    assert chat.required_action is not None
    (call,) = chat.required_action.submit_tool_outputs.tool_calls
    assert call.function is not None
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"in": "Wien"})
    outputs = [cozepy.ToolOutput(tool_call_id=call.id, output="12")]
    names = {"conversation_id": chat.conversation_id, "chat_id": chat.id}
    server.poll_delay = 0
    if streamed:
        stream = chats.submit_tool_outputs(**names, tool_outputs=outputs, stream=True)
        assert isinstance(stream, cozepy.Stream)
        assert text_of(stream) == "12 °C"
    else:
        chats.submit_tool_outputs(**names, tool_outputs=outputs, stream=False)
        assert chats.retrieve(**names).status == cozepy.ChatStatus.COMPLETED
        assert [one.content for one in chats.messages.list(**names) if one.type.value == "answer"] == ["12 °C"]
    assert server.outputs == [(chat.id, call.id, "12")]


def test_a_chat_is_canceled_once(server: CozeServer, clients: CozeClients) -> None:
    chats = clients.coze().chat
    chat = chats.create(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED)
    names = {"conversation_id": chat.conversation_id or "", "chat_id": chat.id}
    assert server.running == 1
    assert chats.cancel(**names).status == cozepy.ChatStatus.CANCELED
    assert (server.running, server.cancels) == (0, [(chat.conversation_id, chat.id)])
    with pytest.raises(cozepy.CozeAPIError) as caught:
        chats.cancel(**names)
    assert caught.value.code == 4104


def test_a_conversation_keeps_what_was_said(server: CozeServer, clients: CozeClients) -> None:
    coze = clients.coze(clients.jwt_app().get_access_token(session_name="alice").access_token)
    made = coze.conversations.create(bot_id=BOT_ID, name="one", meta_data={"a": "b"})
    assert (made.name, made.meta_data, server.conversations_of("alice")) == ("one", {"a": "b"}, (made.id,))
    put = coze.conversations.messages.create(
        conversation_id=made.id,
        role=cozepy.MessageRole.USER,
        content="first",
        content_type=cozepy.MessageContentType.TEXT,
    )
    text_of(coze.chat.stream(bot_id=BOT_ID, user_id="u", conversation_id=made.id, additional_messages=_ASKED))
    found = list(coze.conversations.messages.list(conversation_id=made.id, order="asc", limit=2))
    assert [message.content for message in found] == ["first", _ASKED[0].content, _SAID]
    changed = coze.conversations.messages.update(conversation_id=made.id, message_id=put.id, content="1st")
    assert changed.content == "1st"
    assert coze.conversations.messages.retrieve(conversation_id=made.id, message_id=put.id).content == "1st"
    coze.conversations.messages.delete(conversation_id=made.id, message_id=put.id)
    assert len(list(coze.conversations.messages.list(conversation_id=made.id))) == 2


def test_conversations_are_listed_for_their_session_alone(server: CozeServer, clients: CozeClients) -> None:
    tokens = {name: clients.jwt_app().get_access_token(session_name=name).access_token for name in ("alice", "bob")}
    for token in tokens.values():
        clients.coze(token).conversations.create(bot_id=BOT_ID)
    alice = clients.coze(tokens["alice"]).conversations
    (mine,) = alice.list(bot_id=BOT_ID)
    assert (mine.id,) == server.conversations_of("alice")
    assert alice.clear(conversation_id=mine.id).id != mine.last_section_id
    assert alice.update(conversation_id=mine.id, name="two").name == "two"
    alice.delete(conversation_id=mine.id)
    assert list(alice.list(bot_id=BOT_ID)) == []
    with pytest.raises(cozepy.CozeAPIError) as caught:
        alice.retrieve(conversation_id=mine.id)
    assert caught.value.code == 4002
    assert len(server.conversations_of("bob")) == 1


def test_a_workflow_runs_at_once_and_in_the_background(server: CozeServer, clients: CozeClients) -> None:
    runs = clients.coze().workflows.runs
    result = runs.create(workflow_id=WORKFLOW_ID, parameters={"input": "ä"})
    assert json.loads(json.loads(result.data or "")["output"]) == {"input": "ä"}
    begun = runs.create(workflow_id=WORKFLOW_ID, parameters={"input": "b"}, is_async=True)
    names = {"workflow_id": WORKFLOW_ID, "execute_id": begun.execute_id or ""}
    looks = [runs.run_histories.retrieve(**names) for _ in range(2)]
    assert [look.execute_status.value for look in looks] == ["Running", "Success"]
    assert json.loads(json.loads(looks[1].output)["output"]) == {"input": "b"}
    assert [run.way for run in server.runs] == ["sync", "async"]


def test_a_streamed_workflow_asks_and_goes_on(server: CozeServer, clients: CozeClients) -> None:
    asking = Workflow(workflow_id=WORKFLOW_ID, interrupts=(Interrupt(), Interrupt(kind=5, question="", data="name?")))
    server.workflows[WORKFLOW_ID] = asking
    runs = clients.coze().workflows.runs
    stream = runs.stream(workflow_id=WORKFLOW_ID, parameters={"input": "x"})
    for kind, said in ((2, "Ann"), (5, "Bert")):
        *before, last = stream
        assert last.interrupt is not None
        assert last.interrupt.interrupt_data.type == kind
        assert [event.event for event in before] == [cozepy.WorkflowEventType.MESSAGE] * len(before)
        stream = runs.resume(
            workflow_id=WORKFLOW_ID,
            event_id=last.interrupt.interrupt_data.event_id,
            resume_data=said,
            interrupt_type=kind,
        )
    (end,) = stream
    assert end.message is not None
    assert json.loads(end.message.content) == {"output": "Bert"}
    assert [(run.way, run.told) for run in server.runs] == [("stream", ""), ("resume", "Ann"), ("resume", "Bert")]


def test_a_workflow_that_fails_says_why(server: CozeServer, clients: CozeClients) -> None:
    server.workflows[WORKFLOW_ID] = Workflow(workflow_id=WORKFLOW_ID, failure=(5000, "node failed"))
    runs = clients.coze().workflows.runs
    *_, last = runs.stream(workflow_id=WORKFLOW_ID)
    assert last.error == cozepy.WorkflowEventError(error_code=5000, error_message="node failed")
    with pytest.raises(cozepy.CozeAPIError, match="node failed"):
        runs.create(workflow_id=WORKFLOW_ID)


def test_a_workflow_chats(server: CozeServer, clients: CozeClients) -> None:
    stream = clients.coze().workflows.chat.stream(
        workflow_id=WORKFLOW_ID, bot_id=BOT_ID, additional_messages=_ASKED, parameters={"a": 1}
    )
    assert text_of(stream) == _SAID
    assert server.chats[0].workflow_id == WORKFLOW_ID


def test_a_device_waits_for_its_user(server: CozeServer, clients: CozeClients) -> None:
    app = clients.device_app()
    code = app.get_device_code()
    assert (code.interval, code.expires_in) == (5, 300)
    with pytest.raises(cozepy.CozePKCEAuthError) as pending:
        app.get_access_token(code.device_code)
    assert pending.value.error == cozepy.CozePKCEAuthErrorType.AUTHORIZATION_PENDING
    with pytest.raises(cozepy.CozePKCEAuthError) as early:
        app.get_access_token(code.device_code)
    assert early.value.error == cozepy.CozePKCEAuthErrorType.SLOW_DOWN
    server.advance(10)
    server.approve(code.user_code)
    token = app.get_access_token(code.device_code)
    assert clients.coze(token.access_token).users.me().user_name == "standin"
    again = app.refresh_access_token(token.refresh_token)
    assert again.access_token != token.access_token
    with pytest.raises(cozepy.CozeAPIError, match="refresh_token"):
        app.refresh_access_token(token.refresh_token)


@pytest.mark.parametrize(("state", "error"), [("denied", "access_denied"), ("late", "expired_token")])
def test_a_device_is_told_that_it_gets_nothing(
    server: CozeServer, clients: CozeClients, state: str, error: str
) -> None:
    app = clients.device_app()
    code = app.get_device_code(workspace_id=WORKSPACE_ID)
    if state == "denied":
        server.deny(code.user_code)
    else:
        server.advance(301)
    with pytest.raises(cozepy.CozePKCEAuthError) as caught:
        app.get_access_token(code.device_code)
    assert caught.value.error.value == error


def code_from(url: str) -> str:
    """The code that a browser brings back from there."""
    with httpx2.Client(timeout=10) as browser:
        location = browser.get(url).headers["location"]
    assert location.startswith(f"{REDIRECT_URI}?")
    query = dict(parse_qsl(urlsplit(location).query))
    assert query["state"] == "s t"
    return query["code"]


@pytest.mark.parametrize("method", ["plain", "S256"])
def test_a_user_agrees_and_the_verifier_proves_who_asked(clients: CozeClients, method: str) -> None:
    app = clients.pkce_app()
    url = app.get_oauth_url(REDIRECT_URI, "v" * 43, method, "s t")  # type: ignore[arg-type]
    with pytest.raises(cozepy.CozeAPIError, match="code_verifier"):
        app.get_access_token(REDIRECT_URI, code_from(url), "w" * 43)
    code = code_from(url)
    token = app.get_access_token(REDIRECT_URI, code, "v" * 43)
    assert clients.coze(token.access_token).users.me().user_id
    assert app.refresh_access_token(token.refresh_token).access_token.startswith("czu_")
    with pytest.raises(cozepy.CozeAPIError, match="code"):
        app.get_access_token(REDIRECT_URI, code, "v" * 43)


def test_a_code_without_pkce_needs_the_client_secret(clients: CozeClients) -> None:
    good, bad = clients.web_app(APP_SECRET), clients.web_app("guessed")
    with pytest.raises(cozepy.CozeAPIError, match="client secret"):
        bad.get_access_token(REDIRECT_URI, code_from(bad.get_oauth_url(REDIRECT_URI, "s t")))
    code = code_from(good.get_oauth_url(REDIRECT_URI, "s t", WORKSPACE_ID))
    assert good.get_access_token(REDIRECT_URI, code).refresh_token


def test_bots_are_listed_and_files_are_taken(server: CozeServer, clients: CozeClients) -> None:
    coze = clients.coze()
    for version in (1, 2):
        assert [bot.bot_id for bot in coze.bots.list(space_id=WORKSPACE_ID, use_api_version=version)] == [BOT_ID]
    assert coze.bots.retrieve(bot_id=BOT_ID).name == "Stand-in"
    kept = coze.files.upload(file=("a.png", b"\x89PNG\r\n\x1a\n"))
    assert server.uploads == {kept.id: b"\x89PNG\r\n\x1a\n"}
    assert coze.files.retrieve(file_id=kept.id).file_name == "a.png"
    image = cozepy.MessageObjectString.build_image(file_id=kept.id)
    asked = cozepy.Message.build_user_question_objects([cozepy.MessageObjectString.build_text("What is it?"), image])
    stream = coze.chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=[asked])
    assert text_of(stream) == "You said: What is it? (and 1 files)"
    assert server.chats[0].content_type == "object_string"


def test_an_event_of_an_error_is_one(server: CozeServer, clients: CozeClients) -> None:
    server.faults.append(Fault(ill="error_event", code=5000))
    with pytest.raises(Exception, match="error event"):
        text_of(clients.coze().chat.stream(bot_id=BOT_ID, user_id="u", additional_messages=_ASKED))

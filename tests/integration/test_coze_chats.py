"""Bots of Coze through a running gateway: the SDK of OpenAI at one end, Coze's stand-in at the other."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from jotgate.core.coze_replies import Tokens
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import BOT_ID, PAT
from jotgate.testing.coze_values import Bot, Fault, Reply, ToolCall
from jotgate.testing.running import Gateway, running_gateway, until
from jotgate.testing.upstream import Gate
from tests.integration.exchanges import record_of

_HIDDEN_BOT: Final = "7300000000000000002"
_HELLO: Final[Any] = [{"role": "user", "content": "Hello."}]
_TEXT: Final = ("Grü", "ße aus 東", "京 \U0001f600", "\u2028.")
_USAGE: Final = Tokens(11, 7)


@pytest.fixture(scope="module")
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        running.bots[_HIDDEN_BOT] = Bot(bot_id=_HIDDEN_BOT, published=False)
        yield running


@pytest.fixture(scope="module")
def gateway(server: CozeServer) -> Iterator[Gateway]:
    settings = (
        '[[upstreams]]\nname = "coze"\nkind = "coze"\ncredential_env = "COZE_API_KEY"\n'
        f'base_url = "{server.url}"\nmodels = {{ "gpt-3.5-turbo" = "bot:{BOT_ID}", hidden = "bot:{_HIDDEN_BOT}" }}\n'
    )
    with running_gateway(settings, "--workers", "2", environment={"COZE_API_KEY": PAT}) as running:
        yield running


@pytest.fixture(scope="module")
def ann(gateway: Gateway) -> Iterator[OpenAI]:
    with client_of(gateway, "ann") as made:
        yield made


def client_of(gateway: Gateway, subject: str) -> OpenAI:
    return OpenAI(api_key=gateway.token(subject=subject), base_url=f"{gateway.url}/v1", max_retries=0, timeout=30.0)


def ask(client: OpenAI, **members: Any) -> Any:
    return client.chat.completions.create(**{"model": "gpt-3.5-turbo", "messages": _HELLO, **members})


def test_a_whole_answer(gateway: Gateway, ann: OpenAI, server: CozeServer) -> None:
    server.replies.append(Reply(pieces=_TEXT, reasoning=("Hm", "."), follow_ups=("And now?",)))
    answer = ask(ann, extra_headers={"X-Request-Id": "coze-whole"})
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("".join(_TEXT), "stop")
    assert choice.message.reasoning_content == "Hm."
    assert answer.usage.to_dict() == _USAGE.told()
    assert (answer.model, answer.coze["follow_ups"]) == ("gpt-3.5-turbo", ["And now?"])
    record = record_of(gateway, "coze-whole")
    assert (record["tokens_in"], record["tokens_out"], record["upstream"]) == (11, 7, "coze")
    seen = server.chats[-1]
    assert (seen.bot_id, seen.query, seen.stream) == (BOT_ID, "Hello.", True)
    assert "ann" not in seen.user_id


@pytest.mark.parametrize(("spaces", "chunk_bytes"), [(None, 0), (False, 1), (True, 7)])
def test_a_stream_is_exactly_what_the_bot_says_wherever_its_bytes_are_cut(
    ann: OpenAI, server: CozeServer, *, spaces: bool | None, chunk_bytes: int
) -> None:
    server.replies.append(Reply(pieces=_TEXT))
    server.spaces, server.chunk_bytes = spaces, chunk_bytes
    with ask(ann, stream=True, stream_options={"include_usage": True}) as stream:
        *said, last = list(stream)
    server.spaces, server.chunk_bytes = None, 0
    assert (said[0].choices[0].delta.role, said[0].choices[0].delta.content) == ("assistant", "")
    assert "".join(one.choices[0].delta.content or "" for one in said) == "".join(_TEXT)
    assert [one.choices[0].finish_reason for one in said if one.choices[0].finish_reason] == ["stop"]
    assert len({one.id for one in (*said, last)}) == 1
    assert last.usage.to_dict() == _USAGE.told()


def test_many_at_once_each_get_their_own(gateway: Gateway) -> None:
    async def talk() -> list[str]:
        async with AsyncOpenAI(
            api_key=gateway.token(subject="ann"), base_url=f"{gateway.url}/v1", max_retries=0
        ) as client:

            async def one(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"call {number}"}]
                if number % 2:
                    answer = await client.chat.completions.create(model="gpt-3.5-turbo", messages=messages)
                    return answer.choices[0].message.content or ""
                stream = await client.chat.completions.create(model="gpt-3.5-turbo", messages=messages, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*map(one, range(30)))

    assert asyncio.run(talk()) == [f"You said: call {number}" for number in range(30)]


def test_tools_are_run_by_the_caller_and_the_same_chat_goes_on(
    gateway: Gateway, ann: OpenAI, server: CozeServer
) -> None:
    tools = (ToolCall(name="weather", arguments='{"city":"Oslo"}'), ToolCall(name="time"))
    server.replies.append(Reply(tool_calls=tools, pieces=("Take an ", "umbrella.")))
    first = ask(ann)
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls
    assert [(one.function.name, one.function.arguments) for one in calls] == [
        ("weather", '{"city":"Oslo"}'),
        ("time", "{}"),
    ]
    outputs = [{"role": "tool", "tool_call_id": one.id, "content": f"output of {one.function.name}"} for one in calls]
    messages = [*_HELLO, first.choices[0].message.to_dict(), *reversed(outputs)]
    with client_of(gateway, "bob") as bob, pytest.raises(openai.BadRequestError, match="no chat waits"):
        ask(bob, messages=messages)
    with ask(ann, messages=messages, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Take an umbrella."
    assert server.count("/v3/chat/submit_tool_outputs") == 1
    assert first.coze["chat_id"] == server.chats[-1].chat_id
    assert server.status_of(first.coze["chat_id"]) == "completed"


@pytest.mark.parametrize("ill", ["drop", "reset", "malformed", "end", "error_event"])
def test_a_stream_that_goes_wrong_ends_in_an_error_and_never_in_text(
    ann: OpenAI, server: CozeServer, *, ill: Any
) -> None:
    server.replies.append(Reply(pieces=_TEXT))
    server.faults.append(Fault(ill=ill, code=5000, after=2))
    said: list[str] = []
    with ask(ann, stream=True) as stream, pytest.raises(openai.APIError):
        said.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(_TEXT).startswith("".join(said))
    assert "".join(said)


@pytest.mark.parametrize("ill", ["drop", "malformed"])
def test_a_whole_answer_comes_although_its_stream_went_wrong(ann: OpenAI, server: CozeServer, *, ill: Any) -> None:
    server.replies.append(Reply(pieces=_TEXT, follow_ups=("And now?",)))
    server.faults.append(Fault(ill=ill, after=2))
    before = server.count("/v3/chat/message/list")
    answer = ask(ann)
    assert answer.choices[0].message.content == "".join(_TEXT)
    assert (answer.usage.to_dict(), answer.coze["follow_ups"]) == (_USAGE.told(), ["And now?"])
    assert server.count("/v3/chat/message/list") == before + 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault(code=4016), openai.ConflictError, "conversation_busy"),
        (Fault(code=4105), openai.BadRequestError, "content_filter"),
        (Fault(code=4020, status=429, lines=(b"Retry-After: 3",)), openai.RateLimitError, "rate_limit_exceeded"),
        (Fault(code=4101), openai.InternalServerError, "upstream_refused"),
        (Fault(ill="page", status=502), openai.InternalServerError, "coze_failed"),
    ],
)
def test_what_coze_refuses_is_an_error_that_the_sdk_knows(
    ann: OpenAI, server: CozeServer, *, fault: Fault, error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    server.faults.append(fault)
    with pytest.raises(error) as refused:
        ask(ann, stream=stream)
    assert refused.value.code == code
    if code == "rate_limit_exceeded":
        assert refused.value.response.headers["retry-after"] == "3"


def test_a_bot_that_is_not_published_is_no_model(ann: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="4015"):
        ask(ann, model="hidden")


def test_a_chat_that_fails_has_a_status_or_an_error_in_its_stream(ann: OpenAI, server: CozeServer) -> None:
    server.replies += [Reply(pieces=(), failure=(4105, "no")), Reply(pieces=("Hel",), failure=(5000, "interval error"))]
    with pytest.raises(openai.BadRequestError, match="4105"):
        ask(ann, stream=True)
    with pytest.raises(openai.APIError, match="5000"), ask(ann, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hel"


def test_coze_is_told_to_stop_when_the_caller_leaves(gateway: Gateway, ann: OpenAI, server: CozeServer) -> None:
    gate = Gate()
    server.replies.append(Reply(gate=gate, gate_at=1))
    before = len(server.cancels)
    with ask(ann, stream=True, extra_headers={"X-Request-Id": "coze-left"}) as stream:
        assert next(iter(stream)).choices[0].delta.role == "assistant"
    until(lambda: len(server.cancels) > before, "Coze is told to stop")
    gate.open()
    assert record_of(gateway, "coze-left")["outcome"] == "caller_gone"
    assert server.status_of(server.chats[-1].chat_id) == "canceled"


def test_the_credential_of_coze_stands_nowhere_that_jotgate_wrote(gateway: Gateway) -> None:
    written = [path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()]
    assert not any(PAT.encode() in one for one in (*written, gateway.errors.encode()))

"""The official `openai` SDK through a running gateway: every answer it can get from `echo`, every error it raises."""

import asyncio
import base64
import os
import re
import signal
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from jotgate.jose.keys import generate, signing_key_from_pem
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import Gateway, running_gateway, until
from tests.integration.exchanges import Caller, record_of

_HELLO: Any = [{"role": "user", "content": "one two three"}]
_SMALL_BUFFER = "[limits]\naudit_rows = 64\n"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """One gateway for all tests that leave it as it is."""
    with running_gateway() as running:
        yield running


@pytest.fixture
def connect(gateway: Gateway) -> Iterator[Callable[..., OpenAI]]:
    """Make SDK clients of the gateway; a refused request is not sent again."""
    clients: list[OpenAI] = []

    def make(token: str | None = None, **options: Any) -> OpenAI:
        chosen = {"base_url": f"{gateway.url}/v1", "max_retries": 0, "timeout": 20.0, **options}
        clients.append(OpenAI(api_key=gateway.token() if token is None else token, **chosen))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


Connect = Callable[..., OpenAI]


def test_a_completion(connect: Connect) -> None:
    completion = connect().chat.completions.create(model="echo", messages=_HELLO)
    assert completion.choices[0].message.content == "one two three"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 3)


def test_a_stream_tells_its_usage_in_the_last_chunk_and_in_the_audit_record(gateway: Gateway, connect: Connect) -> None:
    with connect().chat.completions.create(
        model="echo",
        messages=_HELLO,
        max_tokens=2,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"X-Request-Id": "sdk-stream"},
    ) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "one two"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 2)
    record = record_of(gateway, "sdk-stream")
    assert (record["tokens_in"], record["tokens_out"], record["stream"]) == (3, 2, True)
    assert (record["operation"], record["outcome"], record["subject"]) == ("chat.completions", "complete", "tester")


def test_a_stream_without_asking_has_no_usage(gateway: Gateway, connect: Connect) -> None:
    headers = {"X-Request-Id": "sdk-plain-stream"}
    with connect().chat.completions.create(model="echo", messages=_HELLO, stream=True, extra_headers=headers) as stream:
        assert all(chunk.usage is None for chunk in stream)
    assert "tokens_in" not in record_of(gateway, "sdk-plain-stream")


def test_the_async_client(gateway: Gateway) -> None:
    async def talk() -> tuple[list[str], str]:
        async with AsyncOpenAI(api_key=gateway.token(), base_url=f"{gateway.url}/v1", max_retries=0) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="echo", messages=[{"role": "user", "content": f"call {number}"}]
                    )
                    for number in range(20)
                )
            )
            stream = await client.chat.completions.create(model="echo", messages=_HELLO, stream=True)
            async with stream:
                streamed = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return [answer.choices[0].message.content or "" for answer in answers], "".join(streamed)

    answers, streamed = asyncio.run(talk())
    assert answers == [f"call {number}" for number in range(20)]
    assert streamed == "one two three"


def test_embeddings_are_the_same_numbers_as_base64_and_as_floats(connect: Connect) -> None:
    client = connect()
    texts = ["one two", "three"]
    decoded = client.embeddings.create(model="echo", input=texts)
    asked = client.embeddings.create(model="echo", input=texts, encoding_format="float")
    raw: Any = client.embeddings.create(model="echo", input=texts, encoding_format="base64").data[0].embedding
    assert [row.embedding for row in decoded.data] == [row.embedding for row in asked.data]
    assert list(struct.unpack("<16f", base64.b64decode(raw))) == decoded.data[0].embedding
    assert decoded.usage.prompt_tokens == 3


def test_legacy_completions(gateway: Gateway, connect: Connect) -> None:
    client = connect()
    completion = client.completions.create(model="echo", prompt="one two")
    assert completion.choices[0].text == "one two"
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    headers = {"X-Request-Id": "sdk-legacy"}
    with client.completions.create(model="echo", prompt="one two", extra_headers=headers, **options) as stream:
        chunks: list[Any] = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "one two"
    assert chunks[-1].usage.completion_tokens == 2
    assert record_of(gateway, "sdk-legacy")["tokens_out"] == 2


def test_models(connect: Connect) -> None:
    client = connect()
    assert [model.id for model in client.models.list()] == ["echo"]
    assert client.models.retrieve("echo").id == "echo"


def own_issuer(gateway: Gateway, now_s: float) -> TestIssuer:
    """An issuer with the gateway's own signing key."""
    directory = gateway.data / "keys"
    (pem,) = directory.glob("*.pem")
    key = signing_key_from_pem(pem.read_bytes(), "ES256")
    return TestIssuer(key, "http://127.0.0.1:" + gateway.url.rpartition(":")[2], gateway.url, now_s)


@pytest.mark.parametrize("wrong", ["none", "expired", "foreign", "no_token_at_all"])
def test_a_token_that_is_not_good_is_an_authentication_error(gateway: Gateway, connect: Connect, wrong: str) -> None:
    issuer = own_issuer(gateway, time.time())
    stranger = TestIssuer(generate("ES256"), issuer.issuer, issuer.audience, issuer.now_s)
    tokens = {
        "none": ("", "token_missing"),
        "expired": (issuer.expired().decode(), "token_expired"),
        "foreign": (stranger.token().decode(), "key_unknown"),
        "no_token_at_all": ("sk-an-api-key-of-another-kind", "token_malformed"),
    }
    token, code = tokens[wrong]
    # The SDK sends no Authorization field at all only when it is told to leave it out.
    headers: Any = {"Authorization": openai.Omit()} if not token else {}
    with pytest.raises(openai.AuthenticationError) as raised:
        connect(token or "unused").chat.completions.create(model="echo", messages=_HELLO, extra_headers=headers)
    error = raised.value
    assert (error.status_code, error.code, error.type, error.param) == (401, code, "authentication_error", None)
    assert "create a new token" in error.message or "jotgate token create" in error.message
    challenge = error.response.headers["www-authenticate"]
    if wrong == "none":
        metadata = f"{gateway.url}/.well-known/oauth-protected-resource"
        assert challenge == f'Bearer realm="jotgate", resource_metadata="{metadata}"'
    else:
        assert challenge.startswith('Bearer realm="jotgate", error="invalid_token", error_description="')


def test_a_scope_that_is_missing_is_a_permission_error(gateway: Gateway, connect: Connect) -> None:
    client = connect(gateway.token("--scope", "embeddings"))
    assert client.embeddings.create(model="echo", input="fine").data
    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(model="echo", messages=_HELLO)
    assert (raised.value.code, raised.value.type) == ("insufficient_scope", "permission_error")
    assert "--scope chat.completions" in raised.value.message
    challenge = raised.value.response.headers["www-authenticate"]
    parameters = re.findall(r'([a-z_]+)="([^"\\]+)"', challenge)
    assert [name for name, _ in parameters] == ["realm", "error", "error_description", "scope", "resource_metadata"]
    assert challenge == "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters)
    assert (dict(parameters)["error"], dict(parameters)["scope"]) == ("insufficient_scope", "chat.completions")


def test_a_model_outside_the_claim_is_a_permission_error(gateway: Gateway, connect: Connect) -> None:
    client = connect(gateway.token("--model", "another"))
    for refused in (
        lambda: client.chat.completions.create(model="echo", messages=_HELLO),
        lambda: client.models.retrieve("echo"),
    ):
        with pytest.raises(openai.PermissionDeniedError) as raised:
            refused()
        assert raised.value.code == "model_not_permitted"
    assert list(client.models.list()) == []


def test_an_unknown_model_or_path_is_a_not_found_error(gateway: Gateway, connect: Connect) -> None:
    client = connect()
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-nowhere", messages=_HELLO)
    assert (raised.value.code, raised.value.type) == ("model_not_found", "invalid_request_error")
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-nowhere")
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as raised:
        client.files.list()
    assert raised.value.code == "unknown_operation"
    with pytest.raises(openai.NotFoundError) as raised:
        connect(base_url=gateway.url).chat.completions.create(model="echo", messages=_HELLO)
    assert "docs/operations.md" in raised.value.message


def test_a_body_at_fault_is_a_bad_request_error_that_names_the_member(connect: Connect) -> None:
    wrong: Any = {"model": ""}
    with pytest.raises(openai.BadRequestError) as raised:
        connect().chat.completions.create(messages=_HELLO, **wrong)
    assert (raised.value.code, raised.value.param) == ("request_malformed", "model")
    wrong = {"stream": "yes"}
    with pytest.raises(openai.BadRequestError) as raised:
        connect().chat.completions.create(model="echo", messages=_HELLO, extra_body=wrong)
    assert (raised.value.code, raised.value.param) == ("request_malformed", "stream")


def test_the_sdk_tries_again_when_the_audit_log_is_back() -> None:
    """`audit_unavailable` is a 503 with Retry-After; the SDK waits for as long as it says, and gets its answer."""
    with running_gateway(_SMALL_BUFFER) as gateway:
        control, token = gateway.pids["control"], gateway.token()
        os.kill(control, signal.SIGSTOP)
        caller = Caller(gateway, token)
        until(lambda: caller.chat().status == 503, "the audit buffer is full")
        assert caller.chat().code == "audit_unavailable"
        seen: list[tuple[int, str | None]] = []

        def wake_control(response: httpx2.Response) -> None:
            seen.append((response.status_code, response.headers.get("retry-after")))
            os.kill(control, signal.SIGCONT)

        http_client = openai.DefaultHttpxClient(event_hooks={"response": [wake_control]})
        with OpenAI(api_key=token, base_url=f"{gateway.url}/v1", max_retries=5, http_client=http_client) as client:
            completion = client.chat.completions.create(model="echo", messages=_HELLO)
        caller.close()
        assert completion.choices[0].message.content == "one two three"
        assert seen[0] == (503, "1")
        assert seen[-1][0] == 200

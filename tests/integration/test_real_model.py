"""A real small model behind the gateway: SmolLM2 on llama.cpp's own OpenAI-compatible server, asked by the SDK."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI, OpenAI

from jotgate.testing.model import Model, running_model
from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.chaining import shipped_chain
from tests.integration.exchanges import Caller, chat_body, record_of, records

_ALIAS: Final = "small"
_KEY_VARIABLE: Final = "SMALL_MODEL_KEY"
_QUESTION: Any = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
_SETTINGS: Any = {"temperature": 0, "max_tokens": 8}
_PROMPTS: Final = {
    "analyze": "Say in a few words what the user wants.",
    "process": "Answer the user in a few words.",
    "synthesize": "Answer the user with this: {{process.content}}",
}
_CHAINS: Final = f"""
[[chains]]
name = "small-chain"
[[chains.steps]]
name = "analyze"
prompt_file = "PROMPTS/analyze.md"
model = "{_ALIAS}"
max_tokens = 48
temperature = 0
gates = [{{ member = "intent", not_empty = true }}]
[chains.steps.schema]
type = "object"
additionalProperties = false
required = ["intent"]
properties = {{ intent = {{ type = "string", minLength = 4, maxLength = 40 }} }}
[[chains.steps]]
name = "process"
prompt_file = "PROMPTS/process.md"
model = "{_ALIAS}"
max_tokens = 64
temperature = 0
gates = [{{ member = "confidence", at_least = 5 }}]
[chains.steps.schema]
type = "object"
additionalProperties = false
required = ["content", "confidence"]
[chains.steps.schema.properties]
content = {{ type = "string", minLength = 4, maxLength = 40 }}
confidence = {{ type = "integer", minimum = 5, maximum = 9 }}
[[chains.steps]]
name = "synthesize"
prompt_file = "PROMPTS/synthesize.md"
model = "{_ALIAS}"
max_tokens = 16
temperature = 0
stream = true
""" + shipped_chain("shipped-chain", analyze="echo", process="echo", synthesize=_ALIAS)
"""A chain whose steps all ask the model, which has so small a schema to fill as it can; and the one of the preset."""


def upstream(model: Model, name: str, credential: str) -> str:
    """The entry of the model's server in `jotgate.toml`."""
    return (
        f'[[upstreams]]\nname = "{name}"\nkind = "openai"\nbase_url = "{model.base_url}"\n{credential}\n'
        f'models = {{ {_ALIAS} = "{model.name}" }}\n'
    )


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The model's server, started once."""
    with running_model() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that knows the model as `small`, and holds the key that the model's server asks for."""
    prompts = tmp_path_factory.mktemp("prompts")
    for name, prompt in _PROMPTS.items():
        (prompts / f"{name}.md").write_text(prompt)
    chains = _CHAINS.replace("PROMPTS", str(prompts))
    config = upstream(model, "llama", f'credential_env = "{_KEY_VARIABLE}"') + chains
    with running_gateway(config, environment={_KEY_VARIABLE: model.key}) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    """The SDK with a token that may use this model alone."""
    token = gateway.token("--model", _ALIAS, subject="alice")
    with OpenAI(api_key=token, base_url=f"{gateway.url}/v1", max_retries=0, timeout=50.0) as made:
        yield made


def test_a_completion_and_its_usage(gateway: Gateway, client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=_ALIAS, messages=_QUESTION, extra_headers={"X-Request-Id": "real-unary"}, **_SETTINGS
    )
    assert "Paris" in (completion.choices[0].message.content or "")
    assert completion.usage
    assert completion.usage.prompt_tokens > 10
    record = record_of(gateway, "real-unary")
    assert (record["tokens_in"], record["tokens_out"]) == (
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
    )
    assert (record["model"], record["upstream"], record["subject"]) == (_ALIAS, "llama", "alice")
    assert "stream" not in record


def test_a_stream_and_its_usage_in_the_last_chunk(gateway: Gateway, client: OpenAI) -> None:
    with client.chat.completions.create(
        model=_ALIAS,
        messages=_QUESTION,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"X-Request-Id": "real-stream"},
        **_SETTINGS,
    ) as stream:
        chunks = list(stream)
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "Paris" in "".join(texts)
    usage = chunks[-1].usage
    assert usage
    record = record_of(gateway, "real-stream")
    assert (record["tokens_in"], record["tokens_out"], record["stream"]) == (
        usage.prompt_tokens,
        usage.completion_tokens,
        True,
    )
    assert record["bytes_out"] > 0


def test_the_async_client_with_two_streams_at_once(gateway: Gateway) -> None:
    async def ask(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(model=_ALIAS, messages=_QUESTION, stream=True, **_SETTINGS)
        async with stream:
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def talk() -> tuple[str, str]:
        async with AsyncOpenAI(api_key=gateway.token(), base_url=f"{gateway.url}/v1", timeout=50.0) as client:
            return await asyncio.gather(ask(client), ask(client))

    first, second = asyncio.run(talk())
    assert "Paris" in first
    assert "Paris" in second


def test_embeddings_that_mean_something(client: OpenAI) -> None:
    texts = ["The cat sleeps on the sofa.", "A kitten is napping on the couch.", "Quarterly tax filings are due."]
    response = client.embeddings.create(model=_ALIAS, input=texts)
    cat, kitten, taxes = (row.embedding for row in response.data)
    assert len(cat) == 576  # SmolLM2-135M's width
    near, far = (sum(one * other for one, other in zip(cat, text, strict=True)) for text in (kitten, taxes))
    assert near > far
    assert response.usage.prompt_tokens > 10


def test_a_legacy_completion(client: OpenAI) -> None:
    completion = client.completions.create(model=_ALIAS, prompt="The capital of France is", **_SETTINGS)
    assert "Paris" in completion.choices[0].text
    assert completion.usage
    assert completion.usage.completion_tokens <= 8


@pytest.mark.parametrize("chain", ["small-chain", "shipped-chain"])
def test_a_chain_streams_its_answer_from_the_model(gateway: Gateway, chain: str) -> None:
    request_id = f"real-{chain}"
    with (
        OpenAI(api_key=gateway.token(), base_url=f"{gateway.url}/v1", max_retries=0, timeout=50.0) as client,
        client.chat.completions.create(
            model=chain,
            messages=_QUESTION,
            stream=True,
            max_tokens=16,
            stream_options={"include_usage": True},
            extra_headers={"X-Request-Id": request_id},
        ) as stream,
    ):
        *chunks, last = list(stream)
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert len(texts) > 3  # token by token
    assert last.usage
    record = record_of(gateway, request_id)
    assert (record["tokens_in"], record["tokens_out"]) == (last.usage.prompt_tokens, last.usage.completion_tokens)
    steps = {step["step"]: step for step in record["steps"]}
    assert list(steps) == ["analyze", "process", "synthesize"]
    assert steps["synthesize"]["upstream"] == "llama"
    assert not any("estimated" in step for step in steps.values())
    assert record["tokens_in"] == sum(step["tokens_in"] for step in steps.values())


def test_models(client: OpenAI) -> None:
    assert [found.id for found in client.models.list()] == [_ALIAS]
    assert client.models.retrieve(_ALIAS).owned_by == "llama"


def is_working(model: Model) -> bool:
    """Whether the model is producing an answer for anybody."""
    address = urlsplit(model.base_url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request("GET", "/slots", headers={"Authorization": f"Bearer {model.key}"})
    slots = json.load(connection.getresponse())
    connection.close()
    return any(slot["is_processing"] for slot in slots)


def test_leaving_in_the_middle_ends_the_models_work(gateway: Gateway, client: OpenAI, model: Model) -> None:
    """The model would go on until its context is full, which takes many times as long as is waited for here."""
    endless: Any = {**_SETTINGS, "max_tokens": 100_000, "extra_body": {"ignore_eos": True}}
    with client.chat.completions.create(
        model=_ALIAS, messages=_QUESTION, stream=True, extra_headers={"X-Request-Id": "real-gone"}, **endless
    ) as stream:
        next(iter(stream))
        assert is_working(model)
    until(lambda: not is_working(model), "the model has stopped", 2.0)
    record = record_of(gateway, "real-gone")
    assert (record["outcome"], record["status"]) == ("caller_gone", 200)


def test_a_wrong_key_of_ours_is_no_fault_of_the_callers(model: Model) -> None:
    config = upstream(model, "llama", f'credential_env = "{_KEY_VARIABLE}"')
    with running_gateway(config, environment={_KEY_VARIABLE: "not-the-key"}) as gateway:
        caller = Caller(gateway, gateway.token())
        answer = caller("POST", "/v1/chat/completions", chat_body(_ALIAS))
        caller.close()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert answer.all("www-authenticate") == []


def test_nothing_that_was_said_is_in_the_audit_log_and_the_log_holds(
    gateway: Gateway, client: OpenAI, model: Model
) -> None:
    completion = client.chat.completions.create(
        model=_ALIAS, messages=_QUESTION, extra_headers={"X-Request-Id": "real-secret"}, **_SETTINGS
    )
    assert "Paris" in (completion.choices[0].message.content or "")
    record_of(gateway, "real-secret")
    text = json.dumps(records(gateway))
    assert "capital" not in text
    assert "Paris" not in text
    assert model.key not in text
    assert run_command("audit", "verify", data=gateway.data).returncode == 0
    assert gateway.errors == ""

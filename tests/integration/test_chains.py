"""Chains of a running gateway: over `echo`, over upstreams on sockets, a hundred at once, and gone wrong."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from openai import AsyncOpenAI, OpenAI, UnprocessableEntityError

from jotgate.testing.running import Gateway, running_gateway, until
from jotgate.testing.upstream import Gate, UpstreamServer, chunked, unary, upstream_in_thread
from tests.chaining import DONE, completion, event, shipped_chain, usage_event
from tests.integration.exchanges import Caller, record_of

_TALK: Final[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a fjord?"}]
_ALL: Final = '{"intent":"know fjords","content":"a bay","confidence":0.9}'
_MANY: Final = 100
_CHAIN: Final = """
[[chains]]
name = "real"
[[chains.steps]]
name = "analyze"
prompt_file = "shipped:chain-analyze"
model = "m"
[chains.steps.schema]
type = "object"
required = ["intent"]
properties = { intent = { type = "string" } }
[[chains.steps]]
name = "process"
prompt_file = "shipped:chain-process"
model = "m"
gates = [{ member = "confidence", at_least = 0.5 }]
[chains.steps.schema]
type = "object"
required = ["content", "confidence"]
properties = { content = { type = "string" }, confidence = { type = "number" } }
[[chains.steps]]
name = "synthesize"
prompt_file = "shipped:chain-synthesize"
model = "m"
stream = true
"""


def settings(server: UpstreamServer) -> str:
    return (
        '[[upstreams]]\nname = "up"\nkind = "openai"\nidle_connection_timeout = "1s"\n'
        f'base_url = "{server.base_url}"\nmodels = ["m"]\n'
        '[[quotas]]\nname = "daily"\nlimit = "50000000 tokens/day"\nper = ["principal"]\n'
        '[[quotas]]\nname = "at-once"\nlimit = "200 concurrent"\nper = ["principal"]\n'
        + shipped_chain("echoed", analyze="echo", process="echo", synthesize="echo")
        + _CHAIN
    )


@pytest.fixture(scope="module")
def server() -> Iterator[UpstreamServer]:
    """An upstream that answers every step alike, unless it is told otherwise."""
    with upstream_in_thread() as running:
        running.default = unary(completion(_ALL))
        yield running


@pytest.fixture(scope="module")
def gateway(server: UpstreamServer) -> Iterator[Gateway]:
    with running_gateway(settings(server)) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(api_key=gateway.token(), base_url=f"{gateway.url}/v1", max_retries=0, timeout=30.0) as made:
        yield made


def sockets_of(gateway: Gateway) -> int:
    """How many sockets the worker has open."""
    folder = Path(f"/proc/{gateway.pids['worker 0']}/fd")
    found = 0
    for entry in folder.iterdir():
        try:
            found += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # It was closed meanwhile.
    return found


def test_the_shipped_chain_answers_from_echo(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="echoed", messages=_TALK, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "What is a fjord?"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage
    steps = last.usage.model_dump()["steps"]
    assert [step["name"] for step in steps] == ["analyze", "process", "synthesize"]
    assert last.usage.prompt_tokens == sum(step["prompt_tokens"] for step in steps) > 100
    whole = client.chat.completions.create(model="echoed", messages=_TALK)
    assert whole.choices[0].message.content == "What is a fjord?"
    assert whole.model == "echoed"


def test_a_chain_is_listed_as_a_model(client: OpenAI) -> None:
    assert {"echoed", "real", "m"} <= {found.id for found in client.models.list()}


def test_the_first_token_comes_while_the_answer_is_still_being_written(client: OpenAI, server: UpstreamServer) -> None:
    rest = Gate()
    server.script.extend([
        unary(completion(_ALL)),
        unary(completion(_ALL)),
        chunked(event("A fjord "), rest, event("is a bay.", "stop"), usage_event(5, 6), DONE),
    ])  # fmt: skip
    with client.chat.completions.create(model="real", messages=_TALK, stream=True) as stream:
        chunks = iter(stream)
        assert next(chunks).choices[0].delta.content == "A fjord "
        rest.open()
        assert [chunk.choices[0].delta.content for chunk in chunks] == ["is a bay."]


def test_a_closed_gate_is_an_error_that_the_sdk_knows(client: OpenAI, gateway: Gateway, server: UpstreamServer) -> None:
    unsure = '{"intent":"know fjords","content":"a bay","confidence":0.1}'
    server.script.extend([unary(completion(_ALL)), unary(completion(unsure))])
    with pytest.raises(UnprocessableEntityError) as refused:
        client.chat.completions.create(
            model="real", messages=_TALK, stream=True, extra_headers={"X-Request-Id": "gate-closed"}
        )
    assert refused.value.code == "chain_gate_closed"
    record = record_of(gateway, "gate-closed")
    assert (record["code"], [step["step"] for step in record["steps"]]) == ("chain_gate_closed", ["analyze", "process"])
    assert record["charged"]["tokens_in"] == 20


def test_who_leaves_ends_the_step_at_its_upstream(client: OpenAI, gateway: Gateway, server: UpstreamServer) -> None:
    silence = Gate()
    server.script.extend([unary(completion(_ALL)), unary(completion(_ALL)), chunked(event("A"), silence)])
    with client.chat.completions.create(
        model="real", messages=_TALK, stream=True, extra_headers={"X-Request-Id": "chain-left"}
    ) as stream:
        next(iter(stream))
        assert server.answering == 1
    until(lambda: server.answering == 0, "the upstream's answer has ended")
    assert record_of(gateway, "chain-left")["outcome"] == "caller_gone"


def test_a_hundred_chains_at_once_leave_no_socket_no_call_and_no_reservation(
    gateway: Gateway, server: UpstreamServer
) -> None:
    token = gateway.token(subject="crowd")
    before = sockets_of(gateway)

    async def ask(client: AsyncOpenAI, number: int) -> str:
        if number % 2:
            whole = await client.chat.completions.create(model="real", messages=_TALK)
            return whole.choices[0].message.content or ""
        stream = await client.chat.completions.create(model="real", messages=_TALK, stream=True)
        async with stream:
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def crowd() -> list[str]:
        async with AsyncOpenAI(api_key=token, base_url=f"{gateway.url}/v1", max_retries=0, timeout=50.0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(_MANY)))

    assert asyncio.run(crowd()) == [_ALL] * _MANY
    assert server.answering == 0
    until(lambda: sockets_of(gateway) <= before, "every socket of the crowd is closed")

    caller = Caller(gateway, token)

    def stands() -> list[tuple[str, int, int]]:
        quotas = caller("GET", "/v1/usage").json["quotas"]
        return sorted((one["name"], one["used"], one["reserved"]) for one in quotas)

    until(lambda: stands() == [("at-once", 0, 0), ("daily", _MANY * 3 * 14, 0)], "all is charged and nothing held")
    caller.close()

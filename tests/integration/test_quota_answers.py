"""What the official `openai` client makes of a spent quota at a running gateway, and what money counts there."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import pytest
from openai import OpenAI, PermissionDeniedError, RateLimitError

from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import Caller, chat_body, records

_HELLO: Final[Any] = [{"role": "user", "content": "one two three"}]
_QUOTA: Final = '[[quotas]]\nname = "{}"\nlimit = "{}"\n'
_PRICE: Final = '[[prices]]\nupstream = "echo"\nmodel = "echo"\ninput = 1\noutput = 2\n'
_CALL_ND: Final = 3 * 1_000 + 3 * 2_000
"""Three tokens of input and three of output, at that price."""

StartGateway = Callable[..., Gateway]


@pytest.fixture
def connect() -> Iterator[Callable[..., OpenAI]]:
    """Make SDK clients, which are closed after the test."""
    with ExitStack() as stack:
        yield lambda gateway, **options: stack.enter_context(
            OpenAI(api_key=gateway.token(), base_url=f"{gateway.url}/v1", timeout=20.0, **options)
        )


def answered(gateway: Gateway) -> list[int]:
    """The statuses of all calls, as the audit log has them."""
    return [one["status"] for one in records(gateway) if one.get("operation") == "chat.completions"]


def spend(client: OpenAI) -> dict[str, Any] | None:
    """Make a call; what is told if it is refused for a quota."""
    try:
        client.chat.completions.create(model="echo", messages=_HELLO)
    except RateLimitError as refusal:
        return dict(refusal.body) if isinstance(refusal.body, dict) else {}
    return None


def test_what_never_comes_again_is_not_asked_for_again(
    start_gateway: StartGateway, connect: Callable[..., OpenAI]
) -> None:
    gateway = start_gateway(_QUOTA.format("once", "1 requests/lifetime"))
    client = connect(gateway, max_retries=2)
    assert client.chat.completions.create(model="echo", messages=_HELLO).choices
    with pytest.raises(RateLimitError) as caught:
        client.chat.completions.create(model="echo", messages=_HELLO)
    assert caught.value.code == "quota_exceeded"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["quota"] == {
        "name": "once",
        "level": "principal",
        "unit": "requests",
        "limit": 1,
        "spent": 1,
        "reset": None,
    }
    headers = caught.value.response.headers
    assert (headers["ratelimit-policy"], headers["ratelimit"]) == ('"once";q=1', '"once";r=0')
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")
    until(lambda: answered(gateway) == [200, 429], "one refusal is in the audit log, and no retry")


def test_the_client_waits_for_as_long_as_it_is_told_and_succeeds(
    start_gateway: StartGateway, connect: Callable[..., OpenAI]
) -> None:
    gateway = start_gateway(_QUOTA.format("rate", "1 requests/2s"))
    client = connect(gateway, max_retries=4)
    began_s = time.monotonic()
    for _ in range(3):
        assert client.chat.completions.create(model="echo", messages=_HELLO).choices
    assert time.monotonic() - began_s > 2.0
    until(lambda: answered(gateway).count(200) == 3, "the calls are in the audit log")
    assert 429 in answered(gateway)


def test_money_is_counted_to_the_billionth_of_a_dollar(
    start_gateway: StartGateway, connect: Callable[..., OpenAI]
) -> None:
    gateway = start_gateway(_PRICE + _QUOTA.format("budget", "0.000125 USD/lifetime"))
    client = connect(gateway, max_retries=0)
    refusals = [refusal for _ in range(20) if (refusal := spend(client)) is not None]
    paid = 20 - len(refusals)
    assert 1 <= paid < 20
    quota = refusals[-1]["quota"]
    assert (quota["unit"], quota["limit"], quota["spent"]) == ("USD", 0.000125, paid * _CALL_ND / 1e9)


def test_a_model_without_a_price_is_refused_where_money_is_limited_and_only_there(
    start_gateway: StartGateway, connect: Callable[..., OpenAI]
) -> None:
    upstream = '[[upstreams]]\nname = "own"\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["mine"]\n'
    gateway = start_gateway(upstream + _QUOTA.format("budget", "5 USD/lifetime"))
    client = connect(gateway, max_retries=0)
    with pytest.raises(PermissionDeniedError) as caught:
        client.chat.completions.create(model="mine", messages=_HELLO)
    assert caught.value.code == "price_unknown"
    assert "[[prices]]" in caught.value.message
    assert client.chat.completions.create(model="echo", messages=_HELLO).choices, "what is built in costs nothing"


def test_problem_details_are_told_to_who_asks(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_QUOTA.format("none", "0 requests/lifetime"))
    headers = {"Accept": "application/problem+json", "X-Request-Id": "p1"}
    with closing(Caller(gateway, gateway.token())) as caller:
        answer = caller("POST", "/v1/chat/completions", chat_body(), headers=headers)
    body = answer.json
    assert (answer.status, answer.all("content-type")) == (429, ["application/problem+json"])
    assert body["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert (body["violated-policies"], body["instance"], body["code"]) == (["none"], "p1", "quota_exceeded")

"""A bound on the calls of one tenant at an upstream, with clients of two tenants."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

from jotgate.testing.running import Gateway, run_command, running_gateway, until
from jotgate.testing.upstream import Gate, unary, upstream_in_thread
from tests.integration.exchanges import Caller

_GOOD: Final = unary(b'{"object":"chat.completion","choices":[]}')
_UPSTREAM: Final = """\
[[upstreams]]
name = "one"
kind = "openai"
base_url = "{url}"
models = ["m"]
max_concurrent_per_tenant = 2
queue_timeout = "1m"
"""


def token_of(gateway: Gateway, tenant: str) -> str:
    """A token of a client of this tenant."""
    assert run_command("tenant", "create", tenant, data=gateway.data).returncode == 0
    words = ("--tenant", tenant, "--grant", "client_credentials", "--scope", "ai", "--json")
    made = run_command("client", "create", tenant, *words, data=gateway.data)
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["client_secret"]
    basic = "Basic " + base64.b64encode(f"{tenant}:{secret}".encode()).decode()
    headers = {"Authorization": basic, "Content-Type": "application/x-www-form-urlencoded"}
    with closing(Caller(gateway)) as caller:
        answer = caller("POST", "/oauth/token", b"grant_type=client_credentials", headers=headers)
    return str(answer.json["access_token"])


def test_a_tenant_that_asks_for_all_leaves_room_for_another() -> None:
    gates = [Gate() for _ in range(6)]
    with upstream_in_thread(*([gate, *_GOOD] for gate in gates)) as server, ExitStack() as stack:
        gateway = stack.enter_context(running_gateway(_UPSTREAM.format(url=server.base_url)))
        greedy, modest = (token_of(gateway, tenant) for tenant in ("greedy", "modest"))
        callers = [stack.enter_context(closing(Caller(gateway, greedy))) for _ in range(5)]
        pool = stack.enter_context(ThreadPoolExecutor(6))
        answers = [pool.submit(caller.chat, "m") for caller in callers]
        until(lambda: len(server.requests) == 2, "the greedy tenant has what it may have")
        another = pool.submit(stack.enter_context(closing(Caller(gateway, modest))).chat, "m")
        until(lambda: len(server.requests) == 3, "the other tenant has come past its queue")
        gates[2].open()
        assert another.result(30).status == 200
        assert len(server.requests) == 3
        for gate in gates[:2] + gates[3:]:
            gate.open()
        assert [answer.result(30).status for answer in answers] == [200] * 5

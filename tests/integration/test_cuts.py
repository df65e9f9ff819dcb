"""E04, E07, F19: a stream does not outlive its token: it is cut within the bound, by every worker and machine."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Final

import pytest
from openai import APIError, OpenAI

from jotgate.jose.jwt import peek_unverified
from jotgate.testing.running import Gateway, run_command, until
from jotgate.testing.upstream import UpstreamServer
from tests.databases import Postgres, postgres
from tests.exposition import Exposition, read_exposition
from tests.integration.exchanges import Caller, configuration, record_of, records
from tests.integration.streams import EVENT, Stream, endless
from tests.integration.test_accounts import ask_token
from tests.integration.test_revocation import child_of, codes, jti, revoke
from tests.integration.test_trades import trade

_BOUND_S: Final = 1.5
_STALE_AFTER_S: Final = 5
_HEARD_S: Final = 2.5
"""The last that a worker heard of control, and what that knew of its store, is at most so old."""
_ENOUGH: Final = 12
"""So many connections that one worker of two almost never gets all of them."""
_TWO: Final = "[server]\nworkers = 2\n"
_ROUTE: Final = '[[routes]]\nalias = "patient"\nattempts = [{ upstream = "scripted", model = "m" }]\n'
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_KEY: Final = {"SCRIPTED_KEY": "k"}

StartGateway = Callable[..., Gateway]
Open = Callable[..., Stream]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


@pytest.fixture
def open_stream() -> Iterator[Open]:
    """Open streams, which are closed after the test."""
    with ExitStack() as stack:

        def begin(*arguments: str | Gateway) -> Stream:
            stream = Stream(*arguments)  # type: ignore[arg-type] # as that takes them
            stack.callback(stream.close)
            return stream

        yield begin


@pytest.fixture
def gateway(start_gateway: StartGateway, upstream: UpstreamServer) -> Gateway:
    """Two workers before an upstream whose streams do not end."""
    upstream.default = endless()
    return start_gateway(configuration(upstream, _TWO), environment=_KEY)


def command(gateway: Gateway, *words: str) -> str:
    """What a command says on stdout; it must succeed."""
    done = run_command(*words, data=gateway.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shared(upstream: UpstreamServer, server: Postgres) -> str:
    """The settings of machines of two workers each that share a store."""
    return configuration(
        upstream,
        '[server]\npublic_url = "https://gate.example"\nworkers = 2\n'
        f'[store]\nurl = "{server.make_database().url}"\n[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n',
    )


def figures(gateway: Gateway) -> Exposition:
    """What `/metrics` says."""
    with closing(Caller(gateway, gateway.token("--scope", "metrics"))) as caller:
        return read_exposition(caller("GET", "/metrics").body.decode())


def assert_cut(streams: Sequence[Stream], code: str, since_s: float) -> None:
    """They end with this error, in time."""
    for stream in streams:
        error, ended_s = stream.read_end()
        assert (error["code"], error["type"]) == (code, "authentication_error")
        assert ended_s - since_s < _BOUND_S


def test_E04_the_streams_of_a_revoked_token_and_of_its_children_are_cut_on_both_workers(
    gateway: Gateway, upstream: UpstreamServer, open_stream: Open
) -> None:
    root, other = gateway.token(), gateway.token()
    child = child_of(gateway, root, jti="child", ancestors=[jti(root)])
    grandchild = child_of(gateway, root, jti="grandchild", ancestors=[jti(root), "child"])
    cut = [open_stream(gateway, token) for token in (root, child, grandchild) * (_ENOUGH // 3)]
    kept = [open_stream(gateway, other) for _ in range(4)]
    assert upstream.connections == _ENOUGH + 4
    revoke(gateway, root)  # From here on the bound counts: what was told before the command ended is in time too.
    assert_cut(cut, "token_revoked", time.monotonic())
    assert all(stream.runs for stream in kept)
    until(lambda: upstream.connections == 4, "the upstream is asked no longer for what was cut")
    found = [record_of(gateway, stream.request_id) for stream in cut]
    assert {(one["outcome"], one["status"], one["code"]) for one in found} == {("cut", 200, "token_revoked")}
    assert {one["worker"] for one in found} == {one["worker"] for one in records(gateway)}
    assert len({one["worker"] for one in found}) == 2
    assert {one["bytes_out"] for one in found} == {len(EVENT)}
    said = command(gateway, "explain", cut[2].request_id)
    assert "ancestors" in said
    assert jti(root) in said
    for token in (root, child, grandchild):
        assert codes(gateway, token) == {"token_revoked"}
    until(lambda: figures(gateway).total("jotgate_cuts_total", code="token_revoked") == _ENOUGH, "the cuts are counted")


def test_E04_a_stream_is_cut_when_its_token_expires(
    start_gateway: StartGateway, upstream: UpstreamServer, open_stream: Open
) -> None:
    upstream.default = endless()
    settings = configuration(upstream, _TWO + '[issuer]\nleeway = "0s"\n')
    gateway = start_gateway(settings, environment=_KEY)
    token = gateway.token("--ttl", "3s")
    stream = open_stream(gateway, token)
    ends_s = time.monotonic() - time.time() + int(str(peek_unverified(token.encode())[1]["exp"]))
    error, ended_s = stream.read_end()
    assert error["code"] == "token_expired"
    assert 0 <= ended_s - ends_s < _BOUND_S
    assert record_of(gateway, stream.request_id)["outcome"] == "cut"


def test_E04_F19_what_was_issued_to_whom_is_disabled_is_cut_with_it(gateway: Gateway, open_stream: Open) -> None:
    """Tokens of a client, of a principal and of a tenant, and personal tokens beside them."""
    command(gateway, "tenant", "create", "acme")
    made = json.loads(
        command(gateway, "client", "create", "ci", "--grant", "client_credentials", "--scope", "ai", "--json")
    )
    of_client = ask_token(gateway, "ci", made["client_secret"], scope="ai")[1]["access_token"]
    command(gateway, "principal", "create", "ann", "--scope", "ai")
    command(gateway, "principal", "create", "bob", "--scope", "ai", "--tenant", "acme")
    of_ann, of_bob = (
        command(gateway, "pat", "create", "--subject", name, "--name", "x").strip() for name in ("ann", "bob")
    )
    streams = {token: [open_stream(gateway, token) for _ in range(3)] for token in (of_client, of_ann, of_bob)}
    other = open_stream(gateway, gateway.token())
    for token, words in (
        (of_client, ("client", "disable", "ci", "--yes")),
        (of_ann, ("principal", "disable", "ann", "--yes")),
        (of_bob, ("tenant", "disable", "acme", "--yes")),
    ):
        assert all(stream.runs for stream in streams[token])
        command(gateway, *words)
        assert_cut(streams[token], "token_revoked", time.monotonic())
    assert other.runs
    command(gateway, "principal", "enable", "ann")
    assert open_stream(gateway, of_ann).runs


def test_F19_a_personal_token_that_is_revoked_takes_the_streams_of_what_it_was_traded_for(
    gateway: Gateway, open_stream: Open
) -> None:
    command(gateway, "principal", "create", "ann", "--scope", "ai")
    command(gateway, "client", "create", "narrow", "--grant", "token_exchange", "--auth", "none", "--scope", "ai")
    personal = command(gateway, "pat", "create", "--subject", "ann", "--name", "x").strip()
    with closing(Caller(gateway)) as caller:
        traded = trade(caller, personal).json["access_token"]
    streams = [open_stream(gateway, token) for token in (personal, traded) * 2]
    command(gateway, "pat", "revoke", "x", "--subject", "ann", "--yes")
    assert_cut(streams, "token_revoked", time.monotonic())


def test_the_streams_of_a_revoked_key_are_cut(gateway: Gateway, open_stream: Open) -> None:
    streams = [open_stream(gateway, gateway.token()) for _ in range(4)]
    (kid,) = [one["kid"] for one in json.loads(command(gateway, "key", "list", "--json"))["keys"]]
    command(gateway, "key", "revoke", "--yes", "--", kid)
    began_s = time.monotonic()
    for stream in streams:
        error, ended_s = stream.read_end()
        assert error["code"] in {"token_revoked", "key_unknown"}
        assert ended_s - began_s < _BOUND_S


def test_a_route_that_lets_calls_finish_refuses_new_ones_and_ends_none(
    start_gateway: StartGateway, upstream: UpstreamServer, open_stream: Open
) -> None:
    upstream.default = endless()
    settings = configuration(upstream, _TWO) + _ROUTE + 'ended_tokens = "finish"\n'
    gateway = start_gateway(settings, environment=_KEY)
    token = gateway.token()
    patient, plain = open_stream(gateway, token, "patient"), open_stream(gateway, token)
    revoke(gateway, token)
    assert_cut([plain], "token_revoked", time.monotonic())
    assert patient.runs
    assert codes(gateway, token) == {"token_revoked"}


def test_a_stream_on_another_machine_is_cut_in_time(
    start_gateway: StartGateway, upstream: UpstreamServer, server: Postgres, open_stream: Open
) -> None:
    upstream.default = endless()
    settings = shared(upstream, server)
    one = start_gateway(settings, environment={**_MASTER, **_KEY})
    two = start_gateway(settings, environment={**_MASTER, **_KEY})
    token = one.token()
    streams = [open_stream(machine, token) for machine in (one, two) * 4]
    revoke(one, token)
    assert_cut(streams, "token_revoked", time.monotonic())


def test_E04_a_worker_that_is_being_replaced_and_one_that_lost_its_control_cut_all_the_same(
    start_gateway: StartGateway, upstream: UpstreamServer, open_stream: Open
) -> None:
    upstream.default = endless()
    settings = configuration(upstream, '[server]\ndrain_timeout = "5m"\n')
    gateway = start_gateway(settings, environment=_KEY)
    first, second = gateway.token(), gateway.token()
    stream, other = open_stream(gateway, first), open_stream(gateway, second)
    replaced(gateway, "worker 0", signal.SIGTERM)
    assert stream.runs
    revoke(gateway, first)
    assert_cut([stream], "token_revoked", time.monotonic())
    replaced(gateway, "control", signal.SIGKILL)
    assert other.runs
    revoke(gateway, second)
    assert_cut([other], "token_revoked", time.monotonic())


def test_F18_E04_streams_end_when_new_calls_begin_to_be_refused_as_control_is_silent(
    start_gateway: StartGateway, upstream: UpstreamServer, open_stream: Open
) -> None:
    """Also those of a worker that is being replaced; a route whose calls may finish keeps them."""
    upstream.default = endless()
    settings = f'{_TWO}drain_timeout = "5m"\n[limits]\nmax_staleness_s = {_STALE_AFTER_S}\n'
    gateway = start_gateway(configuration(upstream, settings) + _ROUTE + 'ended_tokens = "finish"\n', environment=_KEY)
    token = gateway.token()
    old = [open_stream(gateway, token) for _ in range(4)]
    replaced(gateway, "worker 0", signal.SIGTERM)
    new = [open_stream(gateway, token) for _ in range(4)]
    patient = open_stream(gateway, token, "patient")
    control = gateway.pids["control"]
    os.kill(control, signal.SIGSTOP)
    try:
        stopped_s = time.monotonic()
        assert shown(gateway, token) == {200}
        assert all(stream.runs for stream in (*old, *new))
        for stream in (*old, *new):
            error, ended_s = stream.read_end()
            assert (error["code"], error["type"]) == ("control_stale", "server_error")
            assert -_HEARD_S < ended_s - stopped_s - _STALE_AFTER_S < _BOUND_S
        until(lambda: shown(gateway, token) == {503}, "new calls are refused", _BOUND_S)
        assert patient.runs
    finally:
        os.kill(control, signal.SIGCONT)
    until(lambda: shown(gateway, token) == {200}, "it goes on by itself")
    assert open_stream(gateway, token).runs
    assert patient.runs
    found = [record_of(gateway, stream.request_id) for stream in new]
    assert {(one["outcome"], one["status"], one["code"]) for one in found} == {("cut", 200, "control_stale")}
    until(lambda: figures(gateway).total("jotgate_cuts_total", code="control_stale") >= len(new), "they are counted")


def shown(gateway: Gateway, token: str) -> set[int]:
    """The statuses of questions for models, on connections enough for every worker."""
    found: set[int] = set()
    for _ in range(_ENOUGH):
        with closing(Caller(gateway, token)) as caller:
            found.add(caller("GET", "/v1/models").status)
    return found


def replaced(gateway: Gateway, name: str, how: signal.Signals) -> None:
    """Send a process a signal, and wait until another has its place and is heard of."""
    pid = gateway.pids[name]
    os.kill(pid, how)
    until(lambda: gateway.pids.get(name, pid) != pid, f"{name} is started again")
    until(lambda: gateway.settled_on(1), "there is control again")


def test_the_official_sdk_raises_what_the_last_event_of_a_stream_that_was_cut_says(gateway: Gateway) -> None:
    token = gateway.token()
    with OpenAI(api_key=token, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        pieces = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
        assert next(pieces).choices[0].delta.content == "hi"
        revoke(gateway, token)
        with pytest.raises(APIError) as caught:
            list(pieces)
    assert caught.value.code == "token_revoked"
    assert "revoked" in str(caught.value)


def narrow(gateway: Gateway, token: str, *words: str) -> str:
    """What `jotgate token narrow` makes of a token."""
    done = run_command("token", "narrow", *words, data=gateway.data, stdin=token)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_agent_narrows_its_token_twice_and_the_running_stream_of_the_last_ends_with_the_first(
    start_gateway: StartGateway, upstream: UpstreamServer, server: Postgres, open_stream: Open
) -> None:
    """Issue 6: the sub-agent works on another machine; the log of either tells what became of its call, and why."""
    upstream.default = endless()
    settings = shared(upstream, server)
    one, two = (start_gateway(settings, environment={**_MASTER, **_KEY}) for _ in range(2))
    root = one.token("--scope", "ai", "--ttl", "1h", subject="agent")
    child = narrow(one, root, "--scope", "chat.completions", "--actor", "sub-agent")
    grandchild = narrow(two, child, "--model", "m", "--model", "echo", "--ttl", "15m", "--actor", "sub-sub-agent")
    tokens, machines = (root, child, grandchild), (one, two)
    for machine in machines:
        assert {code for token in tokens for code in codes(machine, token)} == {""}
    streams = {machine: [open_stream(machine, grandchild) for _ in range(_ENOUGH)] for machine in machines}
    assert "it invalidates 3 live tokens" in revoke(one, root, "--reason", "lost")
    assert_cut([*streams[one], *streams[two]], "token_revoked", time.monotonic())
    assert {code for token in tokens for code in codes(one, token)} == {"token_revoked"}
    until(
        lambda: {code for token in tokens for code in codes(two, token)} == {"token_revoked"}, "the other one refuses"
    )
    for machine in machines:
        found = [record_of(machine, stream.request_id) for stream in streams[machine]]
        ends = {(record["outcome"], record["code"], record["subject"]) for record in found}
        assert ends == {("cut", "token_revoked", "agent")}
        assert len({record["worker"] for record in found}) == 2
        story = command(machine, "explain", streams[machine][0].request_id)
        for told in (f"{jti(root)}  <- revoked", "token_revoked", "cut", "lost, by jotgate-cli", "sub-agent for"):
            assert told in story, story
    tree = command(two, "token", "tree", jti(grandchild))
    assert [line.split() and "revoked" in line for line in tree.splitlines() if "agent" in line] == [True] * 3

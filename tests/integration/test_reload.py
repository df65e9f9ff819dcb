"""Settings that change while the gateway runs: no call notices, and what is wrong changes nothing."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from jotgate.stores.directory import DataDirectory
from jotgate.testing.running import Gateway, NeverCameTrue, clean_environment, until
from jotgate.testing.upstream import Gate, chunked, unary, upstream_in_thread
from tests.integration.exchanges import Answer, Caller

_RELOADS: Final = 50
_LOOP_BLOCK_MAX_MS: Final = 5.0

StartGateway = Callable[..., Gateway]


def upstream(name: str, base_url: str, more: str = "") -> str:
    """An entry whose only model is named like it."""
    return f'[[upstreams]]\nname = "{name}"\nkind = "openai"\nbase_url = "{base_url}"\nmodels = ["{name}"]\n{more}\n'


def write(gateway: Gateway, text: str) -> None:
    """Replace the configuration, as an editor does."""
    new = gateway.config.with_suffix(".new")
    new.write_text(text)
    new.rename(gateway.config)


def models(gateway: Gateway) -> list[str]:
    """The models that a call may name now."""
    with closing(Caller(gateway, gateway.token())) as caller:
        return [model["id"] for model in caller("GET", "/v1/models").json["data"]]


def kill_control(gateway: Gateway) -> None:
    """End control at once, and wait until another one serves."""
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    until(lambda: gateway.status()["workers"] == 1, "the worker has found it")


def many_models(index: int, patience_s: int) -> str:
    """An entry with ten models, each second one over TLS."""
    names = [f"m{index}-{number}" for number in range(10)]
    return (
        f'[[upstreams]]\nname = "u{index}"\nkind = "openai"\nbase_url = "http{"s" * (index % 2)}://127.0.0.1:9"\n'
        f'connect_timeout = "{patience_s}s"\nmodels = {names}\n'
    )


@contextmanager
def callers(gateway: Gateway, count: int) -> Iterator[list[int]]:
    """Callers that complete the echo model without a pause; what they got is in the list, and they are done after."""
    statuses: list[int] = []
    enough = threading.Event()
    token = gateway.token()

    def call() -> None:
        with closing(Caller(gateway, token)) as caller:
            while not enough.is_set():
                statuses.append(caller.chat().status)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) >= count, "the callers call")
        yield statuses
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def test_no_request_fails_over_fifty_reloads(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--workers", "2")
    with callers(gateway, 2) as statuses:
        for number in range(_RELOADS):
            write(gateway, upstream("other", f"http://127.0.0.1:9/v{number}"))
            gateway.reload()
    assert gateway.status()["snapshot"] == _RELOADS + 1
    assert set(statuses) == {200}
    assert len(statuses) > _RELOADS
    assert gateway.stop() == 0


def test_a_changed_file_takes_effect_by_itself_and_a_stream_goes_on_as_it_began(start_gateway: StartGateway) -> None:
    gate = Gate()
    stream = chunked(b'data: {"from":"old"}\n\n', gate, b"data: [DONE]\n\n")
    with upstream_in_thread(stream) as old, upstream_in_thread(unary(b'{"from":"new"}')) as new:
        gateway = start_gateway(upstream("m", old.base_url))
        token = gateway.token()
        answers: list[Answer] = []

        def read_stream() -> None:
            with closing(Caller(gateway, token)) as reader:
                answers.append(reader.chat("m", stream=True))

        reading = threading.Thread(target=read_stream)
        reading.start()
        until(lambda: len(old.requests) == 1, "the stream has begun")
        write(gateway, upstream("m", new.base_url))
        until(lambda: gateway.settled_on(2), "the changed file is in effect")
        with closing(Caller(gateway, token)) as caller:
            assert caller.chat("m").json == {"from": "new"}
        gate.open()
        reading.join()
    assert answers[0].body == b'data: {"from":"old"}\n\ndata: [DONE]\n\n'


def test_a_broken_file_changes_nothing_and_says_why(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream("m", "http://127.0.0.1:9/v1"))
    write(gateway, "[server]\nprot = 1\n[limits]\nbody_bytes = 0\n")
    until(lambda: gateway.status()["faults"], "the faults are noticed")
    status = gateway.status()
    assert status["snapshot"] == 1
    places = [fault.split(" ", 1)[0] for fault in status["faults"]]
    assert places == [f"{gateway.config}:2:", f"{gateway.config}:4:"]
    assert "not reloaded" in gateway.errors
    assert "did you mean 'port'?" in gateway.errors
    assert models(gateway) == ["echo", "m"]
    write(gateway, "")
    until(lambda: gateway.settled_on(2), "the mended file is in effect")
    assert gateway.status()["faults"] == []
    assert models(gateway) == ["echo"]


@pytest.mark.parametrize(
    "text",
    [
        upstream("m", "http://127.0.0.1:9/v1", 'credential = { env = "OPENAI_API_KEY" }'),
        f"[server]\nworkers = {'1' * 5_000}\n",
        f"[server]\nworkers = 0x{'f' * 5_000}\n",
        f"deep = {'[' * 5_000}{']' * 5_000}\n",
        upstream("m", "https://127.0.0.1:9/v1", 'ca_file = "a\\u0000b"'),
    ],
    ids=["a credential that is a table", "digits", "a long hexadecimal number", "depth", "a path with a zero"],
)
def test_what_a_reader_of_toml_chokes_on_changes_nothing_either(start_gateway: StartGateway, text: str) -> None:
    gateway = start_gateway()
    before = gateway.pids
    write(gateway, text)
    until(lambda: gateway.status()["faults"], "the faults are noticed")
    assert (gateway.pids, gateway.status()["snapshot"], models(gateway)) == (before, 1, ["echo"])
    assert "Traceback" not in gateway.errors


def test_a_credential_file_is_enough_to_change_a_credential(start_gateway: StartGateway, directory: Path) -> None:
    key = directory / "key.txt"
    key.write_text("sk-one\n")
    with upstream_in_thread(unary(b"{}"), unary(b"{}")) as server:
        gateway = start_gateway(upstream("m", server.base_url, f'credential_file = "{key}"'))
        with closing(Caller(gateway, gateway.token())) as caller:
            assert caller.chat("m").status == 200
            key.write_text("sk-two\n")
            until(lambda: gateway.settled_on(2), "the changed key is in effect")
            assert caller.chat("m").status == 200
        sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer sk-one", "Bearer sk-two"]
    assert "sk-" not in gateway.errors


def test_a_worker_that_starts_later_gets_the_newest_world(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    write(gateway, upstream("late", "http://127.0.0.1:9/v1"))
    assert gateway.reload() == 2
    worker = gateway.pids["worker 0"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: gateway.pids.get("worker 0", worker) != worker, "another worker is there")
    assert models(gateway) == ["echo", "late"]


def test_what_needs_a_start_is_told(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    write(gateway, "[server]\nworkers = 2\nport = 1\n")
    gateway.reload()
    assert gateway.status()["pending"] == ["server.workers"]  # The port is the command line's, and stays so.
    told = "server.workers has changed; that takes effect when jotgate is started again"
    until(lambda: told in gateway.errors, "it is told")
    write(gateway, "")
    gateway.reload()
    assert gateway.status()["pending"] == []


def test_control_dies_over_a_refused_file_and_goes_on_with_what_it_accepted(
    start_gateway: StartGateway, directory: Path
) -> None:
    with upstream_in_thread(unary(b"{}"), unary(b"{}")) as server:
        gateway = start_gateway("")
        key = gateway.config.with_name("key.txt")
        key.write_text("sk-one\n")
        write(gateway, upstream("m", server.base_url, 'credential_file = "key.txt"'))
        gateway.reload()
        token = gateway.token()
        write(gateway, "porrt = 1\n")
        until(lambda: gateway.status()["faults"], "the fault is noticed")
        key.write_text("sk-two\n")
        kill_control(gateway)
        (fault,) = gateway.status()["faults"]
        assert fault.startswith(f"{gateway.config}:1: porrt is not a setting")
        assert "goes on with what it accepted last" in gateway.errors
        assert gateway.status()["pending"] == []
        until(lambda: gateway.settled_on(1), "the worker has what was accepted")
        with closing(Caller(gateway, token)) as caller:
            assert caller.chat("m").status == 200
        assert server.requests[0].headers["authorization"] == "Bearer sk-two"
    write(gateway, "")
    until(lambda: not gateway.status()["faults"], "the mended file is in effect")
    assert models(gateway) == ["echo"]
    write(gateway, "porrt = 1\n")
    assert gateway.stop() == 0
    with pytest.raises(NeverCameTrue, match="porrt is not a setting"):
        gateway.start()


def test_a_wish_to_reload_while_it_starts_does_not_end_it(directory: Path) -> None:
    data = DataDirectory(directory / "data")
    data.prepare()
    held = data.take_lock(0)
    up = subprocess.Popen(
        [sys.executable, "-P", "-m", "jotgate", "up", "--data", str(data.path), "--port", "0", "--development"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment({}),
    )
    with up:
        assert up.stdout is not None
        assert up.stderr is not None
        try:
            assert b"relaxes" in up.stderr.readline()  # It waits for DATA now.
            up.send_signal(signal.SIGHUP)
            os.close(held)
            assert up.stdout.readline().startswith(b"jotgate serves")
        finally:
            up.terminate()
    assert up.returncode == 0


def test_what_needs_a_start_waits_for_it_also_when_control_is_started_again(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    write(gateway, '[server]\nworkers = 2\n[metrics]\nlisten = "127.0.0.1:0"\n')
    gateway.reload()
    before = gateway.status()
    kill_control(gateway)
    after = gateway.status()
    assert before["pending"] == after["pending"] == ["server.workers", "metrics.listen"]
    assert after["metrics"] == []


@pytest.mark.slow
def test_a_large_reload_holds_up_no_worker_for_long(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--workers", "2")
    for patience_s in (1, 2, 3):
        write(gateway, "".join(many_models(index, patience_s) for index in range(100)))
        gateway.reload()
        blocks = [worker["block_ms"] for worker in gateway.status()["settled"]]
        assert max(blocks) <= _LOOP_BLOCK_MAX_MS

"""The processes of `jotgate up`: each may die at any moment, and nothing that matters is lost."""

import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jotgate.testing.running import Gateway, clean_environment, run_command, until

_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
_UPSTREAM = '[[upstreams]]\nname = "a"\nkind = "openai"\nbase_url = "http://h/v1"\nmodels = ["m"]\n'

StartGateway = Callable[..., Gateway]


def request(url: str, method: str, path: str, token: str = "", content: object = None) -> tuple[int, Any]:
    """One request on a connection of its own: status and decoded body."""
    address = urlsplit(url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, None if content is None else json.dumps(content), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def chat(gateway: Gateway, token: str) -> int:
    """The status of one completion."""
    return request(gateway.url, "POST", "/v1/chat/completions", token, _CHAT)[0]


def jwks(gateway: Gateway) -> object:
    """The published key set."""
    status, keys = request(gateway.url, "GET", "/.well-known/jwks.json")
    assert status == 200
    return keys


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody reaped yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def replaced(gateway: Gateway, name: str, old: int) -> bool:
    """Whether another process is in the place of the old one."""
    return gateway.pids.get(name, old) != old


def audit_holds(data: Path) -> bool:
    """Whether the audit log verifies."""
    return run_command("audit", "verify", data=data).returncode == 0


def worker_connected(data: Path) -> bool:
    """Whether control of this DATA has a worker."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(data / "control.sock"))
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return bool(json.loads(answer.partition(b"\r\n\r\n")[2])["workers"])


def test_a_worker_that_is_killed_is_replaced_and_what_was_queued_is_answered(gateway: Gateway) -> None:
    token = gateway.token()
    worker = gateway.pids["worker 0"]
    os.kill(worker, signal.SIGKILL)
    assert chat(gateway, token) == 200  # No pause: the connection waits in the socket that the next worker inherits.
    assert replaced(gateway, "worker 0", worker)
    assert f"worker 0 (pid {worker}) was killed by SIGKILL; starting another in " in gateway.errors
    assert "Traceback" not in gateway.errors


def test_one_of_two_workers_is_killed_and_the_other_place_is_untouched(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--workers", "2")
    before = gateway.pids
    assert set(before) == {"supervisor", "control", "worker 0", "worker 1"}
    os.kill(before["worker 1"], signal.SIGKILL)
    until(lambda: replaced(gateway, "worker 1", before["worker 1"]), "worker 1 is replaced")
    assert {**gateway.pids, "worker 1": 0} == {**before, "worker 1": 0}


def test_workers_serve_while_control_is_dead_and_it_comes_back_with_the_same_keys(gateway: Gateway) -> None:
    token, keys = gateway.token(), jwks(gateway)
    control = gateway.pids["control"]
    os.kill(control, signal.SIGSTOP)  # A control that answers nothing at all.
    assert chat(gateway, token) == 200
    os.kill(control, signal.SIGKILL)
    assert chat(gateway, token) == 200
    until(lambda: replaced(gateway, "control", control), "control is replaced")
    assert f"control (pid {control}) was killed by SIGKILL; starting another in " in gateway.errors
    assert jwks(gateway) == keys
    assert chat(gateway, gateway.token()) == 200
    assert gateway.stop() == 0
    assert audit_holds(gateway.data)


def test_children_of_a_killed_supervisor_end_and_the_next_start_binds_the_same_port(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway("", "--workers", "2")
    token, keys, pids = gateway.token(), jwks(gateway), gateway.pids
    port = str(urlsplit(gateway.url).port)
    os.kill(pids["supervisor"], signal.SIGKILL)
    for name in set(pids) - {"supervisor"}:
        until(lambda pid=pids[name]: gone(pid), f"{name} ended")  # type: ignore[misc]
    gateway.wait()
    again = Gateway(gateway.data, ("--port", port))
    try:
        again.start()
        assert again.url == gateway.url
        assert chat(again, token) == 200
        assert jwks(again) == keys
        assert again.stop() == 0
    finally:
        again.kill()
    assert audit_holds(gateway.data)


def test_children_end_even_when_they_have_a_call_under_way(start_gateway: StartGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = '[[upstreams]]\nname = "silent"\nkind = "openai"\nmodels = ["silent"]\n'
        upstream += f'base_url = "http://127.0.0.1:{silent.getsockname()[1]}/v1"\n'
        gateway = start_gateway(upstream)
        address = urlsplit(gateway.url)
        assert address.hostname
        caller = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        body = json.dumps({**_CHAT, "model": "silent"})
        caller.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {gateway.token()}"})
        silent.settimeout(10)
        under_way, _ = silent.accept()  # From here on a worker waits for an answer that does not come.
        pids = gateway.pids
        os.kill(pids["supervisor"], signal.SIGKILL)
        for name in ("worker 0", "control"):
            until(lambda pid=pids[name]: gone(pid), f"{name} ended")  # type: ignore[misc]
        gateway.wait()
        under_way.close()
        caller.close()


def test_everything_killed_at_once_leaves_the_keys_and_a_sound_log(gateway: Gateway) -> None:
    token, keys = gateway.token(), jwks(gateway)
    assert chat(gateway, token) == 200
    gateway.kill()
    assert audit_holds(gateway.data)
    again = Gateway(gateway.data)
    try:
        again.start()
        assert chat(again, token) == 200
        assert jwks(again) == keys
    finally:
        again.kill()


@pytest.mark.parametrize("landmark", ["lock", "control.sock", "store.db", "installation.json", "keys", "audit"])
def test_a_first_start_killed_at_any_moment_does_not_spoil_the_next(directory: Path, landmark: str) -> None:
    data = directory / "data"
    command = [sys.executable, "-P", "-m", "jotgate", "up", "--data", str(data), "--port", "0"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=clean_environment({}), **quiet) as first:  # type: ignore[call-overload]
        until((data / landmark).exists, f"{landmark} is there")
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        for pid in (first.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
    begun = {path.name for path in (data / "keys").glob("*.pem")}
    gateway = Gateway(data)
    try:
        gateway.start()
        assert chat(gateway, gateway.token()) == 200
        made = {path.name for path in (data / "keys").glob("*.pem")}
        assert len(made) == 1
        assert begun <= made, "a key that was made is the one that is used"
    finally:
        gateway.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_in_order(gateway: Gateway, number: signal.Signals) -> None:
    assert chat(gateway, gateway.token()) == 200
    pids = gateway.pids
    gateway.process.send_signal(number)
    assert gateway.wait() == 0
    assert all(gone(pid) for pid in pids.values())
    assert gateway.errors == ""
    assert not list(gateway.data.glob("*.sock"))
    tail = run_command("audit", "tail", "-n", "2", "--json", data=gateway.data).stdout.splitlines()
    call, close = map(json.loads, tail)
    assert (call["kind"], call["status"]) == ("call", 200)  # The last rows of the worker came before control closed.
    assert (close["kind"], close["reason"]) == ("close", "stopped")


def test_a_second_signal_stops_at_once(gateway: Gateway) -> None:
    os.kill(gateway.pids["worker 0"], signal.SIGSTOP)  # A worker that would never finish.
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.wait() == 0


def test_a_hang_up_changes_nothing(gateway: Gateway) -> None:
    pids = gateway.pids
    gateway.process.send_signal(signal.SIGHUP)
    assert chat(gateway, gateway.token()) == 200
    assert gateway.pids == pids


def test_a_second_start_on_the_same_data_says_who_holds_it(gateway: Gateway) -> None:
    second = run_command("up", "--port", "0", data=gateway.data)
    assert second.returncode == 1
    assert second.stderr.startswith(f"error directory_busy: process {gateway.pids['supervisor']} is using ")
    assert "  fix  " in second.stderr


def test_a_taken_port_is_refused_even_when_its_owner_would_share_it(directory: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        refused = run_command("up", "--port", port, data=directory / "data")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error address_unavailable: port {port} of 127.0.0.1 is taken")
    assert refused.stdout == ""


def test_nobody_else_shares_our_port(start_gateway: StartGateway) -> None:
    port = str(urlsplit(start_gateway().url).port)
    with pytest.raises(AssertionError, match="address_unavailable"):
        start_gateway("", "--port", port)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[server\n", "jotgate.toml:1 is not TOML: "),
        ("[server]\nprot = 1\n", "server.prot is not a setting; did you mean 'port'?"),
        ('[server]\nhost = "0.0.0.0"\n', "server.host is '0.0.0.0', which other machines can reach"),
        (
            _UPSTREAM + 'credential_env = "JOTGATE_TEST_UNSET"\n',
            "upstreams[0].credential_env names the environment variable 'JOTGATE_TEST_UNSET', which is set neither",
        ),
    ],
)
def test_a_fault_in_the_configuration_stops_the_start_and_is_named(directory: Path, config: str, said: str) -> None:
    file = directory / "jotgate.toml"
    file.write_text(config)
    refused = run_command("up", "--port", "0", "--config", str(file), data=directory / "data")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error configuration: ")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


def test_data_too_deep_for_sockets_is_refused(directory: Path) -> None:
    refused = run_command("up", "--port", "0", data=directory / ("d" * 120))
    assert refused.returncode == 1
    assert "error directory_refused: " in refused.stderr
    assert "may have 107" in refused.stderr


def test_sockets_and_files_of_data_are_private(gateway: Gateway) -> None:
    wide = [path for path in gateway.data.rglob("*") if path.lstat().st_mode & 0o077]
    assert wide == []
    assert gateway.data.stat().st_mode & 0o777 == 0o700


def test_the_first_lines_hold_no_token_where_they_may_end_in_a_log(gateway: Gateway) -> None:
    assert gateway.first_lines.startswith(f"jotgate serves {gateway.url}\n")
    assert _JWT.search(gateway.first_lines) is None
    assert f"export OPENAI_BASE_URL={gateway.url}/v1\n" in gateway.first_lines


def test_the_first_lines_send_callers_to_the_public_url(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway('[server]\npublic_url = "https://gateway.example"\n')
    assert gateway.first_lines.startswith(f"jotgate serves {gateway.url} as https://gateway.example\n")
    assert gateway.url.startswith("http://127.0.0.1:")
    assert "curl https://gateway.example/v1/chat/completions " in gateway.first_lines
    assert "export OPENAI_BASE_URL=https://gateway.example/v1\n" in gateway.first_lines


@pytest.mark.usefixtures("curl")
def test_the_printed_curl_line_works_as_pasted(gateway: Gateway) -> None:
    line = next(line for line in gateway.first_lines.splitlines() if line.startswith("  curl "))
    answer = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, check=True, timeout=20, env=clean_environment({})
    )
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == "hello"


def test_a_terminal_is_shown_a_token_that_works(directory: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "jotgate", "up", "--data", str(directory / "data"), "--port", "0"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=clean_environment({})
    ) as process:
        os.close(theirs)
        text = b""
        while text.count(b"OPENAI_API_KEY") < 1 or not text.endswith(b"\n"):
            text += os.read(ours, 65_536)
        try:
            tokens = set(_JWT.findall(text.decode()))
            assert len(tokens) == 1
            url = text.decode().split()[2]
            assert request(url, "POST", "/v1/chat/completions", tokens.pop(), _CHAT)[0] == 200
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
            os.close(ours)


def test_nobody_to_read_its_first_lines_is_no_reason_to_end(directory: Path) -> None:
    data = directory / "data"
    command = [sys.executable, "-P", "-m", "jotgate", "up", "--data", str(data), "--port", "0"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    with subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, env=clean_environment({})) as process:
        os.close(write_end)
        until((data / "control.sock").exists, "the operator's socket is there")
        made = run_command("token", "create", "--subject", "me", data=data)
        assert made.returncode == 0
        until(lambda: worker_connected(data), "a worker is connected")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (0, b"")


def test_the_issuer_keeps_its_first_name_when_the_port_changes(directory: Path) -> None:
    data = directory / "data"
    token = run_command("token", "create", "--subject", "early", data=data).stdout.strip()
    installation = json.loads((data / "installation.json").read_text())
    assert installation == {"issuer": "http://127.0.0.1:8080"}
    gateway = Gateway(data)
    try:
        gateway.start()
        assert gateway.url != installation["issuer"]
        assert chat(gateway, token) == 200
    finally:
        gateway.kill()


def test_another_public_url_than_the_fixed_one_is_refused(directory: Path) -> None:
    data, file = directory / "data", directory / "jotgate.toml"
    run_command("token", "create", "--subject", "early", data=data)
    file.write_text('[server]\npublic_url = "https://gateway.example"\n')
    refused = run_command("up", "--port", "0", "--config", str(file), data=data)
    assert refused.returncode == 1
    assert "server.public_url is 'https://gateway.example', but this installation is" in refused.stderr
    assert "stopping" in refused.stderr


def test_a_path_that_control_does_not_have_is_refused_as_any_other(gateway: Gateway) -> None:
    status, answer = request(gateway.url, "GET", "/.well-known/security.txt")
    assert (status, answer["error"]["code"]) == (404, "unknown_operation")
    for path in ("/tokens", "/tokens/verify", "/status"):  # The operator's paths are not reached through the edge.
        status, answer = request(gateway.url, "POST", path, content={"subject": "thief"})
        assert (status, answer["error"]["code"]) == (404, "unknown_operation")

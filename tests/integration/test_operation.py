"""Operating a gateway: figures, logs, stopping it, service managers, users without rights, the first run."""

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jotgate.testing.running import Gateway, clean_environment, run_command, short_directory, until
from jotgate.testing.upstream import Gate, UpstreamServer, chunked, unary, upstream_in_thread
from tests.exposition import Exposition, read_exposition
from tests.integration.exchanges import Caller, chat_body, configuration, record_of, records

StartGateway = Callable[..., Gateway]

NOBODY = 65_534
SOURCE = Path(__file__).resolve().parents[2] / "src"


def metrics_url(gateway: Gateway) -> str:
    """Where the figures are shown without a token."""
    shown = run_command("status", "--json", data=gateway.data)
    (url,) = json.loads(shown.stdout)["metrics"]
    return str(url)


def scrape(url: str, host: str = "") -> tuple[int, str]:
    """One look at the figures: status and body."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("GET", address.path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def figures(url: str) -> Exposition:
    """The figures now."""
    status, body = scrape(url)
    assert status == 200
    return read_exposition(body)


def count(found: Exposition) -> float:
    """The requests that have ended."""
    return found.total("jotgate_requests_total")


# Figures


def test_every_request_is_in_the_figures_of_all_workers(
    start_gateway: StartGateway, call: Callable[..., Caller]
) -> None:
    gateway = start_gateway('[metrics]\nlisten = "127.0.0.1:0"\n', "--workers", "2")
    url, token = metrics_url(gateway), gateway.token()
    for number in range(20):
        assert call(gateway, token if number < 12 else "").chat().status == (200 if number < 12 else 401)
    until(lambda: count(figures(url)) == 20, "all requests are counted")
    found = figures(url)
    assert found.total("jotgate_requests_total", outcome="complete", status="2xx", operation="chat.completions") == 12
    assert found.value("jotgate_refusals_total", code="token_missing") == 8
    assert found.value("jotgate_upstream_attempts_total", upstream="echo", outcome="complete") == 12
    assert found.value("jotgate_tokens_total", upstream="echo", direction="in") > 0
    assert found.value("jotgate_added_duration_seconds_count", operation="chat.completions") == 12
    hits = found.value("jotgate_verifications_total", cache="hit")
    misses = found.value("jotgate_verifications_total", cache="miss")
    assert hits + misses == 12
    assert misses in {1, 2}, "each worker that saw the token verified it once"
    assert {dict(labels)["worker"] for name, labels in found.samples if name == "jotgate_live_calls"} == {"0", "1"}
    until(lambda: figures(url).total("jotgate_audit_waiting_rows") == 0, "all rows are confirmed")
    assert found.value("jotgate_control_silence_seconds", worker="0") < 3


def test_figures_go_on_when_a_worker_is_replaced(start_gateway: StartGateway, call: Callable[..., Caller]) -> None:
    gateway = start_gateway('[metrics]\nlisten = "127.0.0.1:0"\n')
    url, caller = metrics_url(gateway), call(gateway, gateway.token())
    assert caller.chat().status == 200
    until(lambda: count(figures(url)) == 1, "the request is counted")
    worker = gateway.pids["worker 0"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: figures(url).total("jotgate_worker_restarts_total") == 1, "the restart is counted")
    caller.close()
    assert caller.chat().status == 200
    until(lambda: count(figures(url)) == 2, "both are counted")


def test_a_name_that_was_pointed_at_loopback_reads_nothing(start_gateway: StartGateway) -> None:
    gateway = start_gateway('[metrics]\nlisten = "127.0.0.1:0"\n')
    url = metrics_url(gateway)
    port = urlsplit(url).port
    assert scrape(url, f"evil.example:{port}")[0] == 403
    assert scrape(url, f"localhost:{port}")[0] == 200
    assert scrape(url.removesuffix("/metrics") + "/status")[0] == 404


def test_the_gateways_port_shows_figures_to_a_token_with_their_scope_only(
    gateway: Gateway, call: Callable[..., Caller]
) -> None:
    scraper = call(gateway, gateway.token("--scope", "metrics"))
    shown = scraper("GET", "/metrics", headers={"X-Request-Id": "scrape-1"})
    assert shown.status == 200
    assert shown.all("content-type") == ["text/plain; version=0.0.4; charset=utf-8"]
    read_exposition(shown.body.decode())
    assert record_of(gateway, "scrape-1")["operation"] == "metrics"
    refused = call(gateway, gateway.token())("GET", "/metrics")
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    assert call(gateway)("GET", "/metrics").code == "token_missing"
    assert scraper.chat().code == "insufficient_scope"


def test_figures_are_refused_while_control_is_gone_and_that_is_recorded(
    gateway: Gateway, call: Callable[..., Caller]
) -> None:
    scraper = call(gateway, gateway.token("--scope", "metrics"))
    os.kill(gateway.pids["supervisor"], signal.SIGSTOP)  # Nobody starts another control meanwhile.
    try:
        os.kill(gateway.pids["control"], signal.SIGKILL)
        (gateway.data / "edge.sock").rename(gateway.data / "edge.away")
        refused = scraper("GET", "/metrics", headers={"X-Request-Id": "scrape-2"})
        assert (refused.status, refused.code) == (503, "control_unreachable")
        (gateway.data / "edge.away").rename(gateway.data / "edge.sock")
    finally:
        os.kill(gateway.process.pid, signal.SIGCONT)
    assert record_of(gateway, "scrape-2")["status"] == 503


# Logs


def test_no_secret_reaches_the_log_whatever_goes_wrong(
    start_gateway: StartGateway, call: Callable[..., Caller]
) -> None:
    canary = "canary-credential-0123456789"
    with upstream_in_thread(unary(b"{}", 401), [b"HTTP/1.1 200 OK\r\nContent-Le"]) as upstream:
        gateway = start_gateway(
            configuration(upstream),
            "--log-format", "json", "--log-level", "debug",
            environment={"SCRIPTED_KEY": canary},
        )  # fmt: skip
        token = gateway.token()
        fields = {"Cookie": "session=canary-cookie", "X-Request-Id": "req-canary"}
        caller = call(gateway, token)
        key = {"X-Api-Key": "canary-key"}
        assert caller("POST", "/v1/chat/completions", chat_body("m"), headers={**fields, **key}).status == 400
        assert caller("POST", "/v1/chat/completions", chat_body("m", "canary-prompt"), headers=fields).status == 502
        upstream_port = upstream.port
    assert upstream_port
    assert caller("POST", "/v1/chat/completions", chat_body("m", "canary-prompt"), headers=fields).status == 502
    assert caller("GET", "/v1/models", token=token.encode() + b"x", headers=fields).status == 401
    assert caller("POST", "/canary-path", b"canary-body", headers=fields).status == 404
    os.kill(gateway.pids["worker 0"], signal.SIGKILL)
    until(lambda: "child_ended" in gateway.errors, "the end is logged")
    (gateway.data.parent / "jotgate.toml").write_text("[server]\nport = 'canary-port'\n[wrong")
    until(lambda: "reload_refused" in gateway.errors, "the refusal is logged")
    said = gateway.errors
    events = {json.loads(line)["event"] for line in said.splitlines()}
    assert {"call_failed", "call_refused", "child_ended", "reload_refused"} <= events
    assert '"request_id":"req-canary"' in said
    for bird in (
        canary,
        token,
        token.rpartition(".")[2],
        "canary-cookie",
        "canary-key",
        "canary-prompt",
        "canary-body",
    ):
        assert bird not in said


def test_the_log_is_json_where_no_terminal_is(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--log-format", "auto")
    worker = gateway.pids["worker 0"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: gateway.errors.endswith("\n"), "the end is logged")
    line = json.loads(gateway.errors.splitlines()[0])
    assert (line["process"], line["event"], line["level"]) == ("supervisor", "child_ended", "warning")


# Stopping


class Stream:
    """A streamed call of the model `m`, read by hand."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        address = urlsplit(gateway.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
        body = json.dumps(chat_body("m", stream=True))
        self._connection.request(
            "POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {token}", "X-Request-Id": "streamed"}
        )
        self._response = self._connection.getresponse()
        assert self._response.status == 200

    def rest(self) -> bytes:
        """All that is still to come."""
        try:
            return self._response.read()
        finally:
            self._response.close()
            self._connection.close()


def test_a_stop_lets_a_stream_end_and_tells_kept_connections(
    start_gateway: StartGateway, upstream: UpstreamServer, call: Callable[..., Caller]
) -> None:
    gate = Gate()
    upstream.script.append(chunked(b"data: 1\n\n", gate, b"data: 2\n\n"))
    gateway = start_gateway(configuration(upstream), environment={"SCRIPTED_KEY": "k" * 8})
    token = gateway.token()
    stream = Stream(gateway, token)
    kept = call(gateway, token)
    assert kept.chat().all("connection") == []
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: not accepts(gateway), "nothing more is accepted")
    last = kept.chat()
    assert (last.status, last.all("connection")) == (200, ["close"])
    gate.open()
    assert stream.rest().endswith(b"data: 2\n\n")
    assert gateway.wait() == 0
    assert record_of(gateway, "streamed")["outcome"] == "complete"
    assert run_command("audit", "verify", data=gateway.data).returncode == 0


def accepts(gateway: Gateway) -> bool:
    """Whether somebody answers on a new connection."""
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), 5) as connection:
        connection.settimeout(0.3)
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        try:
            return bool(connection.recv(1))
        except (TimeoutError, ConnectionResetError):
            return False


def test_what_does_not_end_in_time_is_cut_off_and_recorded(
    start_gateway: StartGateway, upstream: UpstreamServer
) -> None:
    upstream.script.append(chunked(b"data: 1\n\n", Gate(), b"data: 2\n\n"))
    settings = configuration(upstream, '[server]\ndrain_timeout = "1s"')
    gateway = start_gateway(settings, environment={"SCRIPTED_KEY": "k" * 8})
    stream = Stream(gateway, gateway.token())
    began_s = time.monotonic()
    assert gateway.stop() == 0
    assert 0.9 <= time.monotonic() - began_s < 6
    with pytest.raises(http.client.IncompleteRead):
        stream.rest()
    record = record_of(gateway, "streamed")
    assert (record["outcome"], record["status"]) == ("cancelled", 200)


def test_a_worker_that_is_told_to_stop_is_replaced_while_it_finishes_its_stream(
    start_gateway: StartGateway, upstream: UpstreamServer, call: Callable[..., Caller]
) -> None:
    gate = Gate()
    upstream.script.append(chunked(b"data: 1\n\n", gate, b"data: 2\n\n"))
    gateway = start_gateway(configuration(upstream), environment={"SCRIPTED_KEY": "k" * 8})
    token = gateway.token()
    stream = Stream(gateway, token)
    before = gateway.pids["worker 0"]
    os.kill(before, signal.SIGTERM)
    until(lambda: "takes nothing more and finishes its calls; starting another" in gateway.errors, "it drains")
    assert call(gateway, token).chat().status == 200
    assert Path(f"/proc/{before}").exists()
    gate.open()
    assert stream.rest().endswith(b"data: 2\n\n")
    until(lambda: not Path(f"/proc/{before}").exists(), "the first has ended")
    assert call(gateway, token).chat().status == 200
    until(lambda: len(records(gateway)) == 3, "each call is recorded, whichever worker had it")


# Service managers, and users without rights


def test_a_service_manager_hears_of_start_reload_and_stop(start_gateway: StartGateway, directory: Path) -> None:
    path = directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        gateway = start_gateway("", environment={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(4_096).startswith(b"READY=1\nSTATUS=serving http://127.0.0.1:")
        gateway.process.send_signal(signal.SIGHUP)
        assert manager.recv(4_096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4_096).startswith(b"READY=1\n")
        assert gateway.stop() == 0
        assert manager.recv(4_096).startswith(b"STOPPING=1\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_nobody_can_run_it_from_a_tree_that_nobody_can_write() -> None:
    with short_directory() as directory:
        directory.chmod(0o755)
        tree = directory / "tree"
        shutil.copytree(SOURCE / "jotgate", tree / "jotgate", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (tree, *tree.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        home = directory / "home"
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY, NOBODY)
        before = listing(tree)
        command = [*as_nobody(), sys.executable, "-P", "-m", "jotgate"]
        environment = clean_environment({"PYTHONPATH": str(tree), "JOTGATE_DATA": str(home / "d"), "HOME": str(home)})
        with subprocess.Popen(
            [*command, "up", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=home,
            text=True,
        ) as running:
            try:
                assert running.stdout is not None
                url = running.stdout.readline().split()[-1]
                made = subprocess.run(
                    [*command, "token", "create", "--subject", "me"],
                    capture_output=True, text=True, env=environment, cwd=home, timeout=20, check=True,
                )  # fmt: skip
                address = urlsplit(url)
                connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
                headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
                connection.request("POST", "/v1/chat/completions", json.dumps(chat_body()), headers)
                assert connection.getresponse().status == 200
                connection.close()
                assert Path(f"/proc/{running.pid}").stat().st_uid == NOBODY
            finally:
                running.terminate()
            assert running.wait(20) == 0
        assert listing(tree) == before
        assert stat.S_IMODE((home / "d").stat().st_mode) == 0o700


def as_nobody() -> list[str]:
    """How to run a program as nobody.

    Where the interpreter lies in a home that nobody may enter, the right to read is added; that to write never is.
    """
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    inner = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"]
    if subprocess.run([*prefix, *inner], capture_output=True, check=False).returncode == 0:
        return prefix
    return [*prefix, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def listing(tree: Path) -> dict[str, float]:
    """What lies in a tree, and when it was changed."""
    return {str(path): path.stat().st_mtime for path in sorted(tree.rglob("*"))}


# The first run

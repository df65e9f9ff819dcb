"""TLS towards callers: who gets in, what is shown, and a new certificate that disturbs nobody."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from openai import OpenAI

from jotgate.testing.certificates import Authority, Pair, serial
from jotgate.testing.running import Gateway, NeverCameTrue, clean_environment, until
from tests.integration.exchanges import chat_body, records


@pytest.fixture
def authority(directory: Path) -> Authority:
    return Authority(directory)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what it has been given."""
    with ExitStack() as given:
        yield given


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], pair: Pair) -> Gateway:
    """A gateway with two workers that speaks TLS."""
    return start_gateway("", "--workers", "2", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.root))


@contextmanager
def connected(gateway: Gateway, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    """A connection with its handshake done."""
    address = urlsplit(gateway.url)
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, timeout=10, context=context)
    with closing(connection):
        connection.connect()
        yield connection


def ask_once(gateway: Gateway, context: ssl.SSLContext, token: str) -> int:
    """`ask` on a connection of its own."""
    with connected(gateway, context) as connection:
        return ask(connection, token)


def ask(connection: http.client.HTTPSConnection, token: str) -> int:
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    response.read()
    return response.status


def shown(gateway: Gateway, context: ssl.SSLContext) -> int:
    """The serial number of the certificate that a new connection is shown."""
    with connected(gateway, context) as connection:
        assert isinstance(connection.sock, ssl.SSLSocket)
        certificate = connection.sock.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def test_curl_speaks_to_it_with_what_it_prints(gateway: Gateway, authority: Authority) -> None:
    assert gateway.url.startswith("https://127.0.0.1:")
    command = ["curl", "-sS", "-i", "--cacert", str(authority.root), f"{gateway.url}/v1/chat/completions"]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Bearer {gateway.token()}", "-d", json.dumps(chat_body())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("HTTP/1.1 200")
    assert "strict-transport-security" not in done.stdout.lower(), "not for localhost, whose ports are many programs'"


@pytest.mark.peers
def test_the_openai_sdk_speaks_to_it_streamed_too(
    gateway: Gateway, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.token(), max_retries=0) as client:
        said = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "over TLS"}])
        assert said.choices[0].message.content == "over TLS"
        stream = client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "one two three"


def test_only_tls_with_forward_secrecy_is_spoken(gateway: Gateway, authority: Authority) -> None:
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        context = trusting(authority)
        context.minimum_version = context.maximum_version = version
        with connected(gateway, context) as connection:
            assert isinstance(connection.sock, ssl.SSLSocket)
            assert connection.sock.version() == name
            cipher = connection.sock.cipher()
        assert cipher is not None
        assert cipher[0].startswith(("ECDHE-", "TLS_"))
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
    context = trusting(authority)
    context.set_ciphers("AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), connected(gateway, context):
        pass


@pytest.mark.parametrize(
    "words", [b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 100]
)
def test_who_speaks_no_tls_gets_nothing_and_leaves_no_trace(
    gateway: Gateway, authority: Authority, words: bytes
) -> None:
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        try:
            assert b"HTTP/" not in connection.recv(4096)
        except ConnectionResetError:
            pass
    assert ask_once(gateway, trusting(authority), gateway.token()) == 200
    assert gateway.errors == ""


def test_the_oldest_tls_can_be_raised(start_gateway: Callable[..., Gateway], authority: Authority, pair: Pair) -> None:
    gateway = start_gateway(f'[tls]\ncert = "{pair.cert}"\nkey = "{pair.key}"\nmin_version = "1.3"\n')
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), connected(gateway, context):
        pass
    assert ask_once(gateway, trusting(authority), gateway.token()) == 200


def test_with_client_ca_only_a_client_with_a_certificate_of_its_gets_in(
    start_gateway: Callable[..., Gateway], authority: Authority, pair: Pair, directory: Path
) -> None:
    clients = Authority(directory, "clients authority")
    gateway = start_gateway(f'[tls]\ncert = "{pair.cert}"\nkey = "{pair.key}"\nclient_ca = "{clients.root}"\n')
    token = gateway.token()
    good, stranger = clients.issue("client"), authority.issue("stranger")
    ended = clients.issue("ended", life=-timedelta(days=1))
    for shows in (None, stranger, ended):
        context = trusting(authority)
        if shows is not None:
            context.load_cert_chain(shows.cert, shows.key)
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            ask_once(gateway, context, token)
    context = trusting(authority)
    context.load_cert_chain(good.cert, good.key)
    assert ask_once(gateway, context, token) == 200
    assert gateway.errors == ""


def test_a_new_certificate_is_shown_to_new_connections_and_disturbs_no_running_ones(
    gateway: Gateway, authority: Authority, pair: Pair, stack: ExitStack
) -> None:
    token, context = gateway.token(), trusting(authority)
    kept = stack.enter_context(connected(gateway, context))
    assert ask(kept, token) == 200
    streaming = stack.enter_context(connected(gateway, context))
    body = json.dumps(chat_body(text="word " * 2_000, stream=True))
    streaming.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {token}"})
    stream = streaming.getresponse()
    first = stream.read(100)
    failures: list[BaseException] = []
    stopping = threading.Event()

    def call_for_ever() -> None:
        while not stopping.is_set():
            try:
                assert ask_once(gateway, context, token) == 200
            except (AssertionError, OSError, http.client.HTTPException) as failure:
                failures.append(failure)

    calling = threading.Thread(target=call_for_ever)
    calling.start()
    for _ in range(2):
        before = serial(pair.cert)
        authority.issue("server")
        assert before != serial(pair.cert)
        until(
            lambda: all(shown(gateway, context) == serial(pair.cert) for _ in range(30)), "all workers show the new one"
        )
        assert {shown(gateway, context) for _ in range(100)} == {serial(pair.cert)}
    stopping.set()
    calling.join()
    assert failures == []
    assert ask(kept, token) == 200
    whole = first + stream.read()
    assert whole.endswith(b"data: [DONE]\n\n")
    assert len([record for record in records(gateway) if record["outcome"] != "complete"]) == 0


def test_a_worker_that_is_stopped_lets_a_handshake_under_way_ask_once(gateway: Gateway, authority: Authority) -> None:
    address, incoming, outgoing = urlsplit(gateway.url), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(authority).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read())
        while not tls.cipher():
            incoming.write(connection.recv(65_536))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        for slot in range(2):
            os.kill(gateway.pids[f"worker {slot}"], signal.SIGTERM)
        until(lambda: gateway.errors.count("takes nothing more") == 2, "they take nothing more")
        tls.write(b"GET /health HTTP/1.1\r\nHost: gate\r\n\r\n")
        connection.sendall(outgoing.read())
        answer = b""
        while not answer:
            came = connection.recv(65_536)
            assert came, "it is not cut off"
            incoming.write(came)
            with suppress(ssl.SSLWantReadError):
                answer = tls.read(65_536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_certificate_that_does_not_fit_is_refused_and_the_old_one_stays(
    gateway: Gateway, authority: Authority, pair: Pair
) -> None:
    before = serial(pair.cert)
    other = authority.issue("other")
    pair.cert.write_bytes(other.cert.read_bytes())
    until(lambda: "tls.key" in gateway.errors, "it says what is wrong")
    assert f"is not the key of '{pair.cert}'" in gateway.errors
    assert shown(gateway, trusting(authority)) == before
    pair.key.write_bytes(other.key.read_bytes())
    until(lambda: shown(gateway, trusting(authority)) == serial(other.cert), "the pair is shown")


@pytest.mark.usefixtures("curl")
@pytest.mark.parametrize("place", ["directory", "a directory"])
def test_the_printed_curl_line_trusts_a_certificate_that_the_machine_does_not(
    start_gateway: Callable[..., Gateway], directory: Path, place: str
) -> None:
    (directory / place).mkdir()
    pair = Authority(directory / place).issue("server")
    gateway = start_gateway("", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    line = next(line for line in gateway.first_lines.splitlines() if line.startswith("  curl "))
    answer = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, check=True, timeout=30, env=clean_environment({})
    )
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == "hello"
    assert "SSL_CERT_FILE" not in gateway.first_lines, "an SDK takes roots alone"


def test_a_certificate_for_another_name_is_said(start_gateway: Callable[..., Gateway], authority: Authority) -> None:
    pair = authority.issue("elsewhere", hosts=("gateway.example",))
    gateway = start_gateway("", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    assert "\nClients do not accept its certificate: " in gateway.first_lines
    assert "--cacert" not in gateway.first_lines


def test_behind_its_public_url_the_certificate_is_tried_for_that_name(
    start_gateway: Callable[..., Gateway], authority: Authority
) -> None:
    config = '[server]\npublic_url = "https://gateway.example"\n'
    for hosts, known in ((("gateway.example",), True), (("elsewhere.example",), False)):
        pair = authority.issue("server", hosts=hosts)
        gateway = start_gateway(config, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
        assert (f"--cacert {pair.cert} https://gateway.example/" in gateway.first_lines) is known
        assert "do not accept" not in gateway.first_lines


def test_a_root_that_signs_for_itself_is_told_to_sdks_too(
    start_gateway: Callable[..., Gateway], authority: Authority
) -> None:
    pair = authority.issue("server")
    pair.cert.write_bytes(pair.cert.read_bytes() + authority.root.read_bytes())
    gateway = start_gateway("", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    assert f"\n  export SSL_CERT_FILE={pair.cert} NODE_EXTRA_CA_CERTS={pair.cert}\n" in gateway.first_lines


def test_a_key_that_does_not_fit_stops_the_start(
    start_gateway: Callable[..., Gateway], authority: Authority, pair: Pair
) -> None:
    other = authority.issue("other")
    with pytest.raises(NeverCameTrue, match=r"tls\.key.* is not the key of"):
        start_gateway("", "--tls-cert", str(pair.cert), "--tls-key", str(other.key))


@pytest.fixture
def outside() -> str:
    """An address of this machine that others may reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            address = ""
    if not address or address.startswith("127."):
        address = "0.0.0.0"  # noqa: S104 - no other interface here; it stands for all
    return address


def test_others_reach_it_under_tls_only(start_gateway: Callable[..., Gateway], directory: Path, outside: str) -> None:
    with pytest.raises(NeverCameTrue, match=r"server\.host.*tokens would cross the network in the clear"):
        start_gateway("", "--host", outside)
    authority = Authority(directory, "outside authority")
    pair = authority.issue("outside", hosts=("127.0.0.1", *([outside] if outside != "0.0.0.0" else [])))  # noqa: S104
    config = '[server]\npublic_url = "https://gateway.example"\n'
    gateway = start_gateway(config, "--host", outside, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    port = urlsplit(gateway.url).port
    host = outside if outside != "0.0.0.0" else "127.0.0.1"  # noqa: S104
    with closing(http.client.HTTPSConnection(host, port, timeout=10, context=trusting(authority))) as connection:
        connection.request("GET", "/health")
        response = connection.getresponse()
    assert (response.status, response.getheader("Strict-Transport-Security")) == (200, "max-age=31536000")


@pytest.fixture
def public(start_gateway: Callable[..., Gateway], authority: Authority) -> Gateway:
    """A gateway that others reach, by its configuration alone."""
    pair = authority.issue("public", hosts=("0.0.0.0",))  # noqa: S104 - it is asked there
    return start_gateway(_public_settings("0.0.0.0", pair))  # noqa: S104 - under TLS


def _public_settings(host: str, pair: Pair | None) -> str:
    tls = f'[tls]\ncert = "{pair.cert}"\nkey = "{pair.key}"\n' if pair else ""
    return f'[server]\nhost = "{host}"\npublic_url = "https://gateway.example"\n{tls}'


def test_a_reload_does_not_put_in_the_clear_what_others_still_reach(public: Gateway, authority: Authority) -> None:
    public.config.write_text(_public_settings("127.0.0.1", None))
    until(lambda: public.status()["faults"], "the faults are noticed")
    assert "server.host was '0.0.0.0' at the start, and it is still listened on" in public.errors
    assert public.status()["snapshot"] == 1
    token, told = public.token(), public.errors.count("server.host was")
    os.kill(public.pids["control"], signal.SIGKILL)
    until(lambda: public.errors.count("server.host was") > told, "another control process refuses them too")
    assert ask_once(public, trusting(authority), token) == 200


def test_a_host_that_is_not_listened_on_yet_changes_nothing(public: Gateway, authority: Authority) -> None:
    public.config.write_text(public.config.read_text().replace("0.0.0.0", "127.0.0.1"))  # noqa: S104
    public.reload()
    assert public.status()["pending"] == ["server.host"]
    with connected(public, trusting(authority)) as connection:
        connection.request("GET", "/health")
        assert connection.getresponse().getheader("Strict-Transport-Security") == "max-age=31536000"


def test_behind_a_proxy_it_listens_in_the_clear_and_knows_its_callers(
    start_gateway: Callable[..., Gateway], outside: str
) -> None:
    with pytest.raises(NeverCameTrue, match=r"behind_proxy.*needs server\.trusted_proxies"):
        start_gateway("", "--host", outside, "--behind-proxy")
    config = f'[server]\npublic_url = "https://gateway.example"\ntrusted_proxies = ["127.0.0.1", "{outside}"]\n'
    if outside == "0.0.0.0":  # noqa: S104
        config = config.replace(f', "{outside}"', "")
    gateway = start_gateway(config, "--host", outside, "--behind-proxy")
    host = outside if outside != "0.0.0.0" else "127.0.0.1"  # noqa: S104
    fields = {"Authorization": f"Bearer {gateway.token()}", "X-Forwarded-For": "198.51.100.7, 203.0.113.5"}
    with closing(http.client.HTTPConnection(host, urlsplit(gateway.url).port, timeout=10)) as connection:
        connection.request("GET", "/v1/models", headers=fields)
        assert connection.getresponse().status == 200
    until(lambda: [record["peer"] for record in records(gateway)] == ["203.0.113.5"], "the caller is recorded")

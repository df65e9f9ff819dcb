"""The keys of other issuers while they rotate, go and come back: what callers and the operator see of it.

The issuers are real servers on loopback. Times are those of the settings, so a test waits for what it asserts.
"""

import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from jotgate.testing.certificates import Authority
from jotgate.testing.issuer_server import DISCOVERY_PATH, JWKS_PATH, IssuerServer, issuer_in_thread
from jotgate.testing.running import Gateway, run_command, until
from jotgate.testing.upstream import Gate, unary
from tests.exposition import read_exposition
from tests.integration.exchanges import Answer, Caller

_AUDIENCE = "https://gate.example"
StartGateway = Callable[..., Gateway]


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    with issuer_in_thread() as server:
        yield server


@pytest.fixture
def call(issuer: IssuerServer) -> Iterator[Callable[..., Answer]]:
    """One call of the gateway with a new token of the issuer, or with this one."""
    with ExitStack() as stack:

        def send(gateway: Gateway, token: str = "") -> Answer:
            caller = Caller(gateway, token or issuer.mint(_AUDIENCE))
            stack.callback(caller.close)
            return caller.chat()

        yield send


def settings(issuer: IssuerServer, way: str = "discovery", **more: str) -> str:
    """One `[[issuers]]`."""
    lines = {"discovery": "discovery = true", "url": f'jwks_url = "{issuer.jwks_url}"'}[way]
    extra = "".join(f"{name} = {value}\n" for name, value in more.items())
    return (
        f'[[issuers]]\nname = "idp"\nissuer = "{issuer.issuer}"\n{lines}\n'
        f'audiences = ["{_AUDIENCE}"]\nalgorithms = ["ES256"]\n{extra}'
    )


def outage(issuer: IssuerServer) -> None:
    issuer.do(issuer.refuse())
    issuer.do(issuer.hang_up())


def standing(gateway: Gateway) -> dict[str, object]:
    (only,) = gateway.status()["issuer_keys"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("way", ["discovery", "url"])
def test_tokens_of_another_issuer_are_taken_from_the_first_request_on(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer], way: str
) -> None:
    gateway = start_gateway(settings(issuer, way), "--workers", "2")
    assert [call(gateway).status for _ in range(8)] == [200] * 8
    assert issuer.key_fetches == 1
    assert issuer.count(DISCOVERY_PATH) == (way == "discovery")


def test_the_first_token_with_a_new_key_is_taken_by_each_worker(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer, cooldown='"1s"'), "--workers", "2")
    for _ in range(5):
        issuer.rotate(drop=True)
        fetches = issuer.key_fetches
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: call(gateway).status, range(16)))
        assert statuses == [200] * 16
        assert issuer.key_fetches == fetches + 1
        issued_s = time.monotonic()
        until(lambda: time.monotonic() - issued_s > 1.0, "the cooldown has ended")  # noqa: B023 - called at once


def test_inside_the_cooldown_an_unknown_key_is_a_401_and_fetches_nothing(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer), "--workers", "2")
    forger = issuer.make_key()
    refused = [call(gateway, issuer.mint(_AUDIENCE, key=issuer.make_key())) for _ in range(20)]
    refused.append(call(gateway, issuer.mint(_AUDIENCE, key=forger)))
    assert {(answer.status, answer.code) for answer in refused} == {(401, "key_unknown")}
    assert issuer.key_fetches == 2
    issuer.rotate()
    assert call(gateway).status == 401, "published behind the fetch that claimed the cooldown"
    assert issuer.key_fetches == 2


def test_in_an_outage_known_keys_go_on_and_unknown_ones_cannot_be_known(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer, cooldown='"2s"'))
    before = issuer.mint(_AUDIENCE)
    outage(issuer)
    assert call(gateway, before).status == 200
    issuer.rotate()
    answer = call(gateway)
    assert (answer.status, answer.code) == (503, "issuer_unavailable")
    assert 1 <= int(answer.all("retry-after")[0]) <= 2
    assert call(gateway, before).status == 200
    assert "cannot be fetched, and those of before go on being used" in gateway.errors
    issuer.do(issuer.accept())
    until(lambda: call(gateway).status == 200, "the new key is known without a restart")
    assert "are fetched again" not in gateway.errors.split("cannot be fetched")[0]
    assert standing(gateway)["fault"] == ""


def test_an_issuer_that_is_away_at_the_start_holds_up_nobody_else(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    outage(issuer)
    gateway = start_gateway(settings(issuer))
    ours = Caller(gateway, gateway.token())
    assert ours.chat().status == 200
    answer = call(gateway)
    assert (answer.status, answer.code) == (503, "issuer_unavailable")
    assert int(answer.all("retry-after")[0]) >= 1
    ready = ours("GET", "/health/ready")
    assert (ready.status, ready.json) == (200, {"status": "ok", "issuers_without_keys": ["idp"]})
    said = run_command("status", data=gateway.data).stdout
    assert "idp: NO KEYS, and its tokens get 503" in said
    assert "the last fetch failed: " in said
    issuer.do(issuer.accept())
    until(lambda: call(gateway).status == 200, "it came")
    assert ours("GET", "/health/ready").json == {"status": "ok"}
    assert "idp: 1 key, fetched " in run_command("status", data=gateway.data).stdout
    ours.close()


def test_readiness_waits_for_the_first_fetch_and_no_longer_than_it_may(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gate = Gate()
    issuer.answers[JWKS_PATH] = [gate, *unary(issuer.jwks())]
    begun_s = time.monotonic()
    gateway = start_gateway(f'[server]\nissuer_wait = "1s"\n{settings(issuer, timeout=chr(34) + "60s" + chr(34))}')
    assert time.monotonic() - begun_s >= 1.0
    assert call(gateway).status == 503
    assert "not waiting any longer for the keys of idp" in gateway.errors
    gate.open()
    until(lambda: call(gateway).status == 200, "its keys have come")


def test_readiness_waits_until_the_first_fetch_has_ended(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gate = Gate()
    issuer.answers[JWKS_PATH] = [gate, *unary(issuer.jwks())]
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start_gateway, settings(issuer))
        issuer.do(issuer.until_requests(2))
        assert not starting.done()
        gate.open()
        assert call(starting.result()).status == 200


def test_a_request_that_waits_survives_the_death_of_control(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer), "--workers", "2")
    assert call(gateway).status == 200
    issuer.rotate()
    gate = Gate()
    issuer.answers[JWKS_PATH] = [gate]
    fetches = issuer.key_fetches
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, gateway)
        until(lambda: issuer.key_fetches > fetches, "its key is being fetched")
        del issuer.answers[JWKS_PATH]
        os.kill(gateway.pids["control"], signal.SIGKILL)
        assert waiting.result(30).status == 200
    assert call(gateway).status == 200


def test_a_caller_who_leaves_while_it_waits_is_recorded_and_leaves_nothing_behind(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer, cooldown='"1s"'))
    issuer.rotate()
    gate = Gate()
    issuer.answers[JWKS_PATH] = [gate, *unary(issuer.jwks())]
    fetches = issuer.key_fetches
    caller = Caller(gateway, issuer.mint(_AUDIENCE))
    caller.send("POST", "/v1/chat/completions", {"model": "echo", "messages": []})
    until(lambda: issuer.key_fetches > fetches, "its key is being fetched")
    caller.close()
    gate.open()
    del issuer.answers[JWKS_PATH]
    until(lambda: call(gateway).status == 200, "others go on")


def test_the_operators_command_waits_for_a_new_key_too(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer))
    issuer.rotate()
    verified = run_command("token", "verify", data=gateway.data, stdin=issuer.mint(_AUDIENCE))
    assert verified.returncode == 0, verified.stderr
    assert issuer.issuer in verified.stdout
    refused = run_command("token", "verify", data=gateway.data, stdin=issuer.mint(_AUDIENCE, key=issuer.make_key()))
    assert "key_unknown" in refused.stderr
    assert issuer.key_fetches == 2


def test_a_reload_fetches_what_is_new_and_keeps_what_is_not(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    with issuer_in_thread() as other:
        gateway = start_gateway(settings(issuer))
        second = settings(other).replace('"idp"', '"other"')
        gateway.config.write_text(settings(issuer) + second)
        gateway.reload()
        token = other.mint(_AUDIENCE)
        until(lambda: call(gateway, token).status == 200, "the new issuer's keys have come")
        assert (issuer.key_fetches, other.key_fetches) == (1, 1)
        assert call(gateway).status == 200
        moved = settings(issuer, "url").replace(JWKS_PATH, "/moved")
        gateway.config.write_text(moved)
        gateway.reload()
        assert call(gateway).status == 503, "keys of where it no longer stands are none of its keys"
        assert call(gateway, token).status == 401


def test_the_figures_tell_fetches_and_keys(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer))
    call(gateway, issuer.mint(_AUDIENCE, key=issuer.make_key()))
    outage(issuer)
    caller = Caller(gateway, gateway.token("--scope", "metrics"))
    samples = read_exposition(caller("GET", "/metrics").body.decode())
    caller.close()
    fetches = {
        outcome: samples.value("jotgate_key_fetches_total", issuer="idp", outcome=outcome)
        for outcome in ("changed", "unchanged", "failed")
    }
    assert fetches == {"changed": 1, "unchanged": 1, "failed": 0}
    assert samples.value("jotgate_issuer_keys", issuer="idp") == 1
    assert samples.value("jotgate_issuer_keys_age_seconds", issuer="idp") >= 0


def test_bad_documents_never_take_a_good_set_away(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    """Row E02 of the checklist, as far as it can be seen from outside."""
    gateway = start_gateway(settings(issuer, "url", cooldown='"1s"', fetches_per_minute="600"))
    for body in (b"<html>", b"\xef\xbb\xbf" + issuer.jwks(), b"[]", b'{"keys":[]}', b"{" * 100_000, b" " * 300_000):
        issuer.answers[JWKS_PATH] = unary(body)
        fetches = issuer.key_fetches
        until(lambda: call(gateway, issuer.mint(_AUDIENCE, key=issuer.make_key())).status == 503, "it is not known")
        until(lambda: issuer.key_fetches > fetches, "it was asked")  # noqa: B023 - called at once
        assert call(gateway).status == 200
    assert "Traceback" not in gateway.errors


def test_the_end_of_control_in_an_outage_costs_no_known_key(
    issuer: IssuerServer, start_gateway: StartGateway, call: Callable[..., Answer]
) -> None:
    gateway = start_gateway(settings(issuer), "--workers", "2")
    token = issuer.mint(_AUDIENCE)
    assert call(gateway, token).status == 200
    until((gateway.data / "issuer-keys.json").exists, "the keys are kept")
    outage(issuer)
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    until(lambda: gateway.status()["workers"] == 2, "the workers have found it")
    until(lambda: gateway.settled_on(gateway.status()["snapshot"]), "they have its snapshot")
    assert {call(gateway, token).status for _ in range(8)} == {200}
    assert standing(gateway)["kids"] == [issuer.key.kid]


def test_an_issuer_under_tls_with_roots_of_its_own(
    start_gateway: StartGateway, tmp_path: Path, call: Callable[..., Answer]
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("issuer", hosts=("127.0.0.1",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.cert, pair.key)
    with issuer_in_thread(tls=tls, path="/realms/one") as secure:
        gateway = start_gateway(settings(secure, ca_file=f'"{authority.root}"'))
        assert call(gateway, secure.mint(_AUDIENCE)).status == 200
        other = start_gateway(settings(secure))
        answer = call(other, secure.mint(_AUDIENCE))
        assert (answer.status, answer.code) == (503, "issuer_unavailable")
        assert "CERTIFICATE_VERIFY_FAILED" in other.errors


def test_a_file_of_keys_is_read_and_read_again_for_an_unknown_key(
    issuer: IssuerServer, start_gateway: StartGateway, tmp_path: Path, call: Callable[..., Answer]
) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(issuer.jwks())
    text = settings(issuer, "url").replace(f'jwks_url = "{issuer.jwks_url}"', f'jwks_file = "{file}"')
    gateway = start_gateway(text)
    assert call(gateway).status == 200
    issuer.rotate()
    file.write_bytes(issuer.jwks())
    assert call(gateway).status == 200
    assert issuer.key_fetches == 0

"""One audit record for each request, whatever becomes of it, soon in the files and readable with the commands."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from jotgate.core.audit import PREFIX_BYTES, START_DIGEST, frame
from jotgate.errors import Code
from jotgate.testing.running import Gateway, run_command, until
from tests.integration.exchanges import Caller, chat_body, exchange, record_of, records

_SOON_S: Final = 2.0


@pytest.fixture
def caller(steady_gateway: Gateway) -> Iterator[Caller]:
    """A caller in good faith."""
    made = Caller(steady_gateway, steady_gateway.token(subject="alice"))
    yield made
    made.close()


def named(name: str) -> dict[str, str]:
    """The header that gives a request its id."""
    return {"X-Request-Id": name}


def test_a_completed_call_is_described_and_nothing_of_what_was_said_is_kept(
    steady_gateway: Gateway, caller: Caller
) -> None:
    begun_s = time.time()
    body = chat_body(text="a rare confidence")
    answer = caller("POST", "/v1/chat/completions", body, headers=named("audit-complete"))
    assert answer.status == 200
    assert answer.all("x-request-id") == ["audit-complete"]
    record = record_of(steady_gateway, "audit-complete")
    assert begun_s - 1 < record["at"] / 1e6 < time.time() + 1
    assert 0 < record["duration_us"] < 5e6
    issued = [event for event in records(steady_gateway, "event") if event["event"] == "token.issued"]
    assert record["token"] in {event["details"]["jti"] for event in issued if event["subject"] == "alice"}
    assert record["kid"] == steady_gateway.status()["kid"]
    wanted: dict[str, Any] = {
        "operation": "chat.completions",
        "status": 200,
        "outcome": "complete",
        "model": "echo",
        "upstream": "echo",
        "subject": "alice",
        "client_id": "jotgate-cli",
        "issuer": steady_gateway.url,
        "peer": "127.0.0.1",
        "tokens_in": 3,
        "tokens_out": 3,
        "bytes_in": len(json.dumps(body)),
        "bytes_out": len(answer.body),
    }
    assert {name: record.get(name) for name in wanted} == wanted
    assert b"rare confidence" not in b"".join(
        path.read_bytes() for path in steady_gateway.data.rglob("*") if path.is_file()
    )


REFUSED: Final[dict[str, tuple[str, str, object, int, str]]] = {
    "no-model": ("POST", "/v1/completions", {}, 400, Code.REQUEST_MALFORMED),
    "unknown-model": ("POST", "/v1/embeddings", {"model": "x"}, 404, Code.UNKNOWN_MODEL),
    "unknown-path": ("POST", "/v1/rerank", {"model": "echo"}, 404, Code.UNKNOWN_OPERATION),
    "method": ("GET", "/v1/chat/completions", None, 405, Code.METHOD_REFUSED),
    "unknown-model-path": ("GET", "/v1/models/x", None, 404, Code.UNKNOWN_MODEL),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_is_recorded_with_its_code(steady_gateway: Gateway, caller: Caller, name: str) -> None:
    method, path, body, status, code = REFUSED[name]
    answer = caller(method, path, body, headers=named(f"audit-{name}"))
    assert (answer.status, answer.code) == (status, code)
    record = record_of(steady_gateway, f"audit-{name}")
    assert (record["status"], record["outcome"], record["code"]) == (status, "refused", code)
    if code == Code.METHOD_REFUSED:
        assert answer.all("allow") == ["POST"]


def test_a_listing_is_a_call_too(steady_gateway: Gateway, caller: Caller) -> None:
    answer = caller("GET", "/v1/models", headers=named("audit-models"))
    record = record_of(steady_gateway, "audit-models")
    assert (record["operation"], record["outcome"], record["subject"]) == ("models", "complete", "alice")
    assert record["bytes_out"] == len(answer.body)


def test_a_request_that_cannot_be_read_is_recorded_too(steady_gateway: Gateway) -> None:
    before = len(records(steady_gateway))
    assert exchange(steady_gateway, b"\x16\x03\x01\x02\x00\x01\x00\x01").startswith(b"HTTP/1.1 400 ")
    until(lambda: len(records(steady_gateway)) > before, "the refusal has its record", _SOON_S)
    assert records(steady_gateway)[-1]["code"] == Code.REQUEST_MALFORMED


def test_a_request_id_that_is_not_fit_for_a_log_is_replaced(steady_gateway: Gateway, caller: Caller) -> None:
    given = ["a b", "x" * 129, '"},{"', "\xe9", ""]
    answers = [caller("GET", "/v1/models", headers=named(name)) for name in given]
    found = [name for answer in answers for name in answer.all("x-request-id")]
    assert len(set(found)) == len(given)
    assert not set(found) & set(given)
    for name in found:
        assert record_of(steady_gateway, name)["status"] == 200


def test_health_and_key_set_are_no_calls(steady_gateway: Gateway, caller: Caller) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/.well-known/jwks.json"):
        assert caller("GET", path, headers=named("audit-none")).status == 200
    caller("GET", "/v1/models", headers=named("audit-after"))
    record_of(steady_gateway, "audit-after")  # What came before it has been written by now.
    assert [record for record in records(steady_gateway) if record.get("request_id") == "audit-none"] == []


def test_the_commands_read_the_log_of_a_running_gateway(steady_gateway: Gateway, caller: Caller) -> None:
    for number in range(25):
        assert caller("GET", "/v1/models", headers=named(f"audit-row-{number}")).status == 200
    record_of(steady_gateway, "audit-row-24")
    tail = run_command("audit", "tail", "-n", "25", "--json", data=steady_gateway.data)
    shown = [json.loads(line)["request_id"] for line in tail.stdout.splitlines()]
    assert shown == [f"audit-row-{number}" for number in range(25)]
    verified = run_command("audit", "verify", data=steady_gateway.data)
    assert verified.returncode == 0, verified.stdout
    rows = [(record["worker"], record["row"]) for record in records(steady_gateway)]
    assert sorted(row for _, row in rows) == list(range(1, len(rows) + 1))  # One worker, no gap, nothing twice.


def test_one_changed_byte_is_found(steady_gateway: Gateway, caller: Caller, directory: Path) -> None:
    caller("GET", "/v1/models", headers=named("audit-changed"))
    caller("GET", "/v1/models", headers=named("audit-behind"))  # A last record could also be one that a crash tore.
    record_of(steady_gateway, "audit-behind")
    copy = directory / "data"
    (copy / "audit").mkdir(parents=True, mode=0o700)
    copy.chmod(0o700)
    for path in (steady_gateway.data / "audit").glob("*.log"):
        target = copy / "audit" / path.name
        target.write_bytes(path.read_bytes().replace(b"audit-changed", b"audit-chanced"))
        target.chmod(0o600)
    verified = run_command("audit", "verify", data=copy)
    assert verified.returncode == 1, verified.stdout


@pytest.mark.parametrize("damage", [b'"kind":"\xff', b'"ki\xffnd":"', b'"a":' + b"[" * 5_000 + b',"kind":"'])
def test_records_that_are_no_text_are_named_and_shown_without_a_traceback(directory: Path, damage: bytes) -> None:
    """Whoever can write the file can make the digests fit; the commands must still say what they see."""
    data = directory / "data"
    assert run_command("token", "create", "--subject", "me", data=data).returncode == 0
    (file,) = (data / "audit").glob("*.log")
    first, *others = [line[PREFIX_BYTES:] for line in file.read_bytes().split(b"\n")[:-1]]
    forged = [first, *(line.replace(b'"kind":"', damage) for line in others)]
    file.write_bytes(frame(forged, START_DIGEST)[0])
    verified = run_command("audit", "verify", data=data)
    assert verified.returncode == 1
    assert "the digest fits what is not an audit record" in verified.stdout
    shown = run_command("audit", "tail", data=data)
    assert shown.returncode == 0
    assert shown.stdout.count("not a record: ") == len(others)
    assert "Traceback" not in verified.stderr + shown.stderr

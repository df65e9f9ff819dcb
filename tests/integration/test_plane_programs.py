"""Real nginx, Envoy, Caddy, Traefik and HAProxy, each with what `jotgate plane` printed for it, before an upstream.

All share one gateway. Each lets the same callers pass and refuses the same, with the status and the fields that each
was due, and none lets a caller say of itself who it is.
"""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from jotgate.cli import main
from jotgate.jose.keys import generate
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import until
from jotgate.testing.upstream import End, Step, unary
from tests.integration.exchanges import Answer, exchange_at, statuses
from tests.planes import CONFIGURATION, Plane, PlaneStage, command, plane_stage
from tests.token_stage import claims_of

NAMES: Final = ("nginx", "envoy", "caddy", "traefik", pytest.param("haproxy", marks=pytest.mark.peers))
REVOKED_WITHIN_S: Final = 1.0
SPOOFED: Final = {
    "X-Jot-Subject": "root",
    "x-jot-roles": "admin",
    "X-JOT-IDENTITY": "forged",
    "X_Jot_Subject": "root",
    "X-Jot_Tenant": "other",
    "X-Original-Uri": "/public",
    "X-Original-Method": "GET",
    "X-Original-Host": "evil.example",
    "X-Forwarded-Uri": "/public",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X_Forwarded_Uri": "/public",
    "X-Forwarded_Proto": "https",
    "DPoP": "none",
}


@pytest.fixture(scope="module")
def stage() -> Iterator[PlaneStage]:
    with plane_stage() as found:
        yield found


@pytest.fixture(scope="module", params=NAMES)
def plane(request: pytest.FixtureRequest, stage: PlaneStage) -> Plane:
    return stage.start(str(request.param))


@pytest.fixture(scope="module")
def good(stage: PlaneStage) -> str:
    return stage.token()


def challenge(answer: Answer) -> str:
    """The one challenge of an answer."""
    (found,) = answer.all("www-authenticate")
    return found


def test_a_good_token_passes_and_the_upstream_is_told_who_calls(stage: PlaneStage, plane: Plane, good: str) -> None:
    answer = plane(good, fields=SPOOFED)
    assert (answer.status, answer.json) == (200, {"here": True})
    seen = stage.upstream.requests[-1]
    assert seen.target == "/v1/things?a=b"
    told = {name: value for name, value in seen.headers.items() if name.replace("_", "-").startswith("x-jot-")}
    assert {name: value for name, value in told.items() if value} == {
        "x-jot-subject": "ann",
        "x-jot-client": "jotgate-cli",
        "x-jot-scopes": "decide",
        "x-jot-issuer": stage.gateway.url,
    }
    assert "authorization" not in seen.headers, "the upstream is not shown the token"
    assert "dpop" not in seen.headers
    said = {name.replace("_", "-"): value for name, value in seen.headers.items() if value and name[:1] == "x"}
    assert not {name for name in said if name.startswith("x-original-") or name.endswith(("-uri", "-method"))}
    assert said["x-forwarded-proto"] == "http"
    assert said.get("x-forwarded-host", f"127.0.0.1:{plane.port}") == f"127.0.0.1:{plane.port}"


def test_what_jotgate_says_cannot_be_taken_out_again(stage: PlaneStage, plane: Plane, good: str) -> None:
    """RFC 9110 s7.6.1: a proxy passes no field on that Connection names, and some honour that after they asked."""
    answer = plane(good, fields={"Connection": "close, X-Jot-Subject"})
    if answer.status == 200:
        assert stage.upstream.requests[-1].headers["x-jot-subject"] == "ann"
    else:
        assert answer.status == 400


def test_a_socket_is_let_through_and_told_of_too(stage: PlaneStage, plane: Plane, good: str) -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    switched += b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
    stage.upstream.script.append([switched, b"hello", End()])
    raw = (
        f"GET /socket HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"X-Jot-Subject: root\r\nAuthorization: Bearer {good}\r\n\r\n"
    )
    received = exchange_at(plane.port, raw.encode())
    assert statuses(received) == [101]
    assert received.endswith(b"hello")
    told = stage.upstream.requests[-1].headers
    assert (told["upgrade"], told["x-jot-subject"]) == ("websocket", "ann")


@pytest.mark.parametrize(
    "offer",
    [
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Upgrade: foo",
        "Upgrade: websocket, h2c",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: websocket/13",
    ],
)
def test_what_is_no_websocket_is_never_tunnelled(offer: str, stage: PlaneStage, plane: Plane, good: str) -> None:
    """In a tunnel nobody decides: whoever got through with one request would send others behind it."""

    def switches_to_anything() -> Iterator[Step]:
        offered = stage.upstream.requests[-1].headers.get("upgrade", "")
        if offered in {"", "websocket"}:
            yield from unary(b"{}", 200, b"Connection: close")
        else:
            yield f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {offered}\r\n\r\n".encode()
        yield End()

    before = len(stage.upstream.requests)
    stage.upstream.script.append(switches_to_anything())
    raw = (
        f"GET /socket HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\n{offer}\r\n"
        f"Authorization: Bearer {good}\r\n\r\n"
        "GET /reports/2026 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    )
    try:
        received = exchange_at(plane.port, raw.encode())
    finally:
        stage.upstream.script.clear()
    assert statuses(received)[0] in {200, 400, 403}
    assert 101 not in statuses(received)
    assert [one.target for one in stage.upstream.requests[before:]] in ([], ["/socket"])


def test_no_token_and_a_bad_one_are_told_what_is_wanted(stage: PlaneStage, plane: Plane, good: str) -> None:
    before = len(stage.upstream.requests)
    nobody = plane()
    assert (nobody.status, challenge(nobody)) == (401, 'Bearer realm="jotgate"')
    bad = plane(f"{good[:-8]}AAAAAAAA")
    assert bad.status == 401
    assert 'error="invalid_token"' in challenge(bad)
    assert bad.json["error"]["code"]
    assert len(stage.upstream.requests) == before


def test_of_two_tokens_none_counts(stage: PlaneStage, plane: Plane, good: str) -> None:
    before = len(stage.upstream.requests)
    for tokens in ((good, "other"), ("other", good), (good, good)):
        fields = "".join(f"Authorization: Bearer {token}\r\n" for token in tokens)
        raw = f"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{fields}\r\n"
        (status,) = statuses(exchange_at(plane.port, raw.encode()))
        assert status in {400, 401}
    assert len(stage.upstream.requests) == before


def test_a_path_with_a_rule_of_its_own_wants_its_scope(plane: Plane, good: str) -> None:
    refused = plane(good, "/reports/2026")
    assert refused.status == 403
    assert 'error="insufficient_scope"' in challenge(refused)
    assert 'scope="embeddings"' in challenge(refused)
    for other in (
        "/v1/../reports/2026",
        "/v1%2f..%2freports/2026",
        "//reports/2026",
        "/%72eports/2026",
        "/reports;a=b",
    ):
        assert plane(good, other).status in {400, 403}, other


def test_a_method_that_the_path_does_not_take_is_told_which_it_takes(plane: Plane, good: str) -> None:
    refused = plane(good, "/reports/2026", method="DELETE")
    assert (refused.status, refused.all("allow")) == (405, ["GET"])
    assert refused.json["error"]["code"] == "method_refused"


def test_a_quota_of_requests_lets_no_more_pass(stage: PlaneStage, plane: Plane) -> None:
    token = stage.token("--max-requests", "3", subject=plane.name)
    before = len(stage.upstream.requests)
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: plane(token), range(8)))
    assert Counter(answer.status for answer in answers) == {200: 3, 429: 5}
    assert len(stage.upstream.requests) == before + 3


def test_a_rate_is_told_with_when_to_come_again(stage: PlaneStage, plane: Plane) -> None:
    token = stage.token("--limit", "1 requests/day", subject=plane.name)
    assert plane(token).status == 200
    refused = plane(token)
    assert refused.status == 429
    assert 0 < int(refused.all("retry-after")[0]) <= 86_400


def test_a_revoked_token_is_refused_within_the_bound(stage: PlaneStage, plane: Plane) -> None:
    token = stage.token(subject=plane.name)
    assert plane(token).status == 200
    stage.revoke(str(claims_of(token)["jti"]))
    until(lambda: plane(token).status == 401, "the revoked token is refused", REVOKED_WITHIN_S)
    assert 'error="invalid_token"' in challenge(plane(token))


def test_where_it_cannot_be_known_it_is_503(plane: Plane) -> None:
    """The keys of the token's issuer are out of reach."""
    token = TestIssuer(generate("ES256"), "https://silent.example", "any", time.time()).token().decode()
    answer = plane(token)
    assert answer.status == 503
    assert int(answer.all("retry-after")[0]) > 0


def test_without_jotgate_nothing_passes(stage: PlaneStage, plane: Plane, good: str) -> None:
    """The same program, told to ask where nobody is."""
    before = len(stage.upstream.requests)
    answer = stage.start(plane.name, gate="http://127.0.0.1:1", asks=500)(good)
    assert len(stage.upstream.requests) == before
    told = {"caddy": (502, []), "traefik": (500, [])}.get(plane.name, (503, ["1"]))
    assert (answer.status, answer.all("retry-after")) == told


def test_the_doctor_finds_what_is_out_of_date(stage: PlaneStage, tmp_path: Path) -> None:
    file = stage.start("envoy", "--jwt").file
    settings = tmp_path / "jotgate.toml"
    settings.write_text(f'{CONFIGURATION}[planes]\nfiles = ["{file}"]\n')
    words = ("--data", str(stage.gateway.data), "--config", str(settings))

    def lines(*arguments: str, code: int) -> list[str]:
        said = command(*arguments, *words, code=code)
        return [line.replace(f"plane {file}: ", "") for line in said.splitlines() if str(file) in line]

    assert lines("plane", "envoy", "check", str(file), code=0) == [
        "ok is up to date",
        f"ok {stage.gateway.url}/.well-known/jwks.json answers with a key",
        "ok its clock goes with this one, within 5 s",
    ]
    settings.write_text(settings.read_text() + '[issuer]\nleeway = "9s"\n')
    found = lines("doctor", code=1)
    assert found[0] == "FAULT is out of date: the leeway: 5, now 9"
    command("plane", "envoy", "print", "--jwt", *stage.options(file), *words)
    assert lines("plane", "envoy", "check", str(file), code=0)[0] == "ok is up to date"


def test_a_file_that_protects_no_more_gets_no_tick(stage: PlaneStage, tmp_path: Path) -> None:
    _, file = stage.write("nginx")
    where = ("--data", str(stage.gateway.data), "--config", str(stage.gateway.config))
    printed = file.read_text()
    other = command("plane", "envoy", "check", str(file), *where, code=1)
    assert "is a configuration of nginx, and none of envoy" in other
    file.write_text(printed.replace("    auth_request /_jotgate;\n", ""))
    said = command("plane", "nginx", "check", str(file), *where, code=1).splitlines()
    assert said[0].endswith("lines that protect are gone: 'auth_request /_jotgate;'")
    settings = tmp_path / "jotgate.toml"
    settings.write_text(f'{CONFIGURATION}[planes]\nfiles = ["{file}"]\n')
    doctor = command("doctor", "--data", str(stage.gateway.data), "--config", str(settings), code=1)
    assert "lines that protect are gone: 'auth_request /_jotgate;'" in doctor
    file.write_text(printed.replace("client_max_body_size 32m", "client_max_body_size 1g"))
    said = command("plane", "nginx", "check", str(file), *where).splitlines()
    assert (
        said[0] == f"? plane {file}: was changed by hand; all that protects is there, and what was added is not judged"
    )


@pytest.mark.parametrize(
    ("plane", "options", "told"),
    [
        ("nginx", ("--jwt",), "--jwt is for envoy"),
        ("caddy", ("--offline",), "--offline is for envoy and haproxy"),
        ("envoy", ("--offline",), "paths have rules of their own"),
        ("envoy", ("--grpc",), "decisions are not served by gRPC"),
        ("nginx", ("--gate", "https://127.0.0.1:8080"), "nginx holds certificates to names"),
        ("nginx", ("--upstream", "http://a.example/path"), "has a path"),
        ("nginx", ("--upstream", "http://a.example;"), "holds characters that no address has"),
        ("envoy", ("--listen", "8000"), "not a host and port"),
        ("envoy", ("--roots", "/etc/a b"), "is no absolute path without spaces"),
        ("haproxy", (), "haproxy takes keys and more from files"),
    ],
)
def test_what_a_plane_cannot_do_is_said(
    plane: str, options: tuple[str, ...], told: str, stage: PlaneStage, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = () if "--upstream" in options else ("--upstream", "http://127.0.0.1:9000")
    where = ("--data", str(stage.gateway.data), "--config", str(stage.gateway.config))
    assert main(["plane", plane, "print", *upstream, *options, *where]) == 1
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_what_to_do_next_and_whether_jotgate_runs_is_said_beside_it(
    stage: PlaneStage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plane", "traefik", "print", "--upstream", "http://127.0.0.1:9000", "--config", str(stage.gateway.config))
    assert main([*words, "--data", str(stage.gateway.data)]) == 0
    shown = capsys.readouterr()
    assert stage.gateway.url in shown.out
    assert shown.err.endswith("--providers.file.filename=jotgate.yml\n")
    assert "no jotgate runs" not in shown.err
    settings = tmp_path / "jotgate.toml"
    settings.write_text('[server]\npublic_url = "https://gate.example"\n[decisions]\nproxies = ["127.0.0.1"]\n')
    assert main([*words[:-1], str(settings), "--data", str(tmp_path / "data")]) == 0
    shown = capsys.readouterr()
    assert "http://127.0.0.1:8080" in shown.out
    assert f"note  no jotgate runs on {tmp_path / 'data'}: its address is that of the settings" in shown.err


def test_a_command_that_says_too_little_is_told_what_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["nginx", "print"], ["nginx", "check"], ["nginx", "print", "FILE"], ["apache", "print"]):
        assert main(["plane", *words]) == 2, words
    assert "--upstream is missing" in capsys.readouterr().err

"""What is said of a configuration that was printed for a plane some time ago."""

import json
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Final

import msgspec
import pytest

from jotgate.assembly.doctor import Check
from jotgate.assembly.plane_checks import Looking, check_plane
from jotgate.core.status import Status
from jotgate.errors import CommandError
from jotgate.planes.facts import GateFacts, PublicKey, Wish
from jotgate.planes.printing import print_plane
from jotgate.testing.upstream import Answer, UpstreamServer, unary, upstream_in_thread

NOW_S: Final = 1_800_000_000.0
KID: Final = "key-1"
STATUS: Final = Status("1", 1, "", "", KID, 1, 1, [], [], 0.0, [], [], 0.0)


@pytest.fixture
def gate() -> Iterator[UpstreamServer]:
    """Answers with a key set, at the time of the tests."""
    with upstream_in_thread() as server:
        server.default = at(NOW_S)
        yield server


def at(time_s: float) -> Answer:
    """A key set that was sent at this time."""
    body = json.dumps({"keys": [{"kid": KID}]}).encode()
    return unary(body, 200, b"Date: " + formatdate(time_s, usegmt=True).encode())


def facts(server: UpstreamServer, **changes: object) -> GateFacts:
    """An installation that is reached at this server."""
    found = GateFacts(
        gate=server.origin,
        issuer="https://gate.example",
        audiences=("https://gate.example",),
        scopes=("decide",),
        jwks_path="/jwks",
        forward_path="/forward-auth",
        nginx_path="/forward-auth?style=nginx",
        prefix="/ext-authz",
        grpc="",
        identity=("X-Jot-Subject",),
        leeway_s=5,
        keys=(PublicKey(KID, "ES256", "pem"),),
    )
    return msgspec.structs.replace(found, **changes)


def write(folder: Path, plane: str, gate: UpstreamServer, *, jwt: bool = False, listen: str = "127.0.0.1:1") -> Path:
    """The main file of what is printed for a plane now."""
    wish = Wish(upstream="http://127.0.0.1:9", listen=listen, folder=str(folder), jwt=jwt)
    printed = print_plane(plane, facts(gate), wish)
    for one in printed.files:
        (folder / one.name).write_text(one.text)
    return folder / printed.files[0].name


def look(file: Path, now: GateFacts, *, kid: str = KID, asked: bool = True) -> list[Check]:
    """The report, where this is what the installation is now."""
    running = msgspec.structs.replace(STATUS, kid=kid)

    def find(wish: Wish, name: str) -> GateFacts:
        return now

    return list(check_plane(file, Looking(find, running, lambda: NOW_S, asked)))


def told(checks: list[Check]) -> list[tuple[str, str]]:
    """State and text of each line."""
    return [(check.state, check.text) for check in checks]


@pytest.mark.parametrize("plane", ["nginx", "envoy", "caddy", "traefik"])
def test_what_was_just_printed_is_right(plane: str, tmp_path: Path, gate: UpstreamServer) -> None:
    found = look(write(tmp_path, plane, gate), facts(gate))
    assert told(found) == [("ok", "is up to date"), ("ok", f"{gate.origin}/jwks answers with a key")]


def test_what_has_changed_is_named_with_what_prints_it_anew(tmp_path: Path, gate: UpstreamServer) -> None:
    file = write(tmp_path, "envoy", gate, jwt=True)
    drift = look(file, facts(gate, leeway_s=9, issuer="https://other.example"))[0]
    assert drift.state == "fault"
    assert "the issuer: https://gate.example, now https://other.example; the leeway: 5, now 9" in drift.text
    assert drift.fix.endswith(f"--listen 127.0.0.1:1 --jwt --out {tmp_path}")


def test_a_change_that_the_plane_is_not_told_of_is_none(tmp_path: Path, gate: UpstreamServer) -> None:
    assert look(write(tmp_path, "nginx", gate), facts(gate, leeway_s=9, keys=()))[0].text == "is up to date"


def test_keys_that_were_replaced_are_drift_where_they_stand_in_files(tmp_path: Path, gate: UpstreamServer) -> None:
    file = write(tmp_path, "haproxy", gate)
    assert look(file, facts(gate, keys=(PublicKey(KID, "ES256"),)))[0].text == "is up to date"
    drift = look(file, facts(gate, keys=(PublicKey(KID, "ES256"), PublicKey("key-2", "ES256"))))[0]
    assert (drift.state, drift.text) == ("fault", "is out of date: the keys: key-1, now key-1 key-2")
    (tmp_path / "key-1.pem").unlink()
    lost = look(file, facts(gate))[0]
    assert (lost.state, lost.text) == ("fault", "beside it key-1.pem should be, as printed")


@pytest.mark.parametrize(
    ("plane", "printed", "written"),
    [
        ("nginx", "client_max_body_size 32m", "client_max_body_size 1g"),
        ("nginx", "  listen 127.0.0.1:1;", "  listen 443 ssl;\n  server_name api.example;"),
        ("nginx", "# Printed by", "server { listen 81; }\n# Printed by"),
        ("caddy", "http://:1 {", "api.example {"),
    ],
)
def test_what_was_changed_by_hand_is_left_to_be_read(
    plane: str, printed: str, written: str, tmp_path: Path, gate: UpstreamServer
) -> None:
    file = write(tmp_path, plane, gate)
    assert printed in file.read_text()
    file.write_text(file.read_text().replace(printed, written))
    expected = ("unknown", "was changed by hand; all that protects is there, and what was added is not judged")
    assert told(look(file, facts(gate)))[0] == expected


@pytest.mark.parametrize(
    ("plane", "line", "written"),
    [
        ("nginx", "    auth_request /_jotgate;", ""),
        ("nginx", "    auth_request /_jotgate;", "    # auth_request /_jotgate;"),
        ("nginx", "    auth_request /_jotgate;", "    auth_request off;"),
        ("nginx", "    proxy_set_header X-Jot-Subject $jotgate_subject;", ""),
        ("nginx", "    proxy_set_header Upgrade $jotgate_upgrade;", "    proxy_set_header Upgrade $http_upgrade;"),
        ("caddy", "\t\trequest_header -x-jot-*", ""),
        ("traefik", '        - "jotgate-ask"', ""),
        ("envoy", "                  failure_mode_allow: false", "                  failure_mode_allow: true"),
        ("haproxy", "  http-request lua.jotgate", ""),
    ],
)
def test_a_line_that_protects_and_is_gone_is_a_fault(
    plane: str, line: str, written: str, tmp_path: Path, gate: UpstreamServer
) -> None:
    file = write(tmp_path, plane, gate)
    text = file.read_text()
    assert line.strip() in text, text
    file.write_text(text.replace(line.strip(), written.strip()))
    found = look(file, facts(gate))[0]
    assert found.state == "fault"
    assert found.text.startswith("was changed by hand, and lines that protect are gone: ")
    assert f"'{line.strip()}'" in found.text
    assert found.fix.startswith(f"Print it anew, and have {plane} read it: jotgate plane {plane} print ")


def test_lines_in_another_order_are_a_fault(tmp_path: Path, gate: UpstreamServer) -> None:
    """Caddy does in `route` one thing after another."""
    file = write(tmp_path, "caddy", gate)
    head, _, rest = file.read_text().partition("\t\tforward_auth ")
    asking, _, passing = rest.partition("\t\treverse_proxy ")
    passing, _, end = passing.partition("\t\t}\n")
    file.write_text(f"{head}\t\treverse_proxy {passing}\t\t}}\n\t\tforward_auth {asking}{end}")
    found = look(file, facts(gate))[0]
    assert (found.state, "in another order" in found.text) == ("fault", True)


def test_a_file_of_another_plane_is_a_fault(tmp_path: Path, gate: UpstreamServer) -> None:
    file = write(tmp_path, "envoy", gate)
    looking = Looking(lambda *_: facts(gate), None, lambda: NOW_S, asked=True)
    (found,) = check_plane(file, looking, "nginx")
    assert (found.state, found.text) == ("fault", "is a configuration of envoy, and none of nginx")
    assert found.fix == f"Ask about it by its own name: jotgate plane envoy check {file}"


def test_a_file_of_somebody_else_is_not_judged(tmp_path: Path, gate: UpstreamServer) -> None:
    file = tmp_path / "jotgate.conf"
    assert [check.state for check in look(file, facts(gate))] == ["fault"]
    for content in (b"server {}\n", b"# jotgate-plane: {}\n", b"# jotgate-plane: nothing", b"\xff\xfe"):
        file.write_bytes(content)
        assert [check.state for check in look(file, facts(gate))] == ["unknown"], content


def test_an_installation_that_cannot_be_asked_leaves_it_open(tmp_path: Path, gate: UpstreamServer) -> None:
    def fail(wish: Wish, name: str) -> GateFacts:
        raise CommandError("it has no name", hint="give it one")

    looking = Looking(fail, None, lambda: NOW_S, asked=True)
    (found,) = check_plane(write(tmp_path, "nginx", gate), looking)
    assert (found.state, found.text, found.fix) == ("unknown", "it has no name", "give it one")


def test_a_key_set_that_is_out_of_reach_or_somebody_elses_is_a_fault(tmp_path: Path, gate: UpstreamServer) -> None:
    file = write(tmp_path, "nginx", gate)
    assert "has not the key that signs here (key-9)" in look(file, facts(gate), kid="key-9")[-1].text
    gate.default = unary(b"<html>", 404)
    assert look(file, facts(gate))[-1].text == f"{gate.origin}/jwks answers with no key set"
    silent = look(file, facts(gate, gate="http://127.0.0.1:1"))[-1]
    assert (silent.state, silent.text) == ("fault", "http://127.0.0.1:1/jwks cannot be reached: Connection refused")


def test_a_plane_that_asks_where_nobody_may_ask_is_a_fault(tmp_path: Path, gate: UpstreamServer) -> None:
    found = look(write(tmp_path, "caddy", gate), facts(gate), asked=False)[1]
    assert (found.state, found.fix) == ("fault", "Set decisions.proxies to the addresses from which it asks")


@pytest.mark.parametrize(("skew_s", "state"), [(0, "ok"), (4, "ok"), (-5, "ok"), (60, "fault"), (-60, "fault")])
def test_the_clock_of_a_plane_that_judges_by_it_goes_with_ours(
    skew_s: int, state: str, tmp_path: Path, gate: UpstreamServer
) -> None:
    file = write(tmp_path, "envoy", gate, jwt=True, listen=gate.origin.removeprefix("http://"))
    gate.default = at(NOW_S + skew_s)
    found = look(file, facts(gate))[-1]
    assert (found.state, gate.requests[-1].target) == (state, "/"), found.text
    if state == "fault":
        assert found.text.endswith(" s from this one or more, and 5 s are allowed")


def test_a_plane_that_does_not_run_cannot_be_asked_for_the_time(tmp_path: Path, gate: UpstreamServer) -> None:
    found = look(write(tmp_path, "envoy", gate, jwt=True), facts(gate))[-1]
    assert found.state == "unknown"
    assert "127.0.0.1:1: Connection refused" in found.text

"""What the surface of the Coze proxy lets in with --open-local, and what not."""

import pytest
from msgspec.structs import replace

from jotgate.core.face_callers import FaceCaller
from jotgate.core.prompt_chain import Pages
from jotgate.edge.proxies import Proxies
from tests.coze_surfaces import JWT, OPEN, House, error, get


@pytest.mark.parametrize("token", [b"", b"Bearer not-used", b"Basic x", b"Bearer a, Bearer b"])
def test_an_open_face_looks_at_no_credential_and_all_callers_are_one(token: bytes) -> None:
    house = House(OPEN)
    house.chat(token)
    assert house.upstream.last.outbound.body
    house.upstream.last.answer(200, b"{}")
    assert (house.trail.only.subject, house.trail.only.issuer) == ("local", "jotgate:open-local")
    for method, path in (*JWT, (b"GET", b"/v1/conversations"), (b"GET", b"/health")):
        house.ask(get(path, method, **({"authorization": token} if token else {})))
        assert house.told == FaceCaller("jotgate:open-local", "", "local")


def test_a_call_at_an_open_face_is_not_cut_for_want_of_a_token() -> None:
    house = House(OPEN)
    caller = house.chat()
    for _ in range(3):
        house.clock.advance(1)
        house.gateway.control_seen()
        house.gateway.check_deadlines()
    assert caller.state == "waiting"
    house.upstream.last.answer(200, b"{}")
    assert caller.status == 200


@pytest.mark.parametrize(
    "host", [b"localhost:3000", b"127.0.0.1:3000", b"[::1]:3000", b"LOCALHOST", b"127.8.8.8", b"localhost"]
)
def test_an_open_face_is_called_by_its_machines_names(host: bytes) -> None:
    house = House(OPEN)
    house.chat(host=host)
    assert len(house.upstream.exchanges) == 1


@pytest.mark.parametrize(
    "host",
    [b"", b"evil.example", b"evil.example:3000", b"127.0.0.1.evil.example", b"192.0.2.1", b"[::2]", b"[", b"\xff"],
)
def test_an_open_face_refuses_a_name_that_a_page_made_lead_here(host: bytes) -> None:
    house = House(OPEN)
    for asked in (get(b"/get_jwt", host=host), get(b"/health", host=host), get(b"/v1/models", b"OPTIONS", host=host)):
        assert error(house.ask(asked)) == (403, "origin_refused")
    assert error(house.chat(host=host)) == (403, "origin_refused")
    assert not house.control.exchanges
    assert not house.upstream.exchanges
    assert len(house.trail.records) == 4, "it is recorded"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": b"https://evil.example"},
        {"origin": b"null"},
        {"origin": b"http://localhost:5173"},
        {"origin": b"http://127.0.0.1:3000"},
        {"sec_fetch_site": b"cross-site"},
        {"sec_fetch_site": b"cross-site", "sec_fetch_mode": b"no-cors"},
    ],
)
def test_an_open_face_refuses_web_pages_of_elsewhere(headers: dict[str, bytes]) -> None:
    house = House(OPEN)
    assert error(house.ask(get(b"/refresh_jwt", b"POST", **headers))) == (403, "origin_refused")
    assert error(house.chat(b"", None, **headers)) == (403, "origin_refused")
    assert not house.control.exchanges


@pytest.mark.parametrize(
    "field",
    ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "x_real_ip", "x_client_ip", "via"],
)
@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
def test_an_open_face_refuses_what_a_proxy_passed_on(field: str, trusted: tuple[str, ...]) -> None:
    house = House(OPEN)
    for asked in (get(b"/get_jwt", **{field: b"203.0.113.9"}), get(b"/health", **{field: b"203.0.113.9"})):
        Proxies(trusted, "x-forwarded").hear(asked)
        asked.peer = "127.0.0.1"
        assert error(house.ask(asked)) == (403, "origin_refused")
    assert not house.control.exchanges
    unmarked = House()
    asked = get(b"/health", **{field: b"203.0.113.9"})
    Proxies(trusted, "x-forwarded").hear(asked)
    unmarked.ask(asked)
    assert unmarked.control.exchanges, "a face with tokens takes it"


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "2001:db8::1", "", "unix"])
def test_an_open_face_refuses_who_is_not_of_this_machine(peer: str) -> None:
    house = House(OPEN)
    asked = get(b"/get_jwt")
    asked.peer = peer
    assert error(house.ask(asked)) == (403, "origin_refused")
    assert not house.control.exchanges


def test_an_open_face_lets_in_pages_of_its_own_and_those_that_are_listed() -> None:
    house = House(replace(OPEN, pages=Pages(("http://localhost:5173",), methods=("GET", "DELETE"))))
    own = house.chat(origin=b"http://localhost:3000", sec_fetch_site=b"same-origin")
    listed = house.chat(origin=b"http://localhost:5173", sec_fetch_site=b"cross-site")
    assert len(house.upstream.exchanges) == 2
    house.upstream.last.answer(200, b"{}")
    assert b"Access-Control-Allow-Origin: http://localhost:5173" in listed.lines
    assert own.state == "waiting"
    preflight = get(b"/clear_jwt", b"OPTIONS", origin=b"http://localhost:5173", access_control_request_method=b"DELETE")
    answered = house.ask(preflight)
    assert (answered.status, b"DELETE" in answered.lines) == (204, True)

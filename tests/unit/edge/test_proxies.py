"""Whom a proxy speaks for: believed from trusted proxies only, up to the first address that is none of theirs."""

import pytest

from jotgate.core.calls import Request
from jotgate.core.snapshot import Limits
from jotgate.edge.proxies import IDENTITY_FIELDS, Proxies
from jotgate.edge.surfaces.proxied import ProxiedSurface
from jotgate.errors import Code
from tests.loops import on_loop, until
from tests.unit.edge.listening import Edge, get, listening

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "fd00::/8")


def hear(proxies: Proxies, peer: str, headers: dict[bytes, bytes]) -> Request:
    request = Request(b"GET", b"/", b"", {b"host": b"gate", **headers}, peer, 0.0)
    proxies.hear(request)
    return request


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, 10.1.1.1", "203.0.113.9"),
        (b"1.2.3.4, 203.0.113.9,10.1.1.1 ,\t10.1.1.2", "203.0.113.9"),
        (b"10.1.1.3, 10.1.1.4", "10.1.1.3"),
        (b"203.0.113.9:4711", "203.0.113.9"),
        (b"[2001:db8::1]:4711", "2001:db8::1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"", "10.0.0.1"),
        (b"unknown", "10.0.0.1"),
        (b"203.0.113.9, nonsense, 10.1.1.1", "10.1.1.1"),
        (b"203.0.113.9, ", "10.0.0.1"),
        (b"203.0.113.9\xff", "10.0.0.1"),
    ],
)
def test_the_caller_is_the_last_that_is_no_trusted_proxy(chain: bytes, caller: str) -> None:
    assert hear(Proxies(TRUSTED, "x-forwarded"), "10.0.0.1", {b"x-forwarded-for": chain}).peer == caller


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (b"for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        (b"proto=https;For=203.0.113.9", "203.0.113.9"),
        (b'for="[2001:db8::1]:4711"', "2001:db8::1"),
        (b"for=1.2.3.4, for=203.0.113.9, for=10.1.1.1", "203.0.113.9"),
        (b'for="1.2.3.4, for=5.6.7.8", for=203.0.113.9', "203.0.113.9"),
        (b"for=203.0.113.9, for=_hidden, for=10.1.1.1", "10.1.1.1"),
        (b"for=203.0.113.9, proto=https", "10.0.0.1"),
        (b"notfor=203.0.113.9", "10.0.0.1"),
        (b'for="203.0.113.9', "10.0.0.1"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(chain: bytes, caller: str) -> None:
    assert hear(Proxies(TRUSTED, "forwarded"), "10.0.0.1", {b"forwarded": chain}).peer == caller


@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
def test_the_family_that_the_proxy_does_not_write_is_not_believed(family: str) -> None:
    """A proxy passes on what callers put into fields that it does not write itself."""
    both = {b"x-forwarded-for": b"203.0.113.1", b"forwarded": b"for=203.0.113.2"}
    request = hear(Proxies(TRUSTED, "forwarded" if family == "forwarded" else "x-forwarded"), "10.0.0.1", both)
    assert request.peer == ("203.0.113.2" if family == "forwarded" else "203.0.113.1")
    assert (b"x-forwarded-for" in request.headers) is (family == "x-forwarded")


@pytest.mark.parametrize("networks", [(), TRUSTED])
def test_nobody_else_is_believed_anything(networks: tuple[str, ...]) -> None:
    fields = dict.fromkeys(IDENTITY_FIELDS, b"203.0.113.9")
    request = hear(Proxies(networks, "x-forwarded"), "203.0.113.77", {**fields, b"accept": b"x"})
    assert request.peer == "203.0.113.77"
    assert request.headers == {b"host": b"gate", b"accept": b"x"}


def test_a_trusted_proxys_word_on_the_client_certificate_is_kept_and_what_nobody_may_say_is_not() -> None:
    fields = {b"client-cert": b":MII=:", b"x-forwarded-proto": b"https", b"x-real-ip": b"1.2.3.4"}
    request = hear(Proxies(TRUSTED, "x-forwarded"), "10.0.0.1", fields)
    assert request.headers == {b"host": b"gate", b"client-cert": b":MII=:", b"x-forwarded-proto": b"https"}


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.255.0.1", True), ("::ffff:10.0.0.1", True), ("fd00::1", True), ("11.0.0.1", False), ("", False)],
)
def test_who_is_a_trusted_proxy(peer: str, trusted: bool) -> None:
    proxies = Proxies(TRUSTED, "x-forwarded")
    assert (proxies.trusts(peer), proxies.trusts(peer)) == (trusted, trusted)


def test_only_so_many_addresses_are_remembered() -> None:
    proxies = Proxies(TRUSTED, "x-forwarded")
    assert all(proxies.trusts(f"10.0.{number >> 8}.{number & 255}") for number in range(10_000))
    assert len(proxies._trusted) <= 4_096


# Calls of one address


def behind(edge: Edge, limit: int) -> None:
    """Put the surface before the application, and trust this machine as a proxy."""
    edge.surroundings.proxies = Proxies(("127.0.0.1",), "x-forwarded")
    edge.surroundings.limits = Limits(connections_per_address=limit)
    edge.surroundings.application = ProxiedSurface(edge.application, edge.surroundings)


@on_loop
async def test_each_call_is_its_callers() -> None:
    async with listening() as edge:
        behind(edge, 8)
        client = await edge.connect()
        for address in (b"203.0.113.1", b"203.0.113.2"):
            assert (await client.send(get(b"/now", b"X-Forwarded-For: " + address)).answer()).status == 200
        assert (await client.send(get()).answer()).status == 200
        assert [request.peer for request in edge.application.answered] == ["203.0.113.1", "203.0.113.2", "127.0.0.1"]


@on_loop
async def test_an_address_behind_a_proxy_has_so_many_calls_under_way() -> None:
    async with listening() as edge:
        behind(edge, 1)
        field = b"X-Forwarded-For: 203.0.113.1"
        first, second = await edge.connect(), await edge.connect()
        first.send(get(b"/later", field))
        await until(lambda: len(edge.application.tasks) == 1)
        response = await second.send(get(b"/now", field)).answer()
        assert (response.status, Code.TOO_MANY_CONNECTIONS.encode() in response.body) == (429, True)
        assert (await second.send(get(b"/now", b"X-Forwarded-For: 203.0.113.2")).answer()).status == 200
        edge.application.tasks[0].caller.start(200, b"", 2, b"o")
        assert len(edge.surroundings.crowd) == 1
        edge.application.tasks[0].caller.end(b"k")
        assert (await first.answer()).body == b"ok"
        assert (await second.send(get(b"/now", field)).answer()).status == 200


@pytest.mark.parametrize("how", ["gone", "aborted", "fault"])
@on_loop
async def test_a_call_that_ends_badly_counts_no_longer(how: str) -> None:
    async with listening(faults=how == "fault") as edge:
        behind(edge, 1)
        client = await edge.connect()
        client.send(get(b"/fault" if how == "fault" else b"/later", b"X-Forwarded-For: 203.0.113.1"))
        if how != "fault":
            await until(lambda: len(edge.application.tasks) == 1)
            assert len(edge.surroundings.crowd) == 1
        if how == "gone":
            client.leave()
            await until(lambda: edge.application.tasks[0].told == ["gone"])
        elif how == "aborted":
            edge.application.tasks[0].caller.abort()
        else:
            assert (await client.answer()).status == 500
        assert len(edge.surroundings.crowd) == 0


@on_loop
async def test_a_slow_caller_behind_a_proxy_slows_its_answer() -> None:
    async with listening() as edge:
        behind(edge, 1)
        client = await edge.connect()
        client.send(get(b"/later", b"X-Forwarded-For: 203.0.113.1"))
        await until(lambda: len(edge.application.tasks) == 1)
        task = edge.application.tasks[0]
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        task.caller.start(200, b"", None, b"x")
        while "paused" not in task.told:
            task.caller.write(b"x" * 1_000_000)
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        client.reader._limit = 1_000_000_000  # type: ignore[attr-defined]
        await until(lambda: task.told == ["paused", "resumed"])
        task.caller.end(b"")
        assert (await client.answer()).whole

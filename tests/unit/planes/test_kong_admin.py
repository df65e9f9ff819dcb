"""The way to Kong's Admin API: one connection that is kept, in a bounded time, and nothing secret in what is told."""

import ssl
from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.core.kong_admin import KongAsk, ask, read_page, read_row
from jotgate.core.kong_aims import KongPlace
from jotgate.core.values import Secret
from jotgate.errors import Code, KongTimeout, KongUnavailable
from jotgate.planes.kong.admin import KongWeb
from jotgate.testing.certificates import Authority
from jotgate.testing.kong import Kong
from jotgate.testing.kong_values import KongFault
from jotgate.testing.upstream import UpstreamServer, unary
from tests.loops import on_loop

GET = ask("GET", "/consumers")


@on_loop
async def test_a_connection_is_kept_and_made_anew_where_kong_has_closed_it() -> None:
    async with Kong() as kong:
        web = KongWeb(lambda: KongPlace(kong.admin_url))
        for _ in range(3):
            assert read_page(await web.ask(GET)).rows == ()
        assert (kong.api.opened, kong.api.connections) == (1, 1)
        await kong.api.hang_up()
        assert read_page(await web.ask(GET)).rows == ()
        assert kong.api.opened == 2
        kong.faults.append(KongFault(ill="drop"))
        assert read_page(await web.ask(GET)).rows == (), "what may be sent twice is"
        await web.close()
        await kong.api.until_connections(0)
        assert read_page(await web.ask(GET)).rows == ()
        await web.close()


@on_loop
async def test_what_may_not_be_sent_twice_is_not() -> None:
    async with Kong() as kong:
        web = KongWeb(lambda: KongPlace(kong.admin_url))
        kong.faults.append(KongFault(ill="drop", method="POST"))
        with pytest.raises(KongUnavailable):
            await web.ask(ask("POST", "/consumers", {"username": "ann"}))
        assert kong.count("POST") == 1
        await web.close()


@on_loop
async def test_silence_ends_in_time_and_an_absent_kong_is_out_of_reach() -> None:
    async with Kong() as kong:
        place = KongPlace(kong.admin_url, timeout_s=0.05)
        web = KongWeb(lambda: place)
        kong.faults.append(KongFault(ill="silence"))
        with pytest.raises(KongTimeout, match=r"within 0\.05 s") as late:
            await web.ask(GET)
        assert (late.value.code, late.value.status) == (Code.KONG_TIMEOUT, 504)
        place = replace(place, timeout_s=5.0)
        await kong.api.refuse()
        await kong.api.hang_up()
        with pytest.raises(KongUnavailable, match="cannot be reached") as away:
            await web.ask(GET)
        assert (away.value.code, away.value.status) == (Code.KONG_UNAVAILABLE, 503)
        await kong.api.accept()
        await web.close()


@on_loop
async def test_an_answer_that_is_too_large_is_broken_off() -> None:
    async with UpstreamServer() as server:
        web = KongWeb(lambda: KongPlace(server.origin), bytes_max=1_000)
        server.default = unary(b"[" + b"1," * 600 + b"1]")
        with pytest.raises(KongUnavailable):
            await web.ask(GET)
        server.default = unary(b'{"version":"3.9.1"}')
        assert read_row(await web.ask(GET)) == {"version": "3.9.1"}
        await web.close()


@on_loop
async def test_the_token_is_shown_in_the_header_that_is_named_and_in_nothing_that_is_told() -> None:
    async with Kong() as kong:
        kong.admin_header = ("Kong-Admin-Token", "open sesame")
        place = KongPlace(kong.admin_url, "Kong-Admin-Token", Secret("open sesame"))
        web = KongWeb(lambda: place)
        assert (await web.ask(GET)).status == 200
        place = KongPlace(kong.admin_url, "X-Other", Secret("open sesame"))
        assert (await web.ask(GET)).status == 401, "settings that are reloaded are followed"
        place = KongPlace("http://127.0.0.1:9", "Kong-Admin-Token", Secret("open sesame"))
        with pytest.raises(KongUnavailable) as away:
            await web.ask(KongAsk("PUT", "/jwts/1", Secret('{"secret":"s3cret"}')))
        told = f"{away.value!r} {away.value.message} {away.value.hint} {away.value.debug} {place!r}"
        assert "sesame" not in told
        assert "s3cret" not in told
        await web.close()


@on_loop
async def test_its_certificate_is_checked_by_the_roots_that_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    async with UpstreamServer(tls=context) as server:
        server.default = unary(b'{"version":"3.9.1"}')
        url = f"https://localhost:{server.port}"
        trusting = KongWeb(lambda: KongPlace(url, roots=authority.root.read_text()))
        assert read_row(await trusting.ask(GET)) == {"version": "3.9.1"}
        doubting = KongWeb(lambda: KongPlace(url))
        with pytest.raises(KongUnavailable):
            await doubting.ask(GET)
        await trusting.close()
        await doubting.close()


@on_loop
async def test_without_a_kong_nobody_is_asked() -> None:
    with pytest.raises(KongUnavailable, match="no Kong is configured"):
        await KongWeb(lambda: None).ask(GET)

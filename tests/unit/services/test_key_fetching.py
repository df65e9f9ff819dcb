"""One fetch by discovery: whose document it must be, what it leads to, and when it is read again (MD-01, MD-02)."""

import asyncio
import json

import pytest

from jotgate.core.key_fetches import Failed
from jotgate.core.reach import Way
from jotgate.jose.keys import generate
from tests.key_keeping import HERE, URL, Desk, key_set, url_source

pytestmark = pytest.mark.anyio
_ISSUER = "https://idp.example/tenant"
_DOCUMENT = "https://idp.example/tenant/.well-known/openid-configuration"
_MOVED = "https://idp.example/moved"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk() -> Desk:
    desk = Desk(url_source(kind="discovery", location=_ISSUER, issuer=_ISSUER))
    desk.web.put(document(), _DOCUMENT)
    return desk


def document(**changes: object) -> bytes:
    return json.dumps({"issuer": _ISSUER, "jwks_uri": URL, **changes}).encode()


async def test_discovery_leads_to_the_keys(desk: Desk) -> None:
    await desk.start()
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    first, second = desk.web.asked
    assert (first.location, first.led_by) == (_DOCUMENT, None)
    assert (second.location, second.led_by) == (URL, HERE)


async def test_a_slash_that_ends_the_issuer_is_left_out_of_the_place_and_demanded_of_the_document() -> None:
    desk = Desk(url_source(kind="discovery", location=_ISSUER + "/", issuer=_ISSUER + "/"))
    desk.web.put(document(), _DOCUMENT)
    await desk.start()
    assert f"must be '{_ISSUER}/', character for character" in desk.standing.fault
    desk.web.put(document(issuer=_ISSUER + "/"), _DOCUMENT)
    await desk.after(1.0)
    assert desk.keeper.sets == {"idp": key_set(desk.key)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (document(issuer="https://evil.example"), "states the issuer 'https://evil.example'"),
        (document(issuer=_ISSUER.upper()), "character for character"),
        (document(issuer=_ISSUER + "/"), "character for character"),
        (document(issuer="https://idp.example:443/tenant"), "character for character"),
        (document(issuer=None), "states the issuer none"),
        (document(issuer=[_ISSUER]), "states the issuer none"),
        (document(jwks_uri=None), "no 'jwks_uri'"),
        (document(jwks_uri=""), "no 'jwks_uri'"),
        (document(jwks_uri=[URL]), "no 'jwks_uri'"),
        (b'{"issuer":"%b","issuer":"x","jwks_uri":"%b"}' % (_ISSUER.encode(), URL.encode()), "is not used"),
        (b"<html>", "is a page in HTML"),
        (b"\xef\xbb\xbf" + document(), "byte order mark"),
        (b"[]", "is a JSON array"),
        (b"", "is empty"),
        (b"null", "is not used"),
    ],
)
async def test_a_document_that_is_not_this_issuers_leads_nowhere(desk: Desk, body: bytes, reason: str) -> None:
    desk.web.put(body, _DOCUMENT)
    await desk.start()
    assert reason in desk.standing.fault
    assert desk.standing.fault.startswith(f"the discovery document '{_DOCUMENT}'")
    assert desk.web.count() == 0


async def test_the_document_is_read_again_each_hour_and_for_an_unknown_key(desk: Desk) -> None:
    await desk.start()
    for _ in range(14):
        await desk.after(240.0)
    assert (desk.web.count(_DOCUMENT), desk.web.count()) == (1, 15)
    await desk.after(240.0)
    assert (desk.web.count(_DOCUMENT), desk.web.count()) == (2, 16)
    await desk.want()
    assert (desk.web.count(_DOCUMENT), desk.web.count()) == (3, 17)


async def test_an_unknown_key_is_found_where_the_issuer_has_moved_its_keys(desk: Desk) -> None:
    await desk.start()
    key = generate("ES256")
    desk.web.put(document(jwks_uri=_MOVED), _DOCUMENT)
    desk.web.put(key_set(key), _MOVED)
    assert (await desk.want()).reached
    assert desk.keeper.sets == {"idp": key_set(key)}


async def test_when_the_keys_are_gone_the_document_is_asked_where_they_are(desk: Desk) -> None:
    await desk.start()
    key = generate("ES256")
    desk.web.fail("answered 404")
    await desk.after(240.0)
    assert (desk.web.count(_DOCUMENT), desk.web.count()) == (2, 2)
    assert desk.standing.fault == "answered 404"
    desk.web.put(document(jwks_uri=_MOVED), _DOCUMENT)
    desk.web.put(key_set(key), _MOVED)
    await desk.after(1.0)
    assert desk.keeper.sets == {"idp": key_set(key)}
    assert desk.standing.fault == ""


async def test_a_document_that_cannot_be_had_leaves_its_last_word(desk: Desk) -> None:
    await desk.start()
    desk.web.fail(location=_DOCUMENT)
    key = generate("ES256")
    desk.web.put(key_set(key))
    assert (await desk.want()).reached
    assert desk.keeper.sets == {"idp": key_set(key)}


async def test_how_the_document_was_come_by_goes_along(desk: Desk) -> None:
    """The adapter refuses what leads further in; it has to be told from where."""
    way = Way("loopback", secure=False)
    desk.web.put(document(), _DOCUMENT, way=way)
    desk.web.documents[URL] = Failed("was named by a server further out")
    await desk.start()
    assert desk.web.asked[-1].led_by == way


async def test_both_share_one_time(desk: Desk) -> None:
    await desk.start()
    assert [get.timeout_s for get in desk.web.asked] == [5.0, 5.0]
    desk.web.hold()
    desk.clock.advance(240.0)
    waiting = desk.want()
    task = asyncio.ensure_future(waiting)
    await desk.web.begun.wait()
    desk.clock.advance(3.0)
    desk.web.release()
    await task
    assert [get.timeout_s for get in desk.web.asked[2:]] == [5.0, 2.0]


async def test_of_an_issuer_that_is_not_trusted_so_far_public_addresses_are_asked_from_the_first_fetch_on() -> None:
    public = Way("public", secure=True)
    desk = Desk(url_source(kind="discovery", location=_ISSUER, issuer=_ISSUER, public_only=True))
    desk.web.put(document(), _DOCUMENT)
    await desk.start()
    assert desk.web.asked[0].led_by == public
    direct = Desk(url_source(public_only=True))
    await direct.start()
    assert [one.led_by for one in direct.web.asked] == [public]

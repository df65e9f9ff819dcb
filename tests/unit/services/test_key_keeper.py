"""Keys of other issuers: when they are fetched, what nobody can make them be fetched for, and how long they last."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.core.key_fetches import Failed, Got, KeysOutcome, Unchanged
from jotgate.jose.keys import generate
from tests.key_keeping import HERE, URL, Desk, key_set, url_source

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_first_fetch_brings_the_keys(desk: Desk) -> None:
    await desk.start()
    assert desk.keeper.sets == {"idp": key_set(desk.key)} == desk.changes[-1]
    assert desk.standing.kids == (desk.key.kid,)
    assert (desk.standing.age_s, desk.standing.fault) == (0.0, "")
    assert desk.standing.fetches == {"changed": 1, "unchanged": 0, "failed": 0}


async def test_keys_are_fetched_ahead_of_their_time_and_told_only_when_they_change(desk: Desk) -> None:
    await desk.start()
    await desk.after(239.0)
    assert desk.web.count() == 1
    await desk.after(1.0)
    assert desk.web.count() == 2, "at 0.8 of 300 s"
    assert len(desk.changes) == 1
    key = generate("ES256")
    desk.web.put(key_set(key))
    await desk.after(240.0)
    assert desk.keeper.sets == {"idp": key_set(key)} == desk.changes[-1]
    assert len(desk.changes) == 2


@pytest.mark.parametrize(
    ("max_age_s", "due_s"), [(None, 240), (3_600.0, 240), (300.0, 240), (100.0, 80), (0.0, 48), (30.0, 48)]
)
async def test_what_the_issuer_says_of_freshness_shortens_the_time_within_bounds(
    desk: Desk, max_age_s: float | None, due_s: float
) -> None:
    desk.web.put(key_set(desk.key), max_age_s=max_age_s)
    await desk.start()
    assert desk.standing.next_s == due_s
    desk.web.documents[URL] = Unchanged(max_age_s)
    await desk.after(due_s)
    assert desk.standing.next_s == due_s


async def test_ten_thousand_unknown_keys_make_one_fetch_in_a_cooldown(desk: Desk) -> None:
    await desk.start()
    answers = [await desk.want() for _ in range(5_000)]
    assert desk.web.count() == 2
    answers += await asyncio.gather(*(desk.want() for _ in range(5_000)))
    assert desk.web.count() == 2
    assert set(answers) == {KeysOutcome(reached=True, useless_s=30.0)}
    desk.clock.advance(29.0)
    assert await desk.want() == KeysOutcome(reached=True, useless_s=1.0)
    desk.clock.advance(1.0)
    await desk.want()
    assert desk.web.count() == 3


async def test_a_hundred_who_wait_wait_for_one_fetch(desk: Desk) -> None:
    await desk.start()
    key = generate("ES256")
    desk.web.put(key_set(desk.key, key))
    desk.web.hold()
    waiting = asyncio.gather(*(desk.want() for _ in range(100)))
    await desk.web.begun.wait()
    desk.web.release()
    assert set(await waiting) == {KeysOutcome(reached=True, useless_s=30.0)}
    assert (desk.web.count(), desk.web.most_under_way) == (2, 1)
    assert desk.keeper.sets == {"idp": key_set(desk.key, key)}


async def test_who_waits_hears_only_when_the_change_has_been_told(desk: Desk) -> None:
    await desk.start()
    desk.telling = told = asyncio.get_running_loop().create_future()
    desk.web.put(key_set(generate("ES256")))
    waiting = asyncio.ensure_future(desk.want())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    told.set_result(2)
    assert (await waiting).reached


async def test_the_cooldown_is_claimed_before_the_fetch_and_by_one_that_fails(desk: Desk) -> None:
    await desk.start()
    desk.web.fail()
    outcome = await desk.want()
    assert not outcome.reached
    for _ in range(100):
        await desk.want()
    assert desk.web.count() == 2


async def test_a_fetch_in_the_background_claims_no_cooldown(desk: Desk) -> None:
    """The issuer may publish a key right behind it, and whoever brings that first is to be let in."""
    await desk.start()
    await desk.after(240.0)
    assert desk.web.count() == 2
    await desk.want()
    assert desk.web.count() == 3


async def test_who_came_behind_the_begin_of_a_background_fetch_learns_that_asking_again_is_of_use(desk: Desk) -> None:
    desk.web.hold()
    desk.keeper.sources([desk.source])
    waiting = asyncio.ensure_future(desk.want())
    await asyncio.sleep(0)
    desk.web.release()
    assert await waiting == KeysOutcome(reached=True, useless_s=0.0)
    assert desk.web.count() == 1
    assert await desk.want() == KeysOutcome(reached=True, useless_s=30.0)


async def test_a_minute_has_so_many_fetches_and_no_more() -> None:
    desk = Desk(url_source(cooldown_s=1.0, per_minute=4))
    await desk.start()
    for _ in range(50):
        await desk.want()
        await desk.after(1.0)
    assert desk.web.count() == 4
    capped = await desk.want()
    assert 0 < capped.useless_s <= 10.0
    assert not capped.reached, "the issuer was not asked, so that nobody knows"
    await desk.after(11.0)
    await desk.want()
    assert desk.web.count() == 5


async def test_a_new_key_is_never_called_unpublished_because_the_fetches_of_the_minute_are_used_up() -> None:
    """Within the cooldown it is, for the issuer was asked; behind it nobody knows until the next fetch may be."""
    desk = Desk(url_source(cooldown_s=5.0, per_minute=10))
    await desk.start()
    for _ in range(8):
        await desk.want()
        await desk.after(5.0)
    await desk.want()
    assert desk.web.count() == 10
    desk.clock.advance(4.0)
    assert await desk.want() == KeysOutcome(reached=True, useless_s=1.0), "until the cooldown is over, and no longer"
    desk.clock.advance(1.0)
    key = generate("ES256")
    desk.web.put(key_set(key))
    assert await desk.want() == KeysOutcome(reached=False, useless_s=15.0)
    await desk.after(15.0)
    assert await desk.want() == KeysOutcome(reached=True, useless_s=5.0)
    assert desk.keeper.sets == {"idp": key_set(key)}


async def test_what_was_fetched_from_elsewhere_for_an_issuer_of_the_same_name_is_none_of_its_keys(desk: Desk) -> None:
    await desk.start()
    held = {"idp": key_set(desk.key)}
    assert desk.keeper.sets_for([desk.source]) == held
    assert desk.keeper.sets_for([replace(desk.source, cooldown_s=7.0, algorithms=("RS256",))]) == held, "as it stands"
    changes: tuple[dict[str, str], ...] = (
        {"location": "https://idp.example/others"},
        {"kind": "discovery"},
        {"kind": "file"},
        {"issuer": "https://other.example"},
        {"roots": "others"},
        {"name": "other"},
    )
    for change in changes:
        assert desk.keeper.sets_for([replace(desk.source, **change)]) == {}, change


async def test_one_issuers_flood_is_not_anothers(desk: Desk) -> None:
    other = url_source(name="other", location="https://other.example/keys")
    desk.web.put(key_set(generate("ES256")), "https://other.example/keys")
    desk.keeper.sources([desk.source, other])
    await desk.settle()
    for _ in range(100):
        await desk.want()
    await desk.keeper.wanted("other")
    assert (desk.web.count(), desk.web.count("https://other.example/keys")) == (2, 2)


async def test_a_failing_issuer_is_asked_again_soon_and_ever_later(desk: Desk) -> None:
    desk.web.fail("no route")
    await desk.start()
    waits = []
    for _ in range(8):
        waits.append(desk.standing.next_s)
        await desk.after(desk.standing.next_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert desk.keeper.sets == {}
    assert desk.news.lines == ["failing idp False: no route"], "told once"
    assert desk.standing.fault == "no route"
    desk.web.put(key_set(desk.key))
    await desk.after(30.0)
    assert desk.news.lines[1:] == ["recovered idp"]
    assert (desk.standing.fault, desk.standing.next_s) == ("", 240.0)


async def test_keys_are_used_on_in_an_outage_and_no_longer_than_they_may(desk: Desk) -> None:
    await desk.start()
    desk.web.fail()
    await desk.after(240.0)
    for _ in range(2_872):
        await desk.after(30.0)
    assert desk.clock.monotonic_s() == 1_000.0 + 86_400.0
    assert desk.keeper.sets == {}
    assert desk.changes[-1] == {}
    assert desk.news.lines == ["failing idp True: it is gone", "ended idp"]
    assert desk.standing.kids == ()
    desk.web.put(key_set(desk.key))
    await desk.after(30.0)
    assert desk.keeper.sets == {"idp": key_set(desk.key)}


async def test_a_confirmation_counts_as_a_fetch(desk: Desk) -> None:
    desk = Desk(url_source(stale_max_s=400.0))
    desk.web.put(key_set(desk.key), etag='"1"', modified="then")
    await desk.start()
    desk.web.documents[URL] = Unchanged()
    for _ in range(5):
        await desk.after(240.0)
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    assert {(get.etag, get.modified) for get in desk.web.asked[1:]} == {('"1"', "then")}
    assert desk.standing.fetches == {"changed": 1, "unchanged": 5, "failed": 0}
    assert len(desk.changes) == 1


async def test_in_an_outage_nobody_is_told_that_a_key_does_not_exist(desk: Desk) -> None:
    await desk.start()
    desk.web.fail()
    assert await desk.want() == KeysOutcome(reached=False, useless_s=1.0), "the next one in the background is sooner"
    await desk.after(1.0)
    assert await desk.want() == KeysOutcome(reached=False, useless_s=2.0)
    desk.web.put(key_set(desk.key))
    await desk.after(2.0)
    assert await desk.want() == KeysOutcome(reached=True, useless_s=27.0)
    assert desk.keeper.sets == {"idp": key_set(desk.key)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b"<!doctype html><title>Log in</title>", "is a page in HTML"),
        (b"\n <?xml version='1.0'?>", "is a page in HTML or XML"),
        (b'\xef\xbb\xbf{"keys":[]}', "byte order mark"),
        ('{"keys":[]}'.encode("utf-16"), "byte order mark"),
        (b"[]", "is a JSON array"),
        (b'"keys"', "is not used"),
        (b'{"keys":[]', "is not used"),
        (b'{"keys":{}}', "no array 'keys'"),
        (b"{}", "no array 'keys'"),
        (b'{"error":"unavailable"}', "no array 'keys'"),
        (b'{"keys":[],"keys":[]}', "is not used"),
        (b'{"keys":[]}', "no key that can be used"),
        (b'{"keys":[{"kty":"EC","crv":"P-256"}]}', "key 0: "),
        (b'{"keys":[1,null,"x"]}', "key 0: not a JSON object"),
        (b" " * 300_000, "is empty"),
        (b'{"keys":[' + b"[" * 5_000, "is not used"),
    ],
)
async def test_what_is_no_good_set_takes_no_good_one_away(desk: Desk, body: bytes, reason: str) -> None:
    await desk.start()
    desk.web.put(body)
    outcome = await desk.want()
    assert not outcome.reached
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    assert reason in desk.standing.fault
    assert len(desk.changes) == 1


async def test_one_bad_key_does_not_kill_the_set(desk: Desk) -> None:
    """JWK-02: the others are good. JWK-03: two keys under one ID are both none."""
    good = key_set(desk.key)
    body = good.replace(b'{"keys":[', b'{"keys":[{"kty":"XX","kid":"a"},{"kty":"EC","crv":"P-256","kid":"b","x":"!"},')
    desk.web.put(body)
    await desk.start()
    assert desk.standing.kids == (desk.key.kid,)
    one, other = (key_set(generate("ES256")) for _ in range(2))
    same = b'{"keys":[%b,%b]}' % tuple(
        replace_kid(raw.removeprefix(b'{"keys":[').removesuffix(b"]}"), b"same") for raw in (one, other)
    )
    desk.web.put(same)
    await desk.want()
    assert "different keys share this key ID" in desk.standing.fault


def replace_kid(jwk: bytes, kid: bytes) -> bytes:
    before, _, after = jwk.partition(b'"kid":"')
    return before + b'"kid":"' + kid + b'"' + after.partition(b'"')[2]


async def test_keys_of_no_algorithm_that_the_issuer_may_use_are_none(desk: Desk) -> None:
    desk = Desk(url_source(algorithms=("RS256",)))
    await desk.start()
    assert "no key that can be used for RS256" in desk.standing.fault
    desk.web.put(key_set(generate("RS256"), desk.key))
    await desk.after(1.0)
    assert len(desk.standing.kids) == 1


async def test_a_source_that_stays_keeps_what_is_known_and_one_that_moves_does_not(desk: Desk) -> None:
    await desk.start()
    await desk.want()
    desk.keeper.sources([desk.source])
    desk.keeper.sources([replace(desk.source, refresh_s=600.0)])
    await desk.settle()
    assert desk.web.count() == 2
    assert (await desk.want()).useless_s == 30.0, "a reload gives no fetch away"
    moved = replace(desk.source, location="https://idp.example/moved")
    desk.web.hold()
    desk.keeper.sources([moved])
    assert desk.keeper.sets == {}
    desk.keeper.sources([])
    assert desk.keeper.standings() == []
    assert await desk.want() == KeysOutcome(reached=True, useless_s=1.0)
    for _ in range(3):
        await asyncio.sleep(0)
    desk.web.release()
    assert desk.keeper.sets == {}


async def test_other_algorithms_take_the_keys_that_are_held_as_far_as_they_fit(desk: Desk) -> None:
    await desk.start()
    held = desk.keeper.sets
    desk.web.hold()
    desk.keeper.sources([replace(desk.source, algorithms=("ES256", "RS256"))])
    assert desk.keeper.sets == held, "no reload costs an issuer keys that it still may use"
    assert desk.standing.kids == (desk.key.kid,)
    desk.keeper.sources([replace(desk.source, algorithms=("RS256",))])
    assert desk.keeper.sets == {}


async def test_who_waits_for_a_source_that_goes_is_let_go(desk: Desk) -> None:
    await desk.start()
    desk.web.hold()
    waiting = asyncio.ensure_future(desk.want())
    await asyncio.sleep(0)
    desk.keeper.sources([])
    await asyncio.wait([waiting], timeout=10)
    assert waiting.done()


async def test_a_fault_of_our_own_is_one_fetch_that_failed(desk: Desk) -> None:
    await desk.start()
    desk.web.documents[URL] = KeyError("a bug")
    assert not (await desk.want()).reached
    assert [type(fault) for fault in desk.news.faults] == [KeyError]
    assert "jotgate failed" in desk.standing.fault
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    desk.web.put(key_set(desk.key))
    await desk.after(1.0)
    assert desk.standing.fault == ""


async def test_not_all_first_fetches_are_waited_for_longer_than_one_may(desk: Desk) -> None:
    desk.web.hold()
    desk.keeper.sources([desk.source])
    assert not await desk.keeper.settle(0.01)
    desk.web.release()
    assert await desk.keeper.settle(10.0)
    assert Desk().keeper.sets == {}
    assert await Desk().keeper.settle(0.0), "nothing is under way"


async def test_a_file_is_read_as_the_web_is(desk: Desk) -> None:
    desk = Desk(url_source(kind="file", location="/keys.json"))
    desk.files.put(key_set(desk.key), "/keys.json", etag="look")
    await desk.start()
    assert desk.keeper.sets == {"idp": key_set(desk.key)}
    assert not desk.web.asked
    desk.files.documents["/keys.json"] = Failed("gone")
    await desk.want()
    assert desk.files.asked[-1].etag == "look"


async def test_validators_belong_to_the_place_that_gave_them(desk: Desk) -> None:
    got = Got(key_set(desk.key), HERE, etag='"1"')
    desk.web.documents[URL] = got
    await desk.start()
    desk.keeper.sources([replace(desk.source, location="https://idp.example/moved")])
    desk.web.documents["https://idp.example/moved"] = Unchanged()
    await desk.settle()
    assert desk.web.asked[-1].etag == ""
    assert "nobody asked" in desk.standing.fault

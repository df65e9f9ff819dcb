"""Rows SL-01 to SL-06 of the token checklist (draft-ietf-oauth-status-list-21): lists that are published, and read.

A verifier here is not jotgate: it checks the list with another library, and looks for its bit by hand.
"""

import asyncio
import base64
import json
import zlib
from typing import Any, Final

import jwt as other_library
import pytest

from jotgate.core.claims import AccessGrant
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import token_handle
from jotgate.core.status_lists import (
    ENTRIES,
    INVALID,
    LIST_BYTES_MAX,
    SUSPENDED,
    VALID,
    StatusList,
    StatusRules,
    list_claims,
    pack_statuses,
    read_list,
)
from jotgate.core.status_references import read_reference
from jotgate.errors import ClaimRefused
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jwt import Claims, read_claims
from jotgate.services.families import FamilyTerms
from jotgate.services.status_lists import StatusPlaces
from tests.callers import NAME, NOW_S
from tests.token_stage import claims_of, client
from tests.trading import EXCHANGE, TradingFloor

URI: Final = NAME + "/oauth/statuslists/1.0"
RULES: Final = StatusRules(on=True, ttl_s=60, life_s=120)

# The draft's own examples: s4.1, s4.2, and the lists of 2^20 tokens in appendix C.
SHORT_ONE_BIT: Final = ("eNrbuRgAAhcBXQ", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1])
SHORT_TWO_BITS: Final = ("eNo76fITAAPfAgc", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3])
LONG_ONE_BIT: Final = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAAD"
    "jelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
LONG_ONE_BIT_SET: Final = (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345)
LONG_TWO_BITS: Final = (
    "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5WwIAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAID0ugQAAAAA"
    "AAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw"
)
LONG_TWO_BITS_SET: Final = {
    0: 1, 1993: 2, 25460: 1, 159495: 3, 495669: 1, 554353: 1, 645645: 2, 723232: 1, 854545: 1, 934534: 2, 1000345: 3,
}  # fmt: skip


@pytest.fixture
def floor() -> TradingFloor:
    floor = TradingFloor()
    floor.status_rules = RULES
    floor.put(client(grants=("client_credentials", "token_exchange"), tenant="default"))
    return floor


def fetch(floor: TradingFloor, uri: str) -> dict[str, Any]:
    """The claims of a list, if it is signed by a key that is published."""
    answer = floor.http.get(uri)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    keys = other_library.PyJWKSet.from_dict(floor.http.get("/.well-known/jwks.json").json())
    header = other_library.get_unverified_header(answer.text)
    assert header["typ"] == "statuslist+jwt"
    key = next(one for one in keys.keys if one.key_id == header["kid"])
    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["sub", "iat", "exp"]}
    found: dict[str, Any] = other_library.decode(answer.text, key, algorithms=["ES256", "Ed25519"], options=options)
    return found


def status_of(floor: TradingFloor, token: str) -> int:
    """What a verifier that asks nobody else finds."""
    place = claims_of(token)["status"]["status_list"]
    claims = fetch(floor, place["uri"])
    assert claims["sub"] == place["uri"]
    assert claims["status_list"]["bits"] == 1
    packed = claims["status_list"]["lst"]
    octets = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    index: int = place["idx"]
    return octets[index // 8] >> index % 8 & 1


def revoke(floor: TradingFloor, kind: RevocationKind, handle: str, before_s: int | None = None) -> None:
    """Revoke something by the name that rows have for it, and let a second pass."""
    row = Revocation(kind=kind, handle=handle, revoked_at_s=int(floor.clock.now_s()), before_s=before_s)
    floor.store.revoke([row])
    asyncio.run(floor.look())
    floor.clock.advance(1)


def made_list(**changes: Any) -> Claims:
    """The claims of a list for `URI`, changed; None: left out."""
    claims = {**list_claims(URI, pack_statuses([3]), NOW_S, RULES), **changes}
    return read_claims(json.dumps({name: value for name, value in claims.items() if value is not None}).encode())


def test_SL_01_a_token_names_its_place_and_the_list_is_a_jwt_of_its_own(floor: TradingFloor) -> None:
    token = floor.made().token
    place = claims_of(token)["status"]["status_list"]
    assert place.keys() == {"idx", "uri"}
    assert 0 <= place["idx"] < ENTRIES
    assert place["uri"].startswith(NAME + "/oauth/statuslists/")
    claims = fetch(floor, place["uri"])
    assert claims.keys() == {"sub", "iat", "exp", "ttl", "status_list"}
    assert (claims["iat"], claims["exp"], claims["ttl"]) == (NOW_S, NOW_S + 120, 60)
    assert claims["status_list"].keys() == {"bits", "lst"}


def test_SL_01_no_token_stands_in_a_list_unless_that_is_set(floor: TradingFloor) -> None:
    floor.status_rules = StatusRules(on=False, ttl_s=60, life_s=120)
    assert "status" not in claims_of(floor.made().token)


def test_SL_01_each_token_has_a_place_of_its_own_that_chance_has_found(floor: TradingFloor) -> None:
    places = [claims_of(floor.made().token)["status"]["status_list"]["idx"] for _ in range(20)]
    assert len(set(places)) == 20
    assert sorted(places) != places


def test_SL_01_a_list_that_no_token_stands_in_is_not_there(floor: TradingFloor) -> None:
    floor.made()
    for name in ("20833.9", "1.0", "x", "..%2Fjwks.json", "1.0/2"):
        assert floor.http.get("/oauth/statuslists/" + name).status_code == 404


def test_SL_01_a_verifier_that_has_the_list_is_told_so(floor: TradingFloor) -> None:
    uri = claims_of(floor.made().token)["status"]["status_list"]["uri"]
    first = floor.http.get(uri)
    again = floor.http.get(uri, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "public, max-age=60"
    assert first.headers["access-control-allow-origin"] == "*"


def test_SL_01_nothing_is_vouched_for_while_what_was_revoked_is_not_known(floor: TradingFloor) -> None:
    uri = claims_of(floor.made().token)["status"]["status_list"]["uri"]
    floor.stale = True
    answer = floor.http.get(uri)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "control_stale")


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({"status": "revoked"}, "invalid"),
        ({"status": None}, "invalid"),
        ({"status": {"status_list": 7}}, "invalid"),
        ({"status": {"status_list": {"uri": URI}}}, "invalid"),
        ({"status": {"status_list": {"idx": -1, "uri": URI}}}, "invalid"),
        ({"status": {"status_list": {"idx": 1.0, "uri": URI}}}, "invalid"),
        ({"status": {"status_list": {"idx": True, "uri": URI}}}, "invalid"),
        ({"status": {"status_list": {"idx": 1, "uri": ""}}}, "invalid"),
        ({"status": {"status_list": {"idx": 1, "uri": ["x"]}}}, "invalid"),
    ],
)
def test_SL_01_a_claim_that_names_no_place_is_refused(claim: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClaimRefused) as refused:
        read_reference(claim)
    assert (refused.value.claim, refused.value.reason) == ("status", reason)


def test_SL_01_what_names_another_mechanism_or_none_has_no_place() -> None:
    assert read_reference({"sub": "x"}) is None
    assert read_reference({"status": {"other": {"idx": 1}}}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": URI + "1"},
        {"sub": None},
        {"iat": None},
        {"ttl": 0},
        {"ttl": "60"},
        {"ttl": True},
        {"status_list": None},
        {"status_list": {"bits": 3, "lst": pack_statuses([])}},
        {"status_list": {"bits": True, "lst": pack_statuses([])}},
        {"status_list": {"bits": 1}},
        {"status_list": {"bits": 1, "lst": "!"}},
    ],
)
def test_SL_01_what_is_no_list_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ClaimRefused):
        read_list(made_list(**changes), URI)


def test_SL_02_a_place_that_the_list_does_not_have_is_refused() -> None:
    found = read_list(made_list(), URI)
    assert [found.status(index) for index in (0, 3, ENTRIES - 1)] == [VALID, INVALID, VALID]
    for index in (ENTRIES, ENTRIES + 3, 1 << 62, -1):
        with pytest.raises(ClaimRefused) as refused:
            found.status(index)
        assert refused.value.claim == "status"


def test_SL_03_what_is_no_good_token_is_refused_for_that_whatever_its_status(floor: TradingFloor) -> None:
    """A list says nothing of a token that has ended: its place stays as it was, and says no more than that."""
    issued = floor.made(ttl_s=60)
    floor.clock.advance(66)
    assert status_of(floor, issued.token) == VALID
    with pytest.raises(Exception, match="has expired"):
        floor.verifier.verify(issued.token.encode(), floor.clock.now_s())


def test_SL_04_what_the_list_says_of_its_time_counts_whatever_HTTP_says() -> None:
    found = read_list(made_list(), URI)
    assert found.good_until_s(NOW_S, 5) == NOW_S + 60
    assert found.good_until_s(NOW_S + 100, 5) == NOW_S + 120, "exp ends it before ttl does"
    unsaid = read_list(made_list(ttl=None, exp=None), URI)
    assert unsaid.good_until_s(NOW_S, 5) == NOW_S + 5


def test_SL_04_a_list_is_signed_anew_before_half_of_its_ttl_is_over(floor: TradingFloor) -> None:
    uri = claims_of(floor.made().token)["status"]["status_list"]["uri"]
    times = []
    for _ in range(5):
        times.append(fetch(floor, uri)["iat"] - NOW_S)
        floor.clock.advance(20)
    assert times == [0, 0, 40, 40, 80]


def test_SL_05_whatever_ends_a_token_shows(floor: TradingFloor) -> None:
    """By itself, its family, and whose it is; others stay as they are."""
    kept = floor.made("bob", client_id="other", tenant="elsewhere").token
    for kind, handle, changes in (
        (RevocationKind.FAMILY, "f-1", {"family": "f-1"}),
        (RevocationKind.CLIENT, "app", {"client_id": "app"}),
        (RevocationKind.SUBJECT, token_handle(NAME, "carol"), {"subject": "carol"}),
        (RevocationKind.TENANT, "acme", {"tenant": "acme"}),
    ):
        token = floor.made(**changes).token
        assert status_of(floor, token) == VALID, kind
        revoke(floor, kind, handle)
        assert status_of(floor, token) == INVALID, kind
        assert status_of(floor, kept) == VALID, kind
    revoke(floor, RevocationKind.TOKEN, token_handle(NAME, claims_of(kept)["jti"]))
    assert status_of(floor, kept) == INVALID


def test_SL_05_what_a_revoked_key_has_signed_shows(floor: TradingFloor) -> None:
    token = floor.made().token
    assert status_of(floor, token) == VALID
    revoke(floor, RevocationKind.KEY, token_handle(NAME, floor.keys.key.kid))
    assert status_of(floor, token) == INVALID


def test_SL_05_a_watermark_shows_for_what_was_issued_until_then(floor: TradingFloor) -> None:
    old = floor.made("dave").token
    floor.clock.advance(100)
    new = floor.made("dave").token
    revoke(floor, RevocationKind.SUBJECT, token_handle(NAME, "dave"), before_s=int(NOW_S) + 50)
    assert (status_of(floor, old), status_of(floor, new)) == (INVALID, VALID)


def test_SL_05_what_was_narrowed_from_a_revoked_token_shows(floor: TradingFloor) -> None:
    parent = floor.made()
    child = floor.post(
        "/oauth/token",
        {
            "grant_type": EXCHANGE,
            "subject_token": parent.token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "client_id": "app",
        },
    ).json()["access_token"]
    assert status_of(floor, child) == VALID
    revoke(floor, RevocationKind.TOKEN, token_handle(NAME, parent.token_id))
    assert status_of(floor, child) == INVALID


def test_SL_05_a_family_that_is_ended_shows_for_its_access_tokens(floor: TradingFloor) -> None:
    terms = FamilyTerms(client_id="app", subject="alice", scopes=("ai",), audiences=(NAME,))
    begun = asyncio.run(floor.families.begin(terms))
    form = {"grant_type": "refresh_token", "refresh_token": begun.token.reveal(), "client_id": "app"}
    token = floor.post("/oauth/token", form).json()["access_token"]
    assert status_of(floor, token) == VALID
    asyncio.run(floor.revoker.end_family(begun.family, reason="lost", actor="test"))
    floor.clock.advance(1)
    assert status_of(floor, token) == INVALID


def test_SL_05_a_list_is_the_same_after_a_restart_and_on_another_machine(floor: TradingFloor) -> None:
    tokens = [floor.made(f"s{index}").token for index in range(5)]
    revoke(floor, RevocationKind.SUBJECT, token_handle(NAME, "s3"))
    other = TradingFloor(floor.store)
    other.status_rules = RULES
    other.keys = floor.keys
    asyncio.run(other.look())
    for stage in (floor, other):
        document = asyncio.run(
            stage.lists.find(claims_of(tokens[0])["status"]["status_list"]["uri"].rpartition("/")[2])
        )
        assert document is not None
        found = read_list(
            read_claims(base64.urlsafe_b64decode(document.body.split(b".")[1] + b"==")), URI[:-3] + "20833.0"
        )
        places = [claims_of(token)["status"]["status_list"]["idx"] for token in tokens]
        assert [found.status(place) for place in places] == [VALID, VALID, VALID, INVALID, VALID]


@pytest.mark.parametrize(("bits", "example"), [(1, SHORT_ONE_BIT), (2, SHORT_TWO_BITS)])
def test_SL_06_the_first_token_stands_in_the_lowest_bits(bits: int, example: tuple[str, list[int]]) -> None:
    packed, statuses = example
    found = read_list(made_list(status_list={"bits": bits, "lst": packed}), URI)
    assert [found.status(index) for index in range(len(statuses))] == statuses
    with pytest.raises(ClaimRefused):
        found.status(len(statuses))


def test_SL_06_the_lists_of_the_draft_are_read() -> None:
    one = read_list(made_list(status_list={"bits": 1, "lst": LONG_ONE_BIT}), URI)
    assert tuple(index for index in range(1 << 20) if one.status(index)) == LONG_ONE_BIT_SET
    two = read_list(made_list(status_list={"bits": 2, "lst": LONG_TWO_BITS}), URI)
    assert {index: two.status(index) for index in range(1 << 20) if two.status(index)} == LONG_TWO_BITS_SET
    assert set(LONG_TWO_BITS_SET.values()) == {INVALID, SUSPENDED, 3}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_SL_06_every_width_is_read_at_every_place(bits: int) -> None:
    statuses = [index * 7 % (1 << bits) for index in range(64)]
    octets = bytearray(64 * bits // 8)
    for index, status in enumerate(statuses):
        octets[index * bits // 8] |= status << index * bits % 8
    found = StatusList(bits, bytes(octets), NOW_S, None, None)
    assert [found.status(index) for index in range(64)] == statuses


def test_SL_06_ours_is_what_the_draft_packs() -> None:
    marked = [index for index, status in enumerate(SHORT_ONE_BIT[1]) if status]
    assert pack_statuses(marked, 16) == SHORT_ONE_BIT[0]
    assert pack_statuses(LONG_ONE_BIT_SET, 1 << 20) == LONG_ONE_BIT


def test_SL_06_a_list_that_grows_too_large_or_does_not_end_is_not_read() -> None:
    def packed(octets: bytes) -> str:
        return b64url_encode(octets).decode()

    largest = zlib.compress(bytes(LIST_BYTES_MAX))
    read_list(made_list(status_list={"bits": 1, "lst": packed(largest)}), URI)
    for octets in (zlib.compress(bytes(LIST_BYTES_MAX + 1)), largest[:-1], largest + b"x", b"", b"x" * 40):
        with pytest.raises(ClaimRefused):
            read_list(made_list(status_list={"bits": 1, "lst": packed(octets)}), URI)


def test_SL_06_a_full_list_of_ours_fits_into_a_token(floor: TradingFloor) -> None:
    """Whatever is revoked: half of all places by chance is what compresses worst."""
    noise = [index for index in range(ENTRIES) if index * 2_654_435_761 >> 16 & 1]
    claims = list_claims(URI, pack_statuses(noise), NOW_S, RULES)
    assert floor.keys.seal(floor.keys.header(typ="statuslist+jwt"), claims)


def test_SL_01_places_of_a_list_that_is_about_full_are_looked_for_in_the_next(floor: TradingFloor) -> None:
    """Chance that always finds the same place finds it taken; the day's next list has it free."""

    class OnePlace:
        def random_bytes(self, count: int) -> bytes:
            return bytes(count)

    places = StatusPlaces(
        floor.access, issuer=NAME, entropy=OnePlace(), clock=floor.clock, rules=lambda: floor.status_rules
    )
    issuer = floor.issuer.placing(places)
    grant = AccessGrant(subject="alice", client_id="app", scopes=("ai",), audiences=(NAME,), ttl_s=60)
    uris = []
    for _ in range(3):
        place = claims_of(asyncio.run(issuer.issue(grant, actor="test")).token)["status"]["status_list"]
        assert place["idx"] == 0
        uris.append(place["uri"].rpartition("/")[2])
    assert uris == ["20833.0", "20833.1", "20833.2"]
    floor.clock.advance(86_400)
    next_day = claims_of(asyncio.run(issuer.issue(grant, actor="test")).token)["status"]["status_list"]
    assert next_day["uri"].endswith("/20834.0")


def test_SL_01_a_place_is_kept_for_as_long_as_any_leeway_takes_its_token(floor: TradingFloor) -> None:
    issued = floor.made(ttl_s=60)
    place = claims_of(issued.token)["status"]["status_list"]
    (mark,) = floor.store.marks_of("status " + place["uri"].rpartition("/")[2], "", 10)
    assert (int(mark.handle), mark.expires_at_s) == (place["idx"], issued.expires_at_s + 60)

"""What is to be done at Kong: the difference of what is wanted and what is there, and nothing of what is not ours."""

from typing import Final

import msgspec
import pytest

from jotgate.core.kong_admin import KongAnswer, OffsetRefused, check, list_path, read_page, read_row, segment
from jotgate.core.kong_aims import KongAims, KongPlace, WantedPlugin, consumer_id
from jotgate.core.kong_found import (
    FoundConsumer,
    FoundCredential,
    FoundGroup,
    FoundKong,
    FoundPlugin,
    read_consumer,
    read_credential,
    read_plugin,
)
from jotgate.core.kong_plan import KongChange, WantedCredential, WantedKong, make_plan
from jotgate.core.values import Secret
from jotgate.errors import JotgateError, KongConflict, KongRefused, KongUnavailable

TAG: Final = "jotgate"
PLACE: Final = KongPlace("http://127.0.0.1:8001")
JWT: Final = WantedPlugin("jwt", {"key_claim_name": "kid", "claims_to_verify": ["exp"], "anonymous": None})
ANN: Final = FoundConsumer("id-ann", "ann", "sub", (TAG,))


def aims(*plugins: WantedPlugin, **more: object) -> KongAims:
    return msgspec.structs.replace(KongAims(place=PLACE, tag=TAG, plugins=plugins), **more)


def found(
    *plugins: FoundPlugin,
    consumers: tuple[FoundConsumer, ...] = (),
    credentials: tuple[FoundCredential, ...] = (),
    groups: tuple[FoundGroup, ...] = (),
    service_id: str = "",
) -> FoundKong:
    return FoundKong(
        consumers=consumers, credentials=credentials, groups=groups, plugins=plugins, service_id=service_id
    )


def plugin(**changed: object) -> FoundPlugin:
    config = {"key_claim_name": "kid", "claims_to_verify": ["exp"], "anonymous": None, "realm": "theirs"}
    return msgspec.structs.replace(FoundPlugin("id-jwt", "jwt", config, True, (TAG,)), **changed)


def wanted(*credentials: WantedCredential, unwanted: tuple[str, ...] = ()) -> WantedKong:
    owners = {one.consumer: "sub" for one in credentials}
    return WantedKong(consumers=owners, credentials=credentials, unwanted=frozenset(unwanted))


NOTHING: Final = wanted()
ONE: Final = WantedCredential("id-1", "key-1", "ann", "HS256", None, Secret("c2VjcmV0"), "laptop")
AT_KONG: Final = FoundCredential("id-1", "id-ann", "key-1", "HS256", "", Secret("c2VjcmV0"), (TAG,))


def said(change: KongChange) -> tuple[str, str, str, str]:
    return change.verb, change.what, change.ask.method, change.ask.path


def test_nothing_is_done_where_nothing_differs() -> None:
    there = found(plugin(), consumers=(ANN,), credentials=(AT_KONG,))
    plan = make_plan(aims(JWT), wanted(ONE), there)
    assert (plan.changes, plan.strangers, plan.notes) == ((), (), ())


def test_what_lacks_is_put_in_the_order_in_which_it_is_needed() -> None:
    plan = make_plan(aims(JWT, groups=("llm",)), wanted(ONE), found())
    owner = consumer_id("ann")
    assert [said(one) for one in plan.changes] == [
        ("create", "plugin", "PUT", f"/plugins/{aims().plugin_id(JWT)}"),
        ("create", "consumer", "PUT", f"/consumers/{owner}"),
        ("create", "credential", "PUT", f"/consumers/{owner}/jwt/id-1"),
        ("create", "group", "POST", f"/consumers/{owner}/acls"),
    ]
    assert "c2VjcmV0" not in repr(plan), "no secret is shown"


def test_only_what_differs_of_a_plugin_is_sent_since_kong_merges() -> None:
    config = {"key_claim_name": "iss", "claims_to_verify": ["exp"], "anonymous": None, "realm": "theirs"}
    (change,) = make_plan(aims(JWT), NOTHING, found(plugin(config=config))).changes
    assert change.ask.body == Secret('{"config":{"key_claim_name":"kid"}}')
    (change,) = make_plan(aims(JWT), NOTHING, found(plugin(enabled=False))).changes
    assert (change.ask.body, change.why) == (Secret('{"enabled":true}'), "enabled")


def test_the_order_of_a_set_is_no_difference() -> None:
    names = WantedPlugin("jwt", {"header_names": ["authorization", "x-token"]})
    there = plugin(config={"header_names": ["x-token", "authorization"]})
    assert make_plan(aims(names), NOTHING, found(there)).changes == ()


def test_a_plugin_of_others_in_our_place_is_told_and_left() -> None:
    plan = make_plan(aims(JWT), NOTHING, found(plugin(tags=("theirs",))))
    assert plan.changes == ()
    assert "not jotgate's (id-jwt)" in plan.notes[0]


def test_plugins_are_let_alone_where_that_is_asked() -> None:
    assert make_plan(aims(JWT), NOTHING, found(), plugins=False).changes == ()


def test_a_plugin_moves_with_the_settings_to_a_service() -> None:
    plan = make_plan(aims(JWT, service="llm"), NOTHING, found(plugin(), service_id="id-llm"))
    created, deleted = plan.changes
    assert created.ask.body is not None
    assert msgspec.json.decode(created.ask.body.reveal())["service"] == {"id": "id-llm"}
    assert said(deleted) == ("delete", "plugin", "DELETE", "/plugins/id-jwt")


def test_who_may_pass_is_in_the_groups_before_the_acl_plugin_comes_and_out_of_them_first_of_all() -> None:
    acl = WantedPlugin("acl", {"allow": ["llm"], "deny": None})
    there = found(consumers=(ANN,), credentials=(AT_KONG,), groups=(FoundGroup("id-g", "id-ann", "old"),))
    plan = make_plan(aims(acl, groups=("llm",)), wanted(ONE), there)
    assert [f"{one.verb} {one.what}" for one in plan.changes] == ["delete group", "create group", "create plugin"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"key": "other"}, "key"),
        ({"algorithm": "HS512"}, "algorithm"),
        ({"secret": Secret("other")}, "secret"),
        ({"consumer_id": "id-bob"}, "consumer"),
        ({"public_key_pem": "pem"}, "rsa_public_key"),
    ],
)
def test_each_difference_of_a_credential_is_mended_by_one_request(changed: dict[str, object], why: str) -> None:
    there = found(consumers=(ANN,), credentials=(msgspec.structs.replace(AT_KONG, **changed),))
    (change,) = make_plan(aims(), wanted(ONE), there).changes
    assert (said(change), change.why) == (("update", "credential", "PUT", "/consumers/id-ann/jwt/id-1"), why)


def test_the_secret_that_kong_makes_up_for_a_public_key_is_no_difference() -> None:
    one = WantedCredential("id-1", "key-1", "ann", "ES256", "pem\n", None)
    there = msgspec.structs.replace(AT_KONG, algorithm="ES256", public_key_pem="pem", secret=Secret("of Kong"))
    assert make_plan(aims(), wanted(one), found(consumers=(ANN,), credentials=(there,))).changes == ()


def test_the_unwanted_are_deleted_first_and_those_too_that_do_not_carry_our_tag_any_more() -> None:
    plan = make_plan(aims(JWT), wanted(unwanted=("id-1", "id-2")), found(credentials=(AT_KONG,)))
    assert [said(one) for one in plan.changes[:2]] == [
        ("delete", "credential", "DELETE", "/jwts/id-1"),
        ("delete", "credential", "DELETE", "/jwts/id-2"),
    ]
    assert plan.strangers == ()


def test_a_credential_of_nobody_is_told_and_not_deleted_by_itself() -> None:
    plan = make_plan(aims(), NOTHING, found(consumers=(ANN,), credentials=(AT_KONG,)))
    assert plan.changes == ()
    assert [one.name for one in plan.strangers] == ["ann/id-1"]


def test_a_consumer_whose_custom_id_lacks_gets_it_and_one_of_another_user_is_told() -> None:
    bare = msgspec.structs.replace(ANN, custom_id="")
    (change,) = make_plan(aims(), wanted(ONE), found(consumers=(bare,), credentials=(AT_KONG,))).changes
    assert said(change) == ("update", "consumer", "PATCH", "/consumers/id-ann")
    other = msgspec.structs.replace(ANN, custom_id="another")
    plan = make_plan(aims(), wanted(ONE), found(consumers=(other,), credentials=(AT_KONG,)))
    assert (plan.changes, len(plan.notes)) == ((), 1)


def test_consumers_are_never_deleted() -> None:
    plan = make_plan(aims(), NOTHING, found(consumers=(ANN,)))
    assert plan.changes == ()


def test_a_consumer_with_limits_of_its_own_has_a_plugin_of_its_own() -> None:
    limits = WantedPlugin("rate-limiting", {"minute": 600}, "batch")
    plan = make_plan(aims(limits, named=("batch",)), NOTHING, found())
    assert [f"{one.verb} {one.what} {one.name}" for one in plan.changes] == [
        "create consumer batch",
        "create plugin rate-limiting of batch",
    ]
    body = plan.changes[1].ask.body
    assert body is not None
    assert msgspec.json.decode(body.reveal())["consumer"] == {"id": consumer_id("batch")}


def test_the_id_of_a_plugin_tells_tags_and_places_apart() -> None:
    ids = {
        aims().plugin_id(JWT),
        aims(tag="other").plugin_id(JWT),
        aims(service="llm").plugin_id(JWT),
        aims(route="llm").plugin_id(JWT),
        aims().plugin_id(WantedPlugin("jwt", {}, "llm")),
    }
    assert len(ids) == 5
    assert aims().plugin_id(JWT) == aims().plugin_id(JWT)


def answer(status: int, body: object) -> KongAnswer:
    return KongAnswer(status, Secret(body if isinstance(body, str) else msgspec.json.encode(body).decode()))


def refusal(code: int, name: str, message: str, /, **fields: object) -> object:
    return {"code": code, "name": name, "message": message, "fields": fields}


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (
            answer(400, refusal(1, "invalid primary key", "invalid primary key: '{id=\"x\"}'")),
            KongRefused,
            "status 400",
        ),
        (
            answer(400, refusal(2, "schema violation", "schema violation (name: required field missing)", name="x")),
            KongRefused,
            "name: required field missing",
        ),
        (answer(400, refusal(3, "primary key violation", "taken")), KongRefused, "taken"),
        (
            answer(400, refusal(4, "foreign key violation", "the foreign key does not exist")),
            KongRefused,
            "foreign key",
        ),
        (
            answer(
                409, refusal(5, "unique constraint violation", "UNIQUE violation detected on '{key=\"k1\"}'", key="k1")
            ),
            KongConflict,
            "has that already: key",
        ),
        (answer(404, {"message": "Not found"}), KongRefused, "Not found"),
        (answer(400, refusal(7, "invalid offset", "'x' is not a valid offset: bad")), OffsetRefused, "has changed"),
        (answer(500, {"message": "An unexpected error occurred"}), KongUnavailable, "unexpected error"),
        (answer(400, refusal(11, "invalid options", "invalid option (tags: wrong)")), KongRefused, "tags: wrong"),
        (
            answer(405, refusal(12, "operation unsupported", "cannot create 'consumers' …")),
            KongRefused,
            "without a database",
        ),
        (answer(405, {"message": "Method not allowed"}), KongRefused, "Method not allowed"),
        (answer(415, ""), KongRefused, "status 415"),
        (answer(401, {"message": "Unauthorized"}), KongRefused, "wants a credential"),
        (answer(302, ""), KongRefused, "redirect"),
        (answer(503, "<html>"), KongUnavailable, "status 503"),
    ],
)
def test_each_error_of_kong_is_told_in_its_words_without_what_is_secret(
    given: KongAnswer, kind: type[JotgateError], told: str
) -> None:
    with pytest.raises(kind, match=told) as refused:
        check(given)
    assert type(refused.value) is kind
    assert "k1" not in refused.value.message


def test_some_refusals_are_fine_where_they_say_that_it_is_so_already() -> None:
    check(answer(404, {"message": "Not found"}), fine=(404,))
    check(answer(204, ""))


def test_pages_lead_on_by_their_offset_wherever_it_stands() -> None:
    assert read_page(answer(200, {"data": [], "next": None})).offset == ""
    assert (
        read_page(answer(200, {"data": [{"id": "1"}], "next": "/jwts?offset=ab%3D", "offset": "ab="})).offset == "ab="
    )
    assert read_page(answer(200, {"data": [], "next": "/jwts?size=7&offset=ab%3D"})).offset == "ab="
    assert list_path("/jwts", tag=TAG, offset="ab=") == "/jwts?size=1000&tags=jotgate&offset=ab%3D"
    bodies: tuple[object, ...] = ({"data": {}}, {"data": [1]}, {"data": [], "next": "/jwts"}, {})
    for body in bodies:
        with pytest.raises(KongRefused, match="not Kong's Admin API"):
            read_page(answer(200, body))


@pytest.mark.parametrize("body", ["", "[]", "<html>", '"text"', "{"])
def test_what_is_no_object_is_no_answer_of_kong(body: str) -> None:
    with pytest.raises(KongRefused):
        read_row(answer(200, body))


def test_rows_are_read_by_what_is_needed_of_them() -> None:
    assert read_consumer({"id": "1", "username": None, "custom_id": None, "tags": None}) == FoundConsumer(
        "1", "", "", ()
    )
    one = read_credential({"id": "1", "consumer": {"id": "2"}, "key": "k", "algorithm": "HS256", "secret": "s"})
    assert (one.consumer_id, one.secret, one.public_key_pem) == ("2", Secret("s"), "")
    assert read_plugin({"id": "1", "name": "jwt", "config": None}).enabled
    with pytest.raises(KongRefused, match="without an id"):
        read_consumer({"username": "ann"})


def test_names_stand_in_paths_as_one_part() -> None:
    assert segment("a/../b?c#é") == "a%2F..%2Fb%3Fc%23%C3%A9"
    for name in ("", ".", ".."):
        with pytest.raises(KongRefused):
            segment(name)

"""Kong's Admin API in testing: consumers and credentials, in pages, with tags; what it refuses, in which words."""

import uuid

import pytest

from jotgate.testing.kong import Kong
from tests.kong_calls import NOT_FOUND, KongCalls, escaped, violated

# Consumers


def test_a_consumer_is_made_found_by_id_or_name_changed_and_deleted(calls: KongCalls) -> None:
    status, bob = calls.told("POST", "/consumers", {"username": "bob", "tags": ["jotgate", "jotgate"]})
    assert status == 201
    assert bob.keys() == {"id", "created_at", "updated_at", "username", "custom_id", "tags"}
    assert (bob["custom_id"], bob["tags"]) == (None, ["jotgate"])
    assert calls.told("GET", "/consumers/bob") == calls.told("GET", f"/consumers/{bob['id']}") == (200, bob)
    assert calls.told("PATCH", "/consumers/bob", {"custom_id": "b1"})[1]["custom_id"] == "b1"
    assert [row["id"] for row in calls.told("GET", "/consumers?custom_id=b1")[1]["data"]] == [bob["id"]]
    assert calls.told("GET", "/consumers?custom_id=b2")[1] == {"data": [], "next": None}
    assert [calls.told("DELETE", "/consumers/bob"), calls.told("DELETE", "/consumers/bob")] == [(204, None)] * 2
    assert calls.told("GET", "/consumers/bob") == NOT_FOUND


def test_a_name_with_slashes_and_other_letters_is_one_part_of_a_path(calls: KongCalls) -> None:
    name = "../jwts/ünïcode %2F"
    assert calls.told("PUT", f"/consumers/{escaped(name)}")[1]["username"] == name
    assert calls.told("GET", f"/consumers/{escaped(name)}/jwt") == (200, {"data": [], "next": None})
    assert calls.told("GET", "/consumers/../jwts/x") == NOT_FOUND


def test_put_makes_by_our_id_and_replaces_all_that_it_does_not_say(calls: KongCalls) -> None:
    ours = str(uuid.uuid4())
    status, made = calls.told("PUT", f"/consumers/{ours}", {"username": "bob", "tags": ["a"]})
    assert (status, made["id"]) == (200, ours)
    status, again = calls.told("PUT", f"/consumers/{ours}", {"custom_id": "b"})
    assert (status, again["username"], again["custom_id"], again["tags"]) == (200, None, "b", None)
    assert again["created_at"] == made["created_at"]


def test_a_username_is_one_consumers(calls: KongCalls) -> None:
    calls.told("POST", "/consumers", {"username": "bob"})
    told = {"code": 5, "name": "unique constraint violation", "fields": {"username": "bob"}}
    told["message"] = "UNIQUE violation detected on '{username=\"bob\"}'"
    assert calls.told("POST", "/consumers", {"username": "bob"}) == (409, told)
    assert calls.told("PUT", f"/consumers/{uuid.uuid4()}", {"username": "bob"}) == (409, told)
    assert calls.told("PUT", "/consumers/bob", {"custom_id": "b"})[0] == 200


def test_an_id_is_taken_once(calls: KongCalls, kong: Kong) -> None:
    bob = kong.add("consumers", username="bob")
    status, told = calls.told("POST", "/consumers", {"id": bob["id"], "username": "eve"})
    assert (status, told["code"], told["name"]) == (400, 3, "primary key violation")


def test_a_consumer_has_a_name_or_a_custom_id_and_nothing_unknown(calls: KongCalls) -> None:
    lacking = "at least one of these fields must be non-empty: 'custom_id', 'username'"
    assert calls.told("POST", "/consumers", {}) == violated({"@entity": [lacking]}, f"schema violation ({lacking})")
    assert calls.told("POST", "/consumers", {"role": "x"}) == violated(
        {"@entity": [lacking], "role": "unknown field"}, f"2 schema violations ({lacking}; role: unknown field)"
    )
    assert calls.told("POST", "/consumers", {"username": 7}) == violated(
        {"username": "expected a string"}, "schema violation (username: expected a string)"
    )
    assert calls.told("POST", "/consumers", {"username": ""})[1]["fields"] == {"username": "length must be at least 1"}


def test_what_is_not_there_cannot_be_changed(calls: KongCalls) -> None:
    told = {"code": 6, "name": "not found", "fields": {"username": "bob"}}
    told["message"] = "could not find the entity with '{username=\"bob\"}'"
    assert calls.told("PATCH", "/consumers/bob", {"tags": []}) == (404, told)
    ours = str(uuid.uuid4())
    told["fields"] = {"id": ours}
    told["message"] = f"could not find the entity with primary key '{{id=\"{ours}\"}}'"
    assert calls.told("PATCH", f"/consumers/{ours}", {"tags": []}) == (404, told)


# Credentials


def test_a_credential_gets_a_key_and_a_secret_where_none_are_given(calls: KongCalls, kong: Kong) -> None:
    bob = kong.add("consumers", username="bob")
    status, made = calls.told("POST", "/consumers/bob/jwt", b"", "")
    assert status == 201
    assert (len(made["key"]), len(made["secret"]), made["algorithm"]) == (32, 32, "HS256")
    assert made["consumer"] == {"id": bob["id"]}
    assert calls.told("GET", f"/consumers/bob/jwt/{made['key']}") == (200, made)
    assert calls.told("GET", f"/jwts/{made['key']}") == calls.told("GET", f"/jwts/{made['id']}") == (200, made)
    assert calls.told("GET", f"/jwts/{made['key']}/consumer") == (200, bob)


def test_a_key_is_one_credentials_whosever_it_is(calls: KongCalls, kong: Kong) -> None:
    for name in ("bob", "eve"):
        kong.add("consumers", username=name)
    assert calls.told("POST", "/consumers/bob/jwt", {"key": "my_token"})[0] == 201
    status, told = calls.told("POST", "/consumers/eve/jwt", {"key": "my_token"})
    assert (status, told["code"], told["fields"]) == (409, 5, {"key": "my_token"})
    assert calls.told("GET", "/consumers/eve/jwt/my_token") == NOT_FOUND
    assert calls.told("DELETE", "/consumers/eve/jwt/my_token") == NOT_FOUND
    assert calls.told("DELETE", "/consumers/bob/jwt/my_token") == (204, None)
    assert calls.told("DELETE", "/consumers/bob/jwt/my_token") == NOT_FOUND
    assert calls.told("DELETE", "/jwts/my_token") == (204, None)


def test_put_of_a_credential_by_our_id_can_be_repeated_and_moves_it(calls: KongCalls, kong: Kong) -> None:
    bob, eve = (kong.add("consumers", username=name) for name in ("bob", "eve"))
    ours = str(uuid.uuid4())
    given = {"key": "k", "secret": "c2VjcmV0", "tags": ["jotgate"]}
    first = calls.told("PUT", f"/consumers/bob/jwt/{ours}", given)
    assert first[0] == 200
    assert calls.told("PUT", f"/consumers/bob/jwt/{ours}", given) == first
    assert calls.told("PUT", f"/consumers/eve/jwt/{ours}", given)[1]["consumer"] == {"id": eve["id"]}
    assert calls.told("GET", "/consumers/bob/jwt")[1]["data"] == []
    anew = calls.told("PUT", f"/consumers/eve/jwt/{ours}", {"key": "k"})[1]
    assert (len(anew["secret"]), anew["tags"]) == (32, None), "a secret that is left out is a new one"
    assert bob["id"] != eve["id"]


def test_a_credential_of_a_consumer_that_is_not_there_is_refused(calls: KongCalls, kong: Kong) -> None:
    assert calls.told("POST", "/consumers/bob/jwt", {}) == NOT_FOUND
    assert calls.told("PUT", f"/consumers/bob/jwt/{uuid.uuid4()}", {}) == NOT_FOUND
    ghost = str(uuid.uuid4())
    told = {"code": 4, "name": "foreign key violation", "fields": {"consumer": {"id": ghost}}}
    told["message"] = f"the foreign key '{{id=\"{ghost}\"}}' does not reference an existing 'consumers' entity."
    assert calls.told("POST", "/jwts", {"consumer": {"id": ghost}}) == (400, told)
    status, unresolved = calls.told("POST", "/jwts", {"consumer": {"username": "bob"}})
    assert (status, unresolved["code"]) == (400, 13)
    assert calls.told("POST", "/jwts", {})[1]["fields"] == {"consumer": "required field missing"}
    kong.add("consumers", username="bob")
    assert calls.told("POST", "/jwts", {"consumer": {"username": "bob"}})[0] == 201


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"])
@pytest.mark.parametrize(("pem", "told"), [(None, "required field missing"), ("x", "invalid key")])
def test_an_algorithm_with_a_public_key_needs_one(
    calls: KongCalls, kong: Kong, algorithm: str, pem: str | None, told: str
) -> None:
    kong.add("consumers", username="bob")
    given = {"algorithm": algorithm, "rsa_public_key": pem}
    entity = "failed conditional validation given value of field 'algorithm'"
    assert calls.told("POST", "/consumers/bob/jwt", given) == violated(
        {"@entity": [entity], "rsa_public_key": told}, f"2 schema violations ({entity}; rsa_public_key: {told})"
    )


def test_ecdsa_is_taken_without_a_key_and_unknown_algorithms_are_not(calls: KongCalls, kong: Kong) -> None:
    kong.add("consumers", username="bob")
    assert calls.told("POST", "/consumers/bob/jwt", {"algorithm": "ES256"})[0] == 201
    told = calls.told("POST", "/consumers/bob/jwt", {"algorithm": "none"})[1]["fields"]["algorithm"]
    assert told.startswith("expected one of: HS256, HS384, HS512, RS256, ")


def test_a_consumer_takes_what_is_its_own_along(calls: KongCalls, kong: Kong) -> None:
    bob = kong.add("consumers", username="bob")
    eve = kong.add("consumers", username="eve")
    for owner in (bob, eve):
        kong.add("jwt_secrets", consumer={"id": owner["id"]})
        kong.add("acls", consumer={"id": owner["id"]}, group="staff")
        kong.add("plugins", name="rate-limiting", config={"minute": 1}, consumer={"id": owner["id"]})
    assert calls.told("DELETE", f"/consumers/{bob['id']}") == (204, None)
    for path in ("/jwts", "/acls", "/plugins"):
        assert [row["consumer"] for row in calls.told("GET", path)[1]["data"]] == [{"id": eve["id"]}]


# Pages and tags


def test_a_list_comes_in_pages_that_lead_from_one_to_the_next(calls: KongCalls, kong: Kong) -> None:
    made = {kong.add("consumers", username=f"u{number}", tags=["a b"])["id"] for number in range(5)}
    kong.add("consumers", username="other")
    path: str | None = "/consumers?size=2&tags=a%20b"
    seen: list[str] = []
    pages = 0
    while path:
        page = calls.told("GET", path)[1]
        seen += [row["id"] for row in page["data"]]
        assert ("offset" in page) == (page["next"] is not None)
        path = page["next"]
        pages += 1
    assert (pages, seen) == (3, sorted(made))


def test_a_page_goes_on_where_it_stopped_whatever_has_come_and_gone(calls: KongCalls, kong: Kong) -> None:
    rows = sorted(kong.add("consumers", username=f"u{number}")["id"] for number in range(4))
    after = calls.told("GET", "/consumers?size=2")[1]["next"]
    calls.told("DELETE", f"/consumers/{rows[0]}")
    calls.told("DELETE", f"/consumers/{rows[2]}")
    assert [row["id"] for row in calls.told("GET", after)[1]["data"]] == rows[3:]


def test_a_nested_list_has_no_tags_and_forgets_its_size(calls: KongCalls, kong: Kong) -> None:
    bob = kong.add("consumers", username="bob")
    for number in range(103):
        kong.add("jwt_secrets", consumer={"id": bob["id"]}, key=f"k{number}")
    assert len(calls.told("GET", "/consumers/bob/jwt?tags=none")[1]["data"]) == 100
    page = calls.told("GET", "/consumers/bob/jwt?size=1")[1]
    assert page["next"] == f"/consumers/{bob['id']}/jwt?offset={page['offset']}"
    assert len(calls.told("GET", page["next"])[1]["data"]) == 100


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ("size=0", 9, "size must be an integer between 1 and 1000"),
        ("size=1001", 9, "size must be an integer between 1 and 1000"),
        ("size=1.5", 9, "size must be an integer between 1 and 1000"),
        ("size=inf", 9, "size must be an integer between 1 and 1000"),
        ("size=x", 9, "size must be a number"),
        ("offset=!", 7, "'!' is not a valid offset: bad base64 encoding"),
        ("tags=a,b/c", 11, "invalid option (tags: invalid filter syntax)"),
        ("tags=a,,b", 11, "invalid option (tags: invalid filter syntax)"),
    ],
)
def test_a_page_that_cannot_be_is_refused(calls: KongCalls, query: str, code: int, told: str) -> None:
    status, answer = calls.told("GET", f"/consumers?{query}")
    assert (status, answer["code"], answer["message"]) == (400, code, told)


def test_tags_are_all_wanted_or_one_of_them_and_are_listed(calls: KongCalls, kong: Kong) -> None:
    both = kong.add("consumers", username="both", tags=["a", "b"])
    kong.add("consumers", username="one", tags=["a"])
    assert [row["username"] for row in calls.told("GET", "/consumers?tags=a,b")[1]["data"]] == ["both"]
    assert len(calls.told("GET", "/consumers?tags=a/b")[1]["data"]) == 2
    assert calls.told("GET", "/tags/b")[1]["data"] == [
        {"entity_name": "consumers", "entity_id": both["id"], "tag": "b"}
    ]
    assert len(calls.told("GET", "/tags?size=2")[1]["data"]) == 2
    told = calls.told("POST", "/consumers", {"username": "x", "tags": ["a", "b,c"]})[1]["fields"]["tags"]
    assert told == [None, "invalid tag 'b,c': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"]

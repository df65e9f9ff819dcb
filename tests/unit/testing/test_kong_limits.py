"""Groups and limits at the gateway of Kong's stand-in, routes, and how it gets to the service."""

from collections.abc import Iterator

import pytest

from jotgate.testing.kong import Kong, kong_in_thread
from jotgate.testing.kong_told import CHAT_PATH
from tests.kong_calls import KongCalls, minted

MIDNIGHT_S = 1_800_057_600
"""A day's first second, which is no month's."""
NO_ROUTE = "no Route matched with those values"


@pytest.fixture
def kong() -> Iterator[Kong]:
    with kong_in_thread() as running:
        running.protect()
        running.skew_s = MIDNIGHT_S + 30 - running.now_s()
        yield running


@pytest.fixture
def calls(kong: Kong) -> KongCalls:
    return KongCalls(kong)


def test_groups_let_in_and_keep_out(kong: Kong, calls: KongCalls) -> None:
    token, row = minted(kong, "alice")
    plugin = kong.add("plugins", name="acl", config={"allow": ["staff", "admins"]})
    refused = calls.chat(token)
    assert (refused.status, refused.body["message"]) == (403, "You cannot consume this service")
    kong.add("acls", consumer=row["consumer"], group="staff")
    assert calls.chat(token, X_Consumer_Groups="admins").status == 200
    assert kong.reached[-1].headers["x-consumer-groups"] == ("staff",)
    calls.told("PATCH", f"/plugins/{plugin['id']}", {"config": {"allow": None, "deny": ["staff"]}})
    assert calls.chat(token).status == 403
    assert calls.chat(minted(kong, "bob")[0]).status == 200


def test_nobody_is_in_a_group(kong: Kong, calls: KongCalls) -> None:
    kong.add("consumers", username="nobody")
    calls.told("PATCH", f"/plugins/{kong.plugins[0]['id']}", {"config": {"anonymous": "nobody"}})
    kong.add("plugins", name="acl", config={"allow": ["staff"]})
    assert (calls.chat().status, calls.chat().body["message"]) == (401, "Unauthorized")


def test_a_window_is_counted_to_its_end_and_refusals_are_not(kong: Kong, calls: KongCalls) -> None:
    token, _ = minted(kong, "alice", life_s=400)
    kong.add("plugins", name="rate-limiting", config={"minute": 2, "hour": 3})
    first, second, third = (calls.chat(token) for _ in range(3))
    assert first.headers["X-RateLimit-Limit-Minute"] == "2"
    assert (first.headers["X-RateLimit-Remaining-Minute"], first.headers["X-RateLimit-Remaining-Hour"]) == ("1", "2")
    assert (second.status, second.headers["RateLimit-Remaining"]) == (200, "0")
    assert third.status == 429
    assert third.body["message"] == "API rate limit exceeded"
    assert third.body.keys() == {"message", "request_id"}
    assert 1 <= int(third.headers["Retry-After"]) <= 30
    assert third.headers["RateLimit-Limit"] == "2"
    kong.advance(60)
    assert [calls.chat(token).status for _ in range(2)] == [200, 429]
    assert len(kong.reached) == 3


def test_a_limit_of_a_consumer_goes_before_one_of_all(kong: Kong, calls: KongCalls) -> None:
    alice, row = minted(kong, "alice")
    bob, _ = minted(kong, "bob")
    kong.add("plugins", name="rate-limiting", config={"day": 1, "error_code": 503, "hide_client_headers": True})
    limit = {"day": 2, "limit_by": "credential"}
    kong.add("plugins", name="rate-limiting", config=limit, consumer=row["consumer"])
    other, _ = minted(kong, "alice")
    assert [calls.chat(token).status for token in (alice, alice, alice, other)] == [200, 200, 429, 200]
    assert [calls.chat(token).status for token in (bob, bob)] == [200, 503]
    assert "RateLimit-Limit" not in calls.chat(bob).headers


@pytest.mark.parametrize(
    ("config", "statuses"),
    [
        ({"limit_by": "ip"}, [200, 429, 429]),
        ({"limit_by": "service"}, [200, 429, 429]),
        ({"limit_by": "path", "path": CHAT_PATH}, [200, 429, 429]),
        ({"limit_by": "header", "header_name": "X-Team"}, [200, 200, 429]),
        ({"limit_by": "consumer"}, [200, 200, 429]),
    ],
)
def test_what_is_limited_can_be_chosen(
    kong: Kong, calls: KongCalls, config: dict[str, str], statuses: list[int]
) -> None:
    alice, bob = minted(kong, "alice")[0], minted(kong, "bob")[0]
    kong.add("plugins", name="rate-limiting", config={"year": 1, **config})
    teams = ((alice, "a"), (bob, "b"), (alice, "a"))
    assert [calls.chat(token, X_Team=team).status for token, team in teams] == statuses


def test_plugins_that_are_off_or_elsewhere_do_nothing(kong: Kong, calls: KongCalls) -> None:
    calls.told("PATCH", f"/plugins/{kong.plugins[0]['id']}", {"enabled": False})
    assert calls.chat().status == 200
    kong.add("routes", name="other", paths=["/other"], service={"name": "llm"})
    assert calls.told("POST", "/routes/other/plugins", {"name": "jwt"})[0] == 201
    assert calls.chat().status == 200
    assert calls.told("POST", "/services/llm/plugins", {"name": "jwt"})[0] == 201
    assert calls.chat().status == 401


def test_no_route_and_no_service_are_told_apart(kong: Kong, calls: KongCalls) -> None:
    token, _ = minted(kong, "alice")
    calls.told("PATCH", "/services/llm", {"port": 1})
    answer = calls.chat(token)
    assert answer.told == (502, {"message": "An invalid response was received from the upstream server"})
    calls.told("PATCH", "/routes/llm", {"methods": ["GET"]})
    assert (calls.chat(token).status, calls.chat(token).body["message"]) == (404, NO_ROUTE)
    calls.told("PATCH", "/routes/llm", {"methods": None, "hosts": ["gw.ai-lab.ir"]})
    assert calls.chat(token).status == 404
    assert calls.chat(token, Host="gw.ai-lab.ir").status == 502


def test_the_path_is_passed_on_with_or_without_what_the_route_has_matched(kong: Kong, calls: KongCalls) -> None:
    token, _ = minted(kong, "alice")
    assert calls.chat(token, query="?a=b").status == 200
    calls.told("PATCH", "/routes/llm", {"strip_path": False, "paths": ["~/l+m"]})
    assert calls.chat(token).status == 200
    calls.told("PATCH", "/services/llm", {"path": "/base"})
    assert calls.chat(token).status == 404
    targets = [seen.target for seen in kong.reached]
    assert targets == ["/v1/chat/completions?a=b", CHAT_PATH, f"/base{CHAT_PATH}"]

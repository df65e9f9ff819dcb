"""A configuration becomes the snapshot that it means."""

import tomllib

import pytest

from jotgate.core.breakers import BreakerRules
from jotgate.core.compiler import Materials, compile_routes, compile_snapshot
from jotgate.core.config_reader import parse
from jotgate.core.expectations import RouteExpectation
from jotgate.core.key_life import OwnKeys
from jotgate.core.quotas import Price
from jotgate.core.routes import Attempt, Bounds, HealthCheck, MeteringRules, Proxy, Reach, Route, Upstream
from jotgate.core.values import Secret

_TWO = """
[issuer]
default_scopes = ["models"]
leeway = "7s"
[limits]
body_bytes = 2048
[[upstreams]]
name = "first"
kind = "openai"
base_url = "http://a/v1/"
models = ["m", "n"]
connect_timeout = "1s"
first_byte_timeout = "2s"
idle_timeout = "3s"
total_timeout = "4s"
[[upstreams]]
name = "second"
kind = "openai"
base_url = "http://b/v1"
models = { m = "theirs" }
"""


def test_the_echo_upstream_needs_no_entry() -> None:
    snapshot = compile_snapshot(parse({}), "http://i", OwnKeys(b"{}", ("ES256",)), 3)
    assert snapshot.version == 3
    assert snapshot.upstreams == (Upstream("echo", "echo"),)
    assert snapshot.routes == (Route("echo", (Attempt("echo", "echo", price=Price(0, 0)),)),)


def test_upstreams_with_one_alias_are_attempts_in_file_order() -> None:
    snapshot = compile_snapshot(
        parse(tomllib.loads(_TWO)), "http://i", OwnKeys(b"{}", ("ES256",)), 1, Materials({"second": Secret("s")})
    )
    assert {route.alias: route.attempts for route in snapshot.routes} == {
        "echo": (Attempt("echo", "echo", price=Price(0, 0)),),
        "m": (Attempt("first", "m"), Attempt("second", "theirs")),
        "n": (Attempt("first", "n"),),
    }
    _, first, second = snapshot.upstreams
    assert first == Upstream("first", "openai", "http://a/v1", None, 1.0, 2.0, 3.0, 4.0)
    assert second.credential == Secret("s")


def test_an_upstream_keeps_its_bounds_its_breaker_and_its_way() -> None:
    entry = """
    [[upstreams]]
    name = "first"
    kind = "openai"
    base_url = "https://a"
    models = ["m"]
    proxy = "http://p:1"
    max_concurrent = 4
    max_concurrent_per_tenant = 3
    max_connections = 2
    queue_length = 3
    queue_timeout = "5s"
    breaker_failures = 6
    breaker_timeout = "7s"
    health_path = "/h"
    health_interval = "8s"
    idle_connections = 9
    idle_connection_timeout = "1s"
    """
    config = parse(tomllib.loads(entry))
    reach = Reach(Proxy("p", 1, Secret("u:p")), "PEM")
    _, first = compile_snapshot(
        config, "http://i", OwnKeys(b"{}", ("ES256",)), 1, Materials(reaches={"first": reach})
    ).upstreams
    assert first.reach == reach
    assert first.bounds == Bounds(4, 3, 2, 3, 5.0, 9, 1.0)
    assert first.bounds.calls == 2
    assert (first.breaker, first.health) == (BreakerRules(6, 7.0), HealthCheck("/h", 8.0))
    with pytest.raises(KeyError):  # Never past a proxy for want of it.
        compile_snapshot(config, "http://i", OwnKeys(b"{}", ("ES256",)), 1)


def test_a_route_keeps_its_weights_and_its_rules() -> None:
    text = """
    [[upstreams]]
    name = "first"
    kind = "openai"
    base_url = "http://a"
    [[routes]]
    alias = "a"
    attempts = [{ upstream = "first", model = "m", weight = 2 }, { upstream = "echo" }]
    max_attempts = 1
    retry_unsafe = true
    """
    _, route = compile_snapshot(parse(tomllib.loads(text)), "http://i", OwnKeys(b"{}", ("ES256",)), 1).routes
    assert route == Route("a", (Attempt("first", "m", 2), Attempt("echo", "a", price=Price(0, 0))), 1, True)


def test_a_route_cuts_the_calls_of_ended_tokens_unless_it_says_otherwise() -> None:
    text = """
    [[routes]]
    alias = "plain"
    attempts = [{ upstream = "echo" }]
    [[routes]]
    alias = "lenient"
    attempts = [{ upstream = "echo" }]
    ended_tokens = "finish"
    """
    by_alias = {route.alias: route.ended_tokens for route in compile_routes(parse(tomllib.loads(text)))}
    assert by_alias == {"echo": "cut", "plain": "cut", "lenient": "finish"}


def test_a_route_and_its_upstreams_keep_how_calls_are_counted() -> None:
    text = """
    [[upstreams]]
    name = "first"
    kind = "openai"
    base_url = "http://a"
    models = ["plain"]
    ceiling_field = "max_tokens"
    [[routes]]
    alias = "counted"
    attempts = [{ upstream = "first" }]
    output_ceiling = 6
    output_step = 5
    image_tokens = 4
    audio_tokens = 3
    quota_spent = "finish"
    quota_outage = "open"
    """
    snapshot = compile_snapshot(parse(tomllib.loads(text)), "http://i", OwnKeys(b"{}", ("ES256",)), 1)
    by_alias = {route.alias: route.metering for route in snapshot.routes}
    assert by_alias["plain"] == MeteringRules(4_096, 1_024, 2_048, 8_192, "cut", "refuse")
    assert by_alias["counted"] == MeteringRules(6, 5, 4, 3, "finish", "open")
    assert [one.ceiling_field for one in snapshot.upstreams] == ["max_completion_tokens", "max_tokens"]


def test_the_issuer_demands_our_own_tokens() -> None:
    (issuer,) = compile_snapshot(parse(tomllib.loads(_TWO)), "http://i", OwnKeys(b'{"keys":[]}', ("ES256",)), 1).issuers
    assert (issuer.issuer, issuer.audiences, issuer.jwks) == ("http://i", ("http://i",), b'{"keys":[]}')
    assert (issuer.algorithms, issuer.types) == (("ES256",), ("at+jwt",))
    assert (issuer.leeway_s, issuer.default_scopes) == (7, ("models",))
    assert (
        compile_snapshot(parse(tomllib.loads(_TWO)), "http://i", OwnKeys(b"", ("ES256",)), 1).limits.body_bytes == 2048
    )


def test_what_a_route_expects_of_tokens_is_compiled_and_nothing_where_it_says_nothing() -> None:
    text = """
    [[routes]]
    alias = "plain"
    attempts = [{ upstream = "echo" }]
    [[routes]]
    alias = "strict"
    attempts = [{ upstream = "echo" }]
    audiences = ["https://a.example"]
    token_types = ["application/AT+JWT", ""]
    token_age = "15m"
    """
    by_alias = {route.alias: route.expects for route in compile_routes(parse(tomllib.loads(text)))}
    assert by_alias["plain"] is None
    assert by_alias["strict"] == RouteExpectation(frozenset({"https://a.example"}), frozenset({"at+jwt", ""}), 900)

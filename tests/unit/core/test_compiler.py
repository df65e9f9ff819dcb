"""A configuration becomes the snapshot that it means."""

import tomllib

from jotgate.core.compiler import compile_snapshot
from jotgate.core.config_reader import parse
from jotgate.core.routes import Attempt, Route, Upstream
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
    snapshot = compile_snapshot(parse({}), "http://i", b"{}", {}, 3)
    assert snapshot.version == 3
    assert snapshot.upstreams == (Upstream("echo", "echo"),)
    assert snapshot.routes == (Route("echo", (Attempt("echo", "echo"),)),)


def test_upstreams_with_one_alias_are_attempts_in_file_order() -> None:
    snapshot = compile_snapshot(parse(tomllib.loads(_TWO)), "http://i", b"{}", {"second": Secret("s")}, 1)
    assert {route.alias: route.attempts for route in snapshot.routes} == {
        "echo": (Attempt("echo", "echo"),),
        "m": (Attempt("first", "m"), Attempt("second", "theirs")),
        "n": (Attempt("first", "n"),),
    }
    _, first, second = snapshot.upstreams
    assert first == Upstream("first", "openai", "http://a/v1", None, 1.0, 2.0, 3.0, 4.0)
    assert second.credential == Secret("s")


def test_the_issuer_demands_our_own_tokens() -> None:
    issuer = compile_snapshot(parse(tomllib.loads(_TWO)), "http://i", b'{"keys":[]}', {}, 1).issuer
    assert (issuer.issuer, issuer.audience, issuer.jwks) == ("http://i", "http://i", b'{"keys":[]}')
    assert (issuer.algorithms, issuer.types) == (("ES256",), ("at+jwt",))
    assert (issuer.leeway_s, issuer.default_scopes) == (7, ("models",))
    assert compile_snapshot(parse(tomllib.loads(_TWO)), "http://i", b"", {}, 1).limits.body_bytes == 2048

"""What a proxy asks about is read from the fields that its kind writes; what others wrote changes nothing."""

import pytest

from jotgate.core.decision_questions import Question, read_question, style_of
from jotgate.errors import RequestMalformed, UnknownOperation

FORWARDED = {
    b"x-forwarded-method": b"PUT",
    b"x-forwarded-uri": b"/a/b?c=d?e",
    b"x-forwarded-host": b"API.example:8443",
    b"x-forwarded-for": b"192.0.2.1",
}
ORIGINAL = {
    b"x-original-method": b"POST",
    b"x-original-uri": b"/o",
    b"x-original-host": b"orig.example",
    b"x-forwarded-for": b"192.0.2.1",
}
ASKING = (b"/forward-auth", b"")


def test_each_kind_of_proxy_is_believed_its_own_fields_alone() -> None:
    both = {**FORWARDED, **ORIGINAL, b"host": b"envoy.example"}
    forwarded = read_question("forwarded", b"GET", ASKING, both)
    assert forwarded == Question(b"PUT", b"/a/b", b"c=d?e", "api.example", b"192.0.2.1")
    nginx = read_question("nginx", b"GET", ASKING, {**ORIGINAL, b"x-forwarded-host": b"api.example", b"host": b"gate"})
    assert nginx == Question(b"POST", b"/o", b"", "orig.example", b"192.0.2.1")
    prefixed = read_question("prefixed", b"DELETE", (b"/ext-authz/x/y", b"z=1"), both)
    assert prefixed == Question(b"DELETE", b"/x/y", b"z=1", "envoy.example", b"192.0.2.1")


@pytest.mark.parametrize(
    ("path", "query", "style"),
    [
        (b"/forward-auth", b"", "forwarded"),
        (b"/forward-auth", b"style=nginx", "nginx"),
        (b"/ext-authz/", b"style=nginx", "prefixed"),
        (b"/ext-authz/forward-auth", b"", "prefixed"),
        (b"/ext-authz", b"", None),
        (b"/ext-authzx/", b"", None),
        (b"/forward-auth/", b"", None),
        (b"/forward-authx", b"", None),
    ],
)
def test_the_path_says_who_asks(path: bytes, query: bytes, style: str | None) -> None:
    assert style_of(path, query) == style


@pytest.mark.parametrize("query", [b"style=apache", b"style=nginx&x", b"x=y"])
def test_a_style_that_is_not_known_is_not_guessed(query: bytes) -> None:
    with pytest.raises(UnknownOperation):
        style_of(b"/forward-auth", query)


@pytest.mark.parametrize("missing", [b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-for"])
def test_a_proxy_that_does_not_say_what_it_asks_about_is_told_so(missing: bytes) -> None:
    headers = {name: value for name, value in FORWARDED.items() if name != missing}
    with pytest.raises(RequestMalformed, match=missing.decode().title()):
        read_question("forwarded", b"GET", ASKING, headers)


@pytest.mark.parametrize("missing", [b"x-original-method", b"x-original-uri", b"x-forwarded-for"])
def test_nor_is_nginx_believed_what_it_does_not_say(missing: bytes) -> None:
    headers = {name: value for name, value in ORIGINAL.items() if name != missing}
    with pytest.raises(RequestMalformed, match="(?i)" + missing.decode()):
        read_question("nginx", b"GET", ASKING, headers)


@pytest.mark.parametrize(
    "changed",
    [
        {b"x-forwarded-method": b"GET, POST"},
        {b"x-forwarded-method": b"G\x00T"},
        {b"x-forwarded-method": b"G" * 33},
        {b"x-forwarded-uri": b"/a, /b"},
        {b"x-forwarded-uri": b"https://a.example/b"},
        {b"x-forwarded-uri": b"/caf\xc3\xa9"},
        {b"x-forwarded-uri": b"*"},
    ],
)
def test_what_is_said_twice_or_is_none_of_http_is_refused(changed: dict[bytes, bytes]) -> None:
    """A field that a caller wrote beside the proxy's reaches here as one value with a comma."""
    with pytest.raises(RequestMalformed):
        read_question("forwarded", b"GET", ASKING, {**FORWARDED, **changed})


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"API.Example", "api.example"),
        (b"api.example.:443", "api.example"),
        (b"[2001:DB8::1]:443", "[2001:db8::1]"),
        (b"a.example, b.example", ""),
        (b"user@a.example", ""),
        (b"a.example:x", ""),
        (b"", ""),
    ],
)
def test_a_host_is_compared_without_its_port_in_small_letters(value: bytes, host: str) -> None:
    headers = {**FORWARDED, b"x-forwarded-host": value}
    assert read_question("forwarded", b"GET", ASKING, headers).host == host


@pytest.mark.parametrize("field", [b"x-forwarded-method", b"x-forwarded-uri"])
def test_a_caller_of_caddy_cannot_have_his_own_fields_read_by_a_query(field: bytes) -> None:
    """One that asks with its caller's query would let `?style=nginx` in."""
    with pytest.raises(RequestMalformed):
        read_question("nginx", b"GET", ASKING, {**ORIGINAL, field: FORWARDED[field]})

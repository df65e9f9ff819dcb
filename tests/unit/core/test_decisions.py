"""Rules by path, and what an upstream is told: what two servers may read in two ways is nobody's path."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from jotgate.core.decisions import (
    DECISIONS,
    IDENTITY_FIELDS,
    Asked,
    PathRule,
    PathRules,
    identity_lines,
    is_preflight,
    read_path,
)
from jotgate.core.dialects import render_at
from jotgate.core.lineage import Actor
from jotgate.core.principals import NOBODY
from jotgate.errors import InsufficientScope, MethodRefused, PolicyDenied, RequestMalformed
from tests.callers import principal

ADMIN = PathRule(name="admin", path="/admin", scopes=("admin-things",))
REST = PathRule(name="rest")
READ = PathRule(name="read", path="/reports", methods=frozenset({"GET"}))
WRITE = PathRule(name="write", path="/reports", methods=frozenset({"PUT", "POST"}))
EUROPE = PathRule(name="europe", hosts=frozenset({"eu.example"}))


def asked(
    path: str = "/", method: str = "GET", host: str = "api.example", headers: Mapping[str, bytes] | None = None
) -> Asked:
    fields = {name.encode(): value for name, value in (headers or {}).items()}
    return Asked(
        method=method.encode(), path=path.encode("latin-1"), query=b"", headers=fields, address="192.0.2.1", host=host
    )


def chosen(rules: list[PathRule], question: Asked) -> str:
    return PathRules(rules).find(question).name


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/a", "/a"),
        (b"/a/b/", "/a/b"),
        (b"/%61dmin", "/admin"),
        (b"/caf%C3%A9", "/café"),
        (b"/admin;a=b/x;c", "/admin/x"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/a..b/...", "/a..b/..."),
        (b"/a%20b", "/a b"),
        (b"/50%25", "/50%"),
    ],
)
def test_a_path_is_what_it_names(raw: bytes, path: str) -> None:
    assert read_path(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"*",
        b"admin",
        b"//admin",
        b"/a//b",
        b"/a/../admin",
        b"/a/..",
        b"/./admin",
        b"/.",
        b"/a/%2e%2E/admin",
        b"/a/..;/admin",
        b"/a/..;x=y/admin",
        b"/a/%2e%2e;/admin",
        b"/a%2fadmin",
        b"/;%2fadmin",
        b"/;/admin",
        b"/a%5Cadmin",
        b"/a\\admin",
        b"/a%00",
        b"/a%0d%0aX",
        b"/a%7f",
        b"/%252e%252e/admin",
        b"/%2561dmin",
        b"/a%",
        b"/a%zz",
        b"/a%c0%afb",
        b"/a b",
        b"/a\x00",
        b"/caf\xc3\xa9",
        b"/a, /b",
    ],
)
def test_what_might_be_taken_for_another_path_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_path(raw)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/", "rest"),
        ("/administration", "rest"),
        ("/admin", "admin"),
        ("/admin/", "admin"),
        ("/admin/users/7", "admin"),
        ("/%61dmin/users", "admin"),
        ("/admin;v=1", "admin"),
        ("/x/admin", "rest"),
    ],
)
def test_the_longest_path_decides_for_itself_and_all_below_it(path: str, rule: str) -> None:
    assert chosen([REST, ADMIN], asked(path)) == rule
    assert chosen([ADMIN, REST], asked(path)) == rule


@pytest.mark.parametrize("path", ["/admin%3Fx", "/admin#x", "/admin%23/x", "/admin%3bx/y"])
def test_a_path_that_some_servers_take_to_end_earlier_is_refused_where_that_makes_a_difference(path: str) -> None:
    with pytest.raises(RequestMalformed):
        chosen([REST, ADMIN], asked(path))
    assert chosen([REST, ADMIN], asked("/wiki/Why%3F")) == "rest"
    assert chosen([REST, ADMIN], asked("/admin/Why%3F")) == "admin"


def test_no_shorter_path_stands_in_for_one_that_does_not_take_the_method() -> None:
    rules = [REST, READ, WRITE]
    assert [chosen(rules, asked("/reports/1", one)) for one in ("GET", "HEAD", "PUT")] == ["read", "read", "write"]
    with pytest.raises(MethodRefused) as refused:
        chosen(rules, asked("/reports/1", "DELETE"))
    assert refused.value.allowed == "GET, POST, PUT"
    with pytest.raises(MethodRefused):
        chosen(rules, asked("/reports/1", "get"))


def test_of_two_rules_for_one_path_that_which_names_the_host_goes_before() -> None:
    rules = [REST, EUROPE, ADMIN]
    assert chosen(rules, asked(host="eu.example")) == "europe"
    assert chosen(rules, asked(host="us.example")) == "rest"
    assert chosen(rules, asked("/admin", host="eu.example")) == "admin", "the longer path, whoever names hosts"
    with pytest.raises(RequestMalformed, match="host"):
        chosen(rules, asked(host=""))


def test_what_no_rule_is_about_is_refused() -> None:
    with pytest.raises(PolicyDenied):
        chosen([ADMIN], asked("/"))
    with pytest.raises(PolicyDenied):
        chosen([EUROPE], asked(host="us.example"))


def test_the_path_is_not_looked_at_where_it_decides_nothing() -> None:
    """Other systems have escaped slashes in their paths for good reasons."""
    assert chosen([REST], asked("/projects/a%2Fb//c", host="")) == "rest"
    with pytest.raises(RequestMalformed):
        chosen([REST], asked("/a b"))
    with pytest.raises(RequestMalformed):
        chosen([READ], asked("/projects/a%2Fb"))


def test_a_preflight_passes_without_a_token_where_its_rule_says_so_and_nowhere_else() -> None:
    wish = {"origin": b"https://a.example", "access-control-request-method": b"PUT"}
    preflight = asked("/reports", "OPTIONS", headers=wish)
    free = PathRule(name="free", path="/reports", methods=frozenset({"PUT"}), preflights=True)
    found = PathRules([REST, free]).find(preflight)
    assert (found.name, found.public) == ("free", True)
    assert not PathRules([REST]).find(preflight).public
    assert PathRules([PathRule(name="all", preflights=True)]).find(preflight).public
    page = {"origin": b"https://a.example"}
    for other in (asked("/reports", "OPTIONS", headers=page), asked("/reports", "PUT", headers=wish)):
        assert not is_preflight(other)
    with pytest.raises(MethodRefused):
        PathRules([REST, free]).find(asked("/reports", "OPTIONS"))


def test_an_upstream_is_told_who_calls_in_fields_that_hold_nothing_else() -> None:
    whose = principal(subject="ann", scopes=("b", "a"))
    told = dict(line.split(": ", 1) for line in identity_lines(whose).decode().split("\r\n")[:-1])
    assert told == {
        "X-Jot-Subject": "ann",
        "X-Jot-Client": "jotgate-cli",
        "X-Jot-Tenant": "",
        "X-Jot-Scopes": "a b",
        "X-Jot-Roles": "",
        "X-Jot-Issuer": "https://gate.example",
        "X-Jot-Actor": "",
    }
    assert (*told, "X-Jot-Identity") == IDENTITY_FIELDS


def test_no_name_ends_its_field_or_stands_for_two() -> None:
    odd = replace(
        principal(subject="né\r\nX-Jot-Tenant: root %41"),
        roles=frozenset({"a,b", "c d"}),
        actors=(Actor("böt"),),
    )
    lines = identity_lines(odd)
    assert lines.count(b"\r\n") == len(IDENTITY_FIELDS) - 1
    assert b"X-Jot-Subject: n%C3%A9%0D%0AX-Jot-Tenant: root %2541\r\n" in lines
    assert b"X-Jot-Roles: a%2Cb,c d\r\n" in lines
    assert b"X-Jot-Actor: b%C3%B6t\r\n" in lines


def test_nobody_is_told_of_by_empty_fields() -> None:
    assert identity_lines(NOBODY) == b"".join(b"%b: \r\n" % name.encode() for name in IDENTITY_FIELDS[:-1])


def test_a_refusal_is_told_as_natively_whatever_the_path_is_that_was_asked_about() -> None:
    error = InsufficientScope("decide", "no")
    found = render_at(b"/oauth/token", error, "req-1", "https://gate.example/x", face=DECISIONS)
    assert b'"code":"insufficient_scope"' in found.body
    assert b"resource_metadata" not in found.lines, "the upstream is another resource than the gateway"

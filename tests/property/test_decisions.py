"""Whatever path a caller makes up, no server behind the proxy takes it for one whose rule was not asked."""

import posixpath
from typing import Final
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.decisions import Asked, PathRule, PathRules, read_path
from jotgate.errors import JotgateError, RequestMalformed

RULES: Final = PathRules([PathRule(name="rest"), PathRule(name="admin", path="/admin", scopes=("admin-things",))])
PLAIN: Final = ["/", "//", ".", "..", "admin", "Admin", "x", "é", ":", "*", "+", ";", ";x=y", "\\", "%", "?", "#"]
ENCODED: Final = ["2f", "2F", "5c", "2e", "252e", "3b", "00", "3F", "23", "20", "61dmin", "C3%A9", "c0%af"]
PIECES: Final = st.sampled_from([*PLAIN, *(f"%{one}" for one in ENCODED)])
PATHS: Final = st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "".join(pieces))


def seen_by_servers(path: str) -> set[str]:
    """What servers make of a path: cut where it may end, with parameters or without, decoded never, once or twice."""
    found = set()
    for first in (path, unquote(path), unquote(unquote(path))):
        for text in (first, first.partition("?")[0], first.partition("#")[0]):
            bare = "/".join(part.partition(";")[0] for part in text.split("/"))
            found |= {text, bare, unquote(text), unquote(bare)}
    return {posixpath.normpath("/" + one.replace("\\", "/").lstrip("/")) for one in found}


def is_admin(path: str) -> bool:
    return path == "/admin" or path.startswith("/admin/")


@given(PATHS)
def test_no_server_finds_the_strict_path_where_the_lax_rule_was_asked(path: str) -> None:
    raw = path.encode("utf-8").partition(b"?")[0]
    try:
        rule = RULES.find(Asked(method=b"GET", path=raw, query=b"", headers={}, address="192.0.2.1"))
    except JotgateError:
        return
    if rule.name == "rest":
        seen = seen_by_servers(raw.decode())
        assert not [one for one in seen if is_admin(one)], (path, seen)


@given(st.binary(max_size=40))
def test_a_path_is_read_or_refused(raw: bytes) -> None:
    try:
        path = read_path(raw)
    except RequestMalformed:
        return
    assert path.startswith("/")
    assert path == "/" or not path.endswith("/")
    assert not {"", ".", ".."} & set(path.split("/")[1:]) or path == "/"

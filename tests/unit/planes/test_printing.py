"""What is printed for planes, where no program is needed to see that it is right."""

import json
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.planes.facts import GateFacts, PublicKey, Wish, endpoint
from jotgate.planes.printing import PRINTERS, print_plane
from jotgate.planes.stamps import read_stamp
from jotgate.planes.yaml import to_yaml

FACTS: Final = GateFacts(
    gate="http://127.0.0.1:8080",
    issuer="https://gate.example",
    audiences=("https://gate.example",),
    scopes=("decide",),
    jwks_path="/jwks",
    forward_path="/forward-auth",
    nginx_path="/forward-auth?style=nginx",
    prefix="/ext-authz",
    grpc="127.0.0.1:9465",
    identity=("X-Jot-Subject", "X-Jot-Tenant"),
    leeway_s=5,
    keys=(PublicKey("one", "ES256", "PEM 1"), PublicKey("two", "Ed25519", "PEM 2"), PublicKey("a b", "ES256", "PEM 3")),
)
WISH: Final = Wish(upstream="http://127.0.0.1:9000", listen="127.0.0.1:8000", folder="/etc/plane")


@pytest.mark.parametrize("plane", PRINTERS)
def test_the_main_file_says_what_it_was_made_of_without_the_keys_themselves(plane: str) -> None:
    main = print_plane(plane, FACTS, WISH).files[0]
    found = read_stamp(main.text)
    assert found is not None
    stamp, body = found
    assert (stamp.plane, stamp.main, stamp.wish) == (plane, main.name, WISH)
    assert [key.kid for key in stamp.facts.keys] == ["one", "two", "a b"]
    assert "PEM" not in main.text
    assert body, "the configuration stands behind it"
    assert main.text.startswith(f"# Printed by: jotgate plane {plane} print --upstream http://127.0.0.1:9000 ")


@pytest.mark.parametrize("plane", PRINTERS)
def test_the_token_goes_on_to_the_upstream_only_if_that_is_wished_for(plane: str) -> None:
    hidden = print_plane(plane, FACTS, WISH).files[0].text
    kept = print_plane(plane, FACTS, Wish(upstream=WISH.upstream, listen=WISH.listen, folder="/p", keep_token=True))
    assert "dpop" in read(hidden).replace("$http_dpop", "")
    assert read(hidden).count("dpop") > read(kept.files[0].text).count("dpop")


def read(text: str) -> str:
    """What stands behind the comment, in small letters."""
    found = read_stamp(text)
    assert found is not None
    return found[1].lower()


def test_haproxy_verifies_by_the_keys_that_it_can_use_and_asks_about_the_rest() -> None:
    printed = print_plane("haproxy", FACTS, WISH)
    assert [one.name for one in printed.files] == ["haproxy.cfg", "one.pem", "jotgate.lua"]
    assert printed.files[1].text == "PEM 1"


def test_haproxy_is_not_left_alone_with_keys_that_it_cannot_use() -> None:
    wish = Wish(upstream=WISH.upstream, listen=WISH.listen, folder="/etc/plane", offline=True)
    with pytest.raises(ValueError, match="a key here is not such a one"):
        print_plane("haproxy", FACTS, wish)
    with pytest.raises(ValueError, match="a scope that is asked for has signs"):
        print_plane("haproxy", replace(FACTS, keys=FACTS.keys[:1], scopes=("it's",)), wish)


@pytest.mark.parametrize(
    ("text", "origin", "tls"),
    [
        ("http://a.example", "http://a.example:80", False),
        ("https://a.example/", "https://a.example:443", True),
        ("[::1]:8000", "http://[::1]:8000", False),
        ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443", True),
    ],
)
def test_an_origin_is_read(text: str, origin: str, tls: bool) -> None:
    found = endpoint(text)
    assert (found.origin, found.tls) == (origin, tls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://a",
        "http://a:x",
        "http://u@a",
        "http://a/b",
        "http://a?b",
        "http://a b",
        'http://a"',
        "http://a\n",
    ],
)
def test_what_is_no_origin_gets_into_no_configuration(text: str) -> None:
    with pytest.raises(ValueError):
        endpoint(text)


def test_texts_stay_texts_in_yaml() -> None:
    hostile = 'a: "b"\n- {c: d} #'
    lines = to_yaml({"key": hostile, "a b": [{"x": [hostile, 1, True, {}]}, []]}).splitlines()
    quoted = json.dumps(hostile)
    assert lines == [
        f"key: {quoted}",
        '"a b":',
        "  - x:",
        f"      - {quoted}",
        "      - 1",
        "      - true",
        "      - {}",
        "  - []",
    ]

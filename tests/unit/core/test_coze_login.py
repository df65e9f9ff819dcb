"""Logging in at Coze: the addresses of both its places, what a browser is sent with, and what it may bring back."""

import json
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from jotgate.core.coze_login import (
    RANDOM_BYTES,
    REDIRECT,
    Code,
    LoginPlaces,
    Proof,
    Redirect,
    browser_url,
    code_body,
    device_body,
    new_proof,
    places_of,
    poll_body,
    read_redirect,
    read_return,
)
from jotgate.core.login_answers import Refused
from jotgate.core.values import Secret
from jotgate.errors import CommandError

PROOF: Final = Proof("state", Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
BACK: Final = Redirect(8765, "/callback")


@pytest.mark.parametrize("place", ["com", "cn"])
def test_both_places_of_coze_have_pages_of_their_own(place: str) -> None:
    found = places_of(f"https://api.coze.{place}/api/permission/oauth2/token")
    assert found == LoginPlaces(
        device_url=f"https://api.coze.{place}/api/permission/oauth2/device/code",
        browser_url=f"https://www.coze.{place}/api/permission/oauth2/authorize",
        token_url=f"https://api.coze.{place}/api/permission/oauth2/token",
    )


def test_a_workspace_has_its_own_and_the_same_token_endpoint() -> None:
    found = places_of("https://api.coze.cn/api/permission/oauth2/token", "73000")
    assert found.device_url == "https://api.coze.cn/api/permission/oauth2/workspace_id/73000/device/code"
    assert found.browser_url == "https://www.coze.cn/api/permission/oauth2/workspace_id/73000/authorize"
    assert found.token_url == "https://api.coze.cn/api/permission/oauth2/token"
    for wrong in ("a", "1/../2", "9" * 21):
        with pytest.raises(CommandError, match="not a number"):
            places_of(found.token_url, wrong)


def test_what_stands_in_for_coze_has_all_in_one_place() -> None:
    found = places_of("http://127.0.0.1:8000/api/permission/oauth2/token")
    assert found.browser_url == "http://127.0.0.1:8000/api/permission/oauth2/authorize"


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example/oauth/token",
        "http://api.coze.com/api/permission/oauth2/token",
        "https://api.coze.com/api/permission/oauth2/account/7/token",
        "https://a:b@api.coze.com/api/permission/oauth2/token",
        "",
    ],
)
def test_elsewhere_nobody_logs_in(url: str) -> None:
    with pytest.raises(CommandError):
        places_of(url)


def test_a_browser_comes_back_to_this_machine_alone() -> None:
    assert read_redirect(REDIRECT) == BACK
    assert read_redirect("http://127.0.0.1:0/") == Redirect(0, "/")
    assert BACK.at(8765) == REDIRECT
    for wrong in (
        "https://127.0.0.1:1/",
        "http://localhost:1/",
        "http://127.0.0.1/",
        "http://127.0.0.1:1",
        "http://127.0.0.1:65536/",
        "http://0.0.0.0:1/",
        "http://127.0.0.1:1/?a=b",
        "http://127.0.0.1:1/../x",
        "http://127.0.0.1:1@evil.example/",
    ):
        with pytest.raises(CommandError, match="not an address of this machine"):
            read_redirect(wrong)


def test_each_login_has_a_state_and_a_verifier_of_its_own() -> None:
    first, second = new_proof(bytes(range(64))), new_proof(bytes(range(1, 65)))
    assert len(first.state) == len(first.verifier.reveal()) == 43
    assert len(Proof("", first.verifier).challenge) == 43
    assert first != second
    assert first.state != first.verifier.reveal()
    assert first.verifier.reveal() not in repr(first)
    assert RANDOM_BYTES == 32


def test_a_browser_is_sent_with_the_challenge_of_rfc_7636_and_never_with_the_verifier() -> None:
    """The verifier and its challenge are those of RFC 7636 appendix B."""
    places = places_of("https://api.coze.com/api/permission/oauth2/token")
    url = browser_url(places, "client&x", REDIRECT, PROOF)
    assert url.startswith("https://www.coze.com/api/permission/oauth2/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": ["client&x"],
        "redirect_uri": [REDIRECT],
        "state": ["state"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }
    assert PROOF.verifier.reveal() not in url


def test_a_code_is_taken_with_the_state_of_this_login_alone() -> None:
    assert read_return("/callback?code=c%2B1&state=state", BACK, PROOF) == Code(Secret("c+1"))
    for other in (
        "/callback",
        "/callback?code=c",
        "/callback?code=c&state=",
        "/callback?code=c&state=other",
        "/callback?code=c&state=state&state=state",
        "/callback?code=&state=state",
        "/callback?code=c&code=d&state=state",
        "/callback?state=state",
        "/favicon.ico",
        "/Callback?code=c&state=state",
        "/callback?code=c&state=stat%C3%A9",
        "/callback?" + "&".join(f"a{n}=1" for n in range(20)) + "&code=c&state=state",
        "http://127.0.0.1:8765/callback?code=c&state=state",
    ):
        assert read_return(other, BACK, PROOF) is None, other


def test_a_no_of_the_user_is_told_and_one_without_the_state_is_not_believed() -> None:
    denied = read_return("/callback?error=access_denied&error_description=no%0Athanks&state=state", BACK, PROOF)
    assert denied == Refused("access_denied", "no thanks")
    assert read_return("/callback?error=access_denied", BACK, PROOF) is None


def test_what_is_asked_for_tokens_is_as_coze_has_it() -> None:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    assert json.loads(device_body("app")) == {"client_id": "app"}
    assert json.loads(poll_body("app", Secret("d"))) == {"grant_type": grant, "client_id": "app", "device_code": "d"}
    assert json.loads(code_body("app", REDIRECT, Secret("c"), PROOF)) == {
        "grant_type": "authorization_code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "code": "c",
        "code_verifier": PROOF.verifier.reveal(),
    }

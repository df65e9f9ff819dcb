"""Logging in at an upstream: on a device, polled as RFC 8628 has it, and in a browser, with PKCE."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from jotgate.core.coze_login import Code, Redirect, places_of
from jotgate.core.device_login import DeviceCode
from jotgate.core.login_answers import Refused
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.services.upstream_login import (
    BROWSER_PATIENCE_S,
    Applicant,
    Surroundings,
    log_in_by_browser,
    log_in_by_device,
)
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop

TOKEN_URL: Final = "https://api.coze.com/api/permission/oauth2/token"
APPLICANT: Final = Applicant("app", places_of(TOKEN_URL))
DEVICE: Final = {
    "device_code": "device-secret",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://www.coze.com/device",
    "expires_in": 300,
    "interval": 5,
}
GRANTED: Final = {"access_token": "czu_access", "refresh_token": "the-refresh-token", "expires_in": 1_900_000_000}


class Chance:
    """Bytes that look random (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return bytes(range(count))


class Endpoint:
    """Answers in turn (ports.TokenEndpoint). Mutable: what comes next, and what was asked."""

    def __init__(self, *answers: Answered | Unanswered) -> None:
        self.answers = deque(answers)
        self.posts: list[Post] = []

    async def post(self, post: Post) -> Answered | Unanswered:
        self.posts.append(post)
        return self.answers.popleft()

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        return [(one.url, json.loads(one.body.reveal())) for one in self.posts]


class World:
    """What a login needs. Mutable: the spans that were waited."""

    def __init__(self, *answers: Answered | Unanswered) -> None:
        self.endpoint = Endpoint(*answers)
        self.clock = ManualClock()
        self.waits: list[float] = []
        self.around = Surroundings(self.endpoint, self.clock, Chance(), self.wait)

    async def wait(self, span_s: float) -> None:
        self.waits.append(span_s)
        self.clock.advance(span_s)
        await asyncio.sleep(0)

    async def by_device(self) -> tuple[Secret, list[DeviceCode]]:
        told: list[DeviceCode] = []
        return await log_in_by_device(APPLICANT, self.around, told.append), told


class Browser:
    """A user who agrees in a browser (services.upstream_login.Listener). Mutable: where it was sent; it is closed."""

    def __init__(self, port: int = 8765, brings: str = "code=the-code") -> None:
        self.port = port
        self.brings = brings
        self.sent_to = ""
        self.patience_s = 0.0
        self.closed = 0

    async def open(self, port: int) -> int:
        return port or self.port

    def close(self) -> None:
        self.closed += 1

    async def wait(self, read: Callable[[str], Code | Refused | None], patience_s: float) -> Code | Refused | None:
        self.patience_s = patience_s
        state = parse_qs(urlsplit(self.sent_to).query)["state"][0]
        assert read(f"/callback?{self.brings}&state=another") is None
        return read(f"/callback?{self.brings}&state={state}")

    def show(self, url: str) -> None:
        self.sent_to = url


def answer(**members: object) -> Answered:
    return Answered(200, Secret(json.dumps(members)))


def refusal(error: str, status: int = 400) -> Answered:
    return Answered(status, Secret(json.dumps({"error_code": error, "error_message": f"{error}."})))


async def in_browser(world: World, browser: Browser, port: int = 8765) -> Secret:
    return await log_in_by_browser(APPLICANT, world.around, browser, Redirect(port, "/callback"), browser.show)


@on_loop
async def test_a_device_login_polls_until_the_user_has_agreed() -> None:
    pending = refusal("authorization_pending")
    slow = answer(error_code="slow_down")
    silent = Unanswered("the connection was closed")
    world = World(answer(**DEVICE), pending, slow, pending, silent, answer(**GRANTED))
    found, told = await world.by_device()
    assert found == Secret("the-refresh-token")
    assert [(one.user_code, one.page) for one in told] == [("ABCD-EFGH", "https://www.coze.com/device")]
    assert world.waits == [5, 5, 10, 10, 20]
    (begun, first), *polls = world.endpoint.asked
    assert (begun, first) == ("https://api.coze.com/api/permission/oauth2/device/code", {"client_id": "app"})
    assert (
        polls
        == [
            (
                TOKEN_URL,
                {
                    "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                    "client_id": "app",
                    "device_code": "device-secret",
                },
            )
        ]
        * 5
    )


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (refusal("access_denied"), "access_denied: the login was refused by who was asked for it"),
        (refusal("expired_token", 200), "expired_token: nobody has used the code in time"),
        (refusal("invalid_client", 401), "invalid_client: invalid_client."),
        (Answered(500, Secret("<html>")), "http_500"),
    ],
)
@on_loop
async def test_a_device_login_ends_with_what_the_upstream_says(ended: Answered, said: str) -> None:
    world = World(answer(**DEVICE), ended)
    with pytest.raises(CommandError) as caught:
        await world.by_device()
    assert caught.value.message == f"the login was refused: {said}"
    assert caught.value.hint
    assert "device-secret" not in str(caught.value)


@on_loop
async def test_a_device_login_ends_when_its_code_does() -> None:
    world = World(answer(**DEVICE), *[refusal("authorization_pending")] * 59)
    with pytest.raises(CommandError, match="expired_token"):
        await world.by_device()
    assert sum(world.waits) == 295
    assert not world.endpoint.answers


@on_loop
async def test_a_login_that_cannot_begin_says_why() -> None:
    for first, said in (
        (Unanswered("'api.coze.com' cannot be resolved"), "the upstream cannot be asked: 'api.coze.com' cannot be"),
        (refusal("invalid_client"), "the login was refused: invalid_client"),
        (answer(user_code="X"), "the login was refused: invalid_answer"),
    ):
        with pytest.raises(CommandError, match=said):
            await World(first).by_device()


@on_loop
async def test_a_browser_login_trades_the_code_with_the_verifier_of_what_the_browser_was_shown() -> None:
    world, browser = World(answer(**GRANTED)), Browser()
    assert await in_browser(world, browser) == Secret("the-refresh-token")
    query = {name: value for name, (value,) in parse_qs(urlsplit(browser.sent_to).query).items()}
    assert browser.sent_to.startswith("https://www.coze.com/api/permission/oauth2/authorize?")
    assert (query["redirect_uri"], query["client_id"]) == ("http://127.0.0.1:8765/callback", "app")
    ((url, asked),) = world.endpoint.asked
    assert url == TOKEN_URL
    verifier = asked.pop("code_verifier")
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert (query["code_challenge"], query["code_challenge_method"]) == (challenge, "S256")
    assert asked == {
        "grant_type": "authorization_code",
        "client_id": "app",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "code": "the-code",
    }
    assert verifier not in browser.sent_to
    assert (browser.closed, browser.patience_s) == (1, BROWSER_PATIENCE_S)


@on_loop
async def test_a_free_port_stands_in_what_the_browser_is_shown_and_in_what_is_asked() -> None:
    world, browser = World(answer(**GRANTED)), Browser(port=4711)
    await in_browser(world, browser, port=0)
    assert "127.0.0.1%3A4711%2Fcallback" in browser.sent_to
    assert world.endpoint.asked[0][1]["redirect_uri"] == "http://127.0.0.1:4711/callback"


@on_loop
async def test_a_browser_login_that_comes_to_nothing_says_why_and_leaves_nothing_open() -> None:
    for answers, brings, said in (
        ([], "error=access_denied", "the login was refused: access_denied"),
        ([], "nothing=1", "no browser came back within 300 s"),
        ([refusal("invalid_grant")], "code=c", "the login was refused: invalid_grant"),
        ([Unanswered("it is closed")], "code=c", "the upstream cannot be asked: it is closed"),
        ([answer(access_token="czu_access")], "code=c", "the login was refused: invalid_answer"),
    ):
        world, browser = World(*answers), Browser(brings=brings)
        with pytest.raises(CommandError, match=said) as caught:
            await in_browser(world, browser)
        assert browser.closed == 1
        assert caught.value.hint
        assert "czu_access" not in str(caught.value)


@on_loop
async def test_no_code_or_token_shows_in_a_repr() -> None:
    world, browser = World(answer(**DEVICE), answer(**GRANTED)), Browser()
    found, told = await world.by_device()
    shown = f"{found!r} {told!r} {world.endpoint.posts!r} {world.around!r} {browser.sent_to}"
    assert [word for word in ("device-secret", "the-refresh-token", "czu_access") if word in shown] == []

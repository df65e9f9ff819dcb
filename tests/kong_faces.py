"""The Kong auth service as its document has it: jotgate between a Casdoor and a Kong on loopback."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from jotgate.testing.casdoor import CasdoorServer, casdoor_in_thread
from jotgate.testing.casdoor_told import ORGANIZATION
from jotgate.testing.kong import Kong, kong_in_thread
from jotgate.testing.running import Gateway, short_directory
from tests.documents.excerpts import excerpt

SERVED: Final = 200
WITHIN_S: Final = 30.0
ALICE: Final = "sharif/alice"
BOB: Final = "sharif/bob"
ADMIN: Final = "sharif/admin"


class KongFace:
    """The face of a running gateway, between its stand-ins. Callers show access tokens of Casdoor."""

    def __init__(self, gateway: Gateway, place: Path, kong: Kong, casdoor: CasdoorServer) -> None:
        self.url = gateway.read_line_with("The preset kong-auth serves").split()[-1]
        self.gateway = gateway
        self.place = place
        self.kong = kong
        self.casdoor = casdoor
        self._client = httpx.Client(timeout=WITHIN_S, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(
        self, method: str, path: str, user: str = ALICE, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """One request by a user of Casdoor, or with some `token`; an empty one is none."""
        shown = self.casdoor.mint(user) if token is None else token
        headers = {**({"Authorization": f"Bearer {shown}"} if shown else {}), **more.pop("headers", {})}
        return self._client.request(method, self.url + path, headers=headers, **more)

    def get(self, url: str, **more: Any) -> httpx.Response:
        """One request to anything else."""
        return self._client.get(url, **more)

    def make(self, user: str = ALICE, **members: object) -> dict[str, Any]:
        """A token for a user, as `/generate-token-auto` answers."""
        answer = self.ask("POST", "/generate-token-auto", user, json=members)
        assert answer.status_code == SERVED, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def names(self, user: str = ALICE) -> list[str]:
        """The names of the tokens that a user is told of, the newest first."""
        return [one["token_name"] for one in self.ask("GET", "/my-tokens", user).json()["tokens"]]

    def through_kong(self, token: str, **more: Any) -> httpx.Response:
        """The document's chat completion behind Kong, with a token; an empty one is none."""
        body = {"model": "sharif-qwen/qwen3-14b", "messages": [{"role": "user", "content": "test"}]}
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        return self._client.post(self.kong.chat_url, json=body, headers=headers, **more)

    def write(self, **changes: str | None) -> None:
        """Write `.env`, and have it read."""
        before, after = (self.place / ".env").read_text(), dotenv(self.kong, self.casdoor, **changes)
        if before != after:
            (self.place / ".env").write_text(after)
            self.gateway.reload()

    def settle(self, text: str = "") -> None:
        """Write `jotgate.toml`, and have it read."""
        file = self.place / "jotgate.toml"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            self.gateway.reload()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name in the audit log."""
        rows = [line[44:] for file in sorted((self.gateway.data / "audit").iterdir()) for line in _lines(file)]
        found = [json.loads(row) for row in rows]
        return [one for one in found if one.get("event") == name]

    def figures(self) -> dict[str, float]:
        """The face's figures, by name and labels."""
        rows = self.ask("GET", "/metrics", token="").text.splitlines()
        return {name: float(value) for name, _, value in (row.rpartition(" ") for row in rows if row[:1] != "#")}


def dotenv(kong: Kong, casdoor: CasdoorServer, **changes: str | None) -> str:
    """The document's variables, and those that say where Casdoor is; with `changes`, where None takes one out."""
    rows = [row for line in (215, 216) for row in excerpt("002", line).splitlines() if "=" in row]
    found: dict[str, str | None] = {
        **dict(row.split("=", 1) for row in rows),
        "KONG_ADMIN_URL": kong.admin_url,
        "CASDOOR_ENDPOINT": casdoor.issuer,
        "CASDOOR_CLIENT_ID": casdoor.client_id,
        "CASDOOR_ORG_NAME": ORGANIZATION,
        "PORT": "0",
        **changes,
    }
    return "".join(f"{name}={value}\n" for name, value in found.items() if value is not None)


@contextmanager
def kong_face() -> Iterator[KongFace]:
    """A gateway with the preset, a Kong that it has set up, and a Casdoor."""
    with kong_in_thread() as kong, casdoor_in_thread() as casdoor, short_directory() as place:
        (place / ".env").write_text(dotenv(kong, casdoor))
        (place / ".env").chmod(0o600)
        gateway = Gateway(place / "data", ("--preset", "kong-auth"), cwd=place)
        try:
            with closing(KongFace(gateway.start(), place, kong, casdoor)) as found:
                yield found
        finally:
            gateway.kill()


def as_documented(face: KongFace) -> KongFace:
    """The same with the document's settings again, its jwt plugin, and stand-ins that are well."""
    face.kong.faults.clear()
    face.kong.skew_s = face.casdoor.skew_s = 0.0
    face.write()
    face.settle()
    if not face.kong.plugins:
        face.kong.protect()
    return face


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()

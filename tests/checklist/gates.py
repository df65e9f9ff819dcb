"""A gateway for the rows about requests: its one issuer's tokens, refusals as their callers see them, their records."""

import json
import re
from typing import Final, NamedTuple

import msgspec

from jotgate.core.calls import Request
from jotgate.core.edge import Edge
from jotgate.core.routes import CredentialPlace
from jotgate.gateway.world import build_world
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

PAGE: Final = "https://app.example"
_PARAMETER: Final = re.compile(r'([a-z_]+)="([\x20-\x21\x23-\x5b\x5d-\x7e]*)"')


class Seen(NamedTuple):
    """An answer: its status, its code (empty: none), the challenge's parameters (None: no challenge), its fields."""

    status: int
    code: str
    challenge: dict[str, str] | None
    caller: RecordingCaller


class Gate(Stage):
    """A stage whose model `a` takes tokens from every place, `b` from the Authorization header alone."""

    def __init__(self, *places: CredentialPlace) -> None:
        super().__init__()
        every: tuple[CredentialPlace, ...] = places or ("x-api-key", "api-key", "query", "cookie")
        routes = tuple(
            msgspec.structs.replace(route, credentials=every if route.alias == "a" else ())
            for route in self.world.snapshot.routes
        )
        snapshot = msgspec.structs.replace(
            self.world.snapshot, routes=routes, edge=Edge(origins=(PAGE,), credential_cookie="jot")
        )
        self.world = build_world(snapshot, self.world.places, None)
        self.gateway.swap(self.world)

    def see(self, asked: Request) -> Seen:
        """Ask, and read what is answered at once; a call that goes to an upstream has status 0."""
        caller, _ = self.ask(asked)
        code = json.loads(caller.body)["error"]["code"] if caller.status >= 400 else ""
        value = caller.headers.get("www-authenticate")
        return Seen(caller.status, code, None if value is None else parameters(value), caller)

    def bear(self, token: bytes) -> Seen:
        """Ask for the models with a token."""
        return self.see(models(authorization=b"Bearer " + token))


def models(query: bytes = b"", /, **headers: bytes) -> Request:
    """A request for the list of models."""
    asked = request(method=b"GET", path=b"/v1/models", **headers)
    asked.query = query
    return asked


def chat(model: str = "a", query: bytes = b"", /, **headers: bytes) -> Request:
    """A chat completion."""
    asked = request(json.dumps({"model": model}).encode(), **headers)
    asked.query = query
    return asked


def parameters(challenge: str) -> dict[str, str]:
    """The parameters of a Bearer challenge; fails if one stands twice, or is not quoted as RFC 6750 s3 has it."""
    scheme, _, rest = challenge.partition(" ")
    assert scheme == "Bearer"
    pairs = _PARAMETER.findall(rest)
    assert ", ".join(f'{name}="{value}"' for name, value in pairs) == rest
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)

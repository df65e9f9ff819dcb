"""What the tests of fetching keys share: a fetch that is scripted, and a keeper around it whose time stands still."""

import asyncio
from collections.abc import Mapping

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import Failed, Get, Got, KeptSet, KeysOutcome, KeyStanding, Unchanged
from jotgate.core.reach import Way
from jotgate.errors import JotgateError
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.services.key_keeper import KeyKeeper, KeyPorts
from jotgate.testing.ports import ManualClock

HERE = Way("public", secure=True)
URL = "https://idp.example/keys"


def key_set(*keys: SigningKey) -> bytes:
    """The JWK Set of these keys."""
    return KeySet([key.verification_key for key in keys]).to_jwks()


def url_source(**changes: object) -> KeySource:
    """A source of the kind `url`, under the name `idp`."""
    members: dict[str, object] = {"name": "idp", "kind": "url", "location": URL, "cooldown_s": 30.0, **changes}
    return KeySource(**members)  # type: ignore[arg-type]  # they are the struct's


class ScriptedFetch:
    """The web or the files (ports.KeyFetch): what stands at each location, and a gate before it while `held`."""

    def __init__(self) -> None:
        self.documents: dict[str, Got | Unchanged | Failed | Exception] = {}
        self.asked: list[Get] = []
        self.under_way = 0
        self.most_under_way = 0
        self.begun = asyncio.Event()
        self._gate: asyncio.Event | None = None

    def put(self, body: bytes, location: str = URL, **changes: object) -> None:
        """Let a document stand there."""
        members: dict[str, object] = {"body": body, "way": HERE, **changes}
        self.documents[location] = Got(**members)  # type: ignore[arg-type]  # they are the struct's

    def fail(self, reason: str = "it is gone", location: str = URL) -> None:
        """Let it fail there."""
        self.documents[location] = Failed(reason)

    def hold(self) -> None:
        """Answer nothing until `release`; `begun` is set when something is asked."""
        self.begun.clear()
        self._gate = asyncio.Event()

    def release(self) -> None:
        """Answer what is asked."""
        assert self._gate is not None
        self._gate.set()
        self._gate = None

    def count(self, location: str = URL) -> int:
        """How often this was asked for."""
        return sum(1 for get in self.asked if get.location == location)

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        self.asked.append(get)
        self.begun.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self._gate is not None:
            await self._gate.wait()
        self.under_way -= 1
        found = self.documents[get.location]
        if isinstance(found, Exception):
            raise found
        return found


class News:
    """What the operator is told (ports.KeyNews), a line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.faults: list[BaseException] = []

    def failing(self, issuer: str, reason: str, held: bool) -> None:
        self.lines.append(f"failing {issuer} {held}: {reason}")

    def recovered(self, issuer: str) -> None:
        self.lines.append(f"recovered {issuer}")

    def ended(self, issuer: str) -> None:
        self.lines.append(f"ended {issuer}")

    def unkept(self, reason: str) -> None:
        self.lines.append(f"unkept: {reason}")

    def broken(self, fault: BaseException) -> None:
        self.faults.append(fault)


class Drawer:
    """What is kept from one process to the next (ports.KeptSets); `refusal` is what it refuses with."""

    def __init__(self) -> None:
        self.sets: Mapping[str, KeptSet] = {}
        self.refusal: JotgateError | None = None

    def read(self) -> Mapping[str, KeptSet]:
        if self.refusal is not None:
            raise self.refusal
        return self.sets

    def keep(self, sets: Mapping[str, KeptSet]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.sets = sets


class _Chance:
    """Chance that is always the same (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return b"\0" * count


class Desk:
    """A keeper over scripted fetches, with the first key of its one issuer published.

    `telling`: what a change takes until, if anything.
    """

    def __init__(self, source: KeySource | None = None, drawer: Drawer | None = None) -> None:
        self.clock = ManualClock()
        self.drawer = drawer or Drawer()
        self.web = ScriptedFetch()
        self.files = ScriptedFetch()
        self.news = News()
        self.key = generate("ES256")
        self.web.put(key_set(self.key))
        self.source = source or url_source()
        self.changes: list[Mapping[str, bytes]] = []
        self.telling: asyncio.Future[int | None] | None = None
        ports = KeyPorts(
            web=self.web,
            files=self.files,
            clock=self.clock,
            entropy=_Chance(),
            news=self.news,
            kept=self.drawer,
        )
        self.keeper = KeyKeeper(ports, self._changed)

    def _changed(self) -> "asyncio.Future[int | None]":
        self.changes.append(self.keeper.sets)
        if self.telling is not None:
            return self.telling
        told: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        told.set_result(len(self.changes))
        return told

    async def start(self) -> None:
        """Fetch for the first time."""
        self.keeper.sources([self.source])
        await self.settle()

    async def settle(self) -> None:
        """Let what is under way end."""
        assert await self.keeper.settle(10.0)
        await asyncio.sleep(0)

    async def after(self, span_s: float) -> None:
        """Let time pass, and what is due then happen."""
        self.clock.advance(span_s)
        self.keeper.sweep()
        await self.settle()

    async def want(self) -> KeysOutcome:
        """Somebody brings a token with an unknown key."""
        return await self.keeper.wanted("idp")

    @property
    def standing(self) -> KeyStanding:
        """How the one issuer is doing."""
        (only,) = self.keeper.standings()
        return only

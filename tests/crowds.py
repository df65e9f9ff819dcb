"""A gateway whose routes and upstreams a test chooses, with upstreams that it answers by hand."""

import json
from collections.abc import Mapping, Sequence
from functools import cache

from msgspec import structs

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import Attempt, Bounds, Route, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.errors import UpstreamUnavailable
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.standing import Standing
from jotgate.gateway.world import Place, World, build_world
from jotgate.ports import Running
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedExchange, ScriptedPort, at_once
from tests.callers import issuer_of, make_issuer, request

_ISSUER = make_issuer()
_TOKEN = b"Bearer " + _ISSUER.token(exp=1_820_000_000)


class Crowd:
    """A gateway on a clock set by hand. `sent` names the upstream of each request, in the order in which they went."""

    def __init__(self, attempts: Sequence[Attempt], settings: Mapping[str, Upstream] | None = None) -> None:
        self.clock = ManualClock()
        self.trail = MemoryTrail()
        names = dict.fromkeys(one.upstream for one in attempts)
        self.ports = {name: _Port(name, self) for name in names}
        self.sent: list[str] = []
        self.upstreams = {name: (settings or {}).get(name) or upstream(name) for name in names}
        self.snapshot = Snapshot(
            version=1,
            issuers=(issuer_of(_ISSUER),),
            upstreams=tuple(self.upstreams.values()),
            routes=(Route("a", tuple(attempts)),),
        )
        recorder = CallRecorder(clock=self.clock, trail=self.trail, instance="w0")
        self.gateway = Gateway(clock=self.clock, recorder=recorder, instance="w0", soon=at_once)
        self.world = self.swap()

    def swap(self, **changes: object) -> World:
        """Let new calls see the route with these changes."""
        (route,) = self.snapshot.routes
        snapshot = structs.replace(self.snapshot, routes=(structs.replace(route, **changes),))
        places = {name: Place(self.upstreams[name], port) for name, port in self.ports.items()}
        self.world = build_world(snapshot, places, None)
        self.gateway.swap(self.world)
        return self.world

    def standing(self, name: str) -> Standing:
        return self.world.places[name].standing

    def call(self, model: str = "a", tenant: str = "") -> tuple[RecordingCaller, Running]:
        """Put a good call through, of a token that names this tenant."""
        caller = RecordingCaller()
        body = b'{"model":"%b"}' % model.encode()
        asked = request(body, authorization=_token(tenant) if tenant else _TOKEN)
        asked.begun_s = self.clock.monotonic_s()
        running = self.gateway.open(asked)(caller)
        assert running is not None
        return caller, running

    def last(self, name: str) -> ScriptedExchange:
        return self.ports[name].last

    def wait(self, span_s: float) -> None:
        """Let time pass, and the gateway look at its deadlines."""
        self.clock.advance(span_s)
        self.gateway.control_seen()
        self.gateway.check_deadlines()

    def refuse_connections(self, name: str, times: int) -> None:
        """Let this upstream refuse the connection of this many calls, each put through for it."""
        for _ in range(times):
            self.call()
            self.last(name).fail(UpstreamUnavailable("no connection"), written=False)


class _Port(ScriptedPort):
    """An upstream that the crowd counts requests of."""

    def __init__(self, name: str, crowd: Crowd) -> None:
        super().__init__()
        self._name = name
        self._crowd = crowd

    def begin(self, outbound, events):  # type: ignore[no-untyped-def] # as its base
        self._crowd.sent.append(self._name)
        return super().begin(outbound, events)


@cache
def _token(tenant: str) -> bytes:
    return b"Bearer " + _ISSUER.token(exp=1_820_000_000, tenant=tenant)


def upstream(name: str, **settings: object) -> Upstream:
    """An upstream with the defaults of a configuration, but for these settings."""
    return structs.replace(Upstream(name, "openai", "http://127.0.0.1:1/v1"), **settings)


def bounded(name: str, concurrent: int, queued: int = 10, queue_s: float = 5.0) -> Upstream:
    """An upstream that is asked for so many calls at once."""
    return upstream(name, bounds=Bounds(concurrent=concurrent, queued=queued, queue_s=queue_s))


def plain(*names: str) -> list[Attempt]:
    """Attempts in order."""
    return [Attempt(name, "m") for name in names]


def code_of(caller: RecordingCaller) -> str:
    """The code of a refusal."""
    return str(json.loads(caller.body)["error"]["code"])


def busy(exchange: ScriptedExchange, status: int = 503, **fields: bytes) -> None:
    """Answer "not now", with these header fields; `_` in a name stands for `-`."""
    headers = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    exchange.tell(ResponseHead(status, headers, 0), b"", complete=True)

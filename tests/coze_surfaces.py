"""The surface of the Coze proxy on a gateway whose upstream and control answer by hand."""

import json
from typing import Any, Final

from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.coze_aims import Aim
from jotgate.core.coze_proxy import COZE_PROXY, CozeProxyRules
from jotgate.core.face_callers import FaceCaller, read_caller
from jotgate.core.faces import Face
from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.edge.surfaces.coze_proxy import CozeProxySurface
from jotgate.errors import JotgateError
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import Place, build_world
from jotgate.ports import CallerEvents
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedPort, at_once
from tests.callers import issuer_of, make_issuer, request

RULES: Final = CozeProxyRules(bot_id="7", workflow_id="8", label="usual", has_jwt=True)
OPEN: Final = replace(RULES, open_local=True)
BODY: Final = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello!"}]}
ISSUER: Final = make_issuer()
ALIASES: Final = {"gpt-3.5-turbo": "bot:7", "gpt-4": "bot:7", "bot:7": "bot:7", "workflow:8": "workflow:8"}


class House:
    """The surface of the face, with a gateway whose upstream and control answer by hand."""

    def __init__(self, rules: CozeProxyRules = RULES, *policies: Policy, missing: tuple[str, ...] = ()) -> None:
        self.clock = ManualClock()
        self.trail = MemoryTrail()
        self.upstream = ScriptedPort()
        self.control = ScriptedPort()
        issuer = issuer_of(ISSUER)
        face = Face(
            name=COZE_PROXY,
            listen=("127.0.0.1", 3000),
            issuers=(issuer,),
            rules=rules,
            routes=tuple(Route(alias, (Attempt("coze", model),)) for alias, model in ALIASES.items()),
            missing=missing,
        )
        door = ControlDoor(self.control, self.clock)
        recorder = CallRecorder(clock=self.clock, trail=self.trail, instance="w")
        self.gateway = Gateway(clock=self.clock, recorder=recorder, instance="w", soon=at_once, control=door)
        upstream = Upstream("coze", "openai", "http://127.0.0.1:1")
        snapshot = Snapshot(
            version=1,
            issuers=(issuer,),
            upstreams=(upstream,),
            routes=(),
            faces=(face,),
            limits=Limits(max_staleness_s=60),
            policies=PolicySet(policies) if policies else PolicySet(),
        )
        self.gateway.swap(build_world(snapshot, {"coze": Place(upstream, self.upstream)}, None))
        self.surface = CozeProxySurface(face, self.gateway, door)

    def ask(self, asked: Request) -> RecordingCaller:
        asked.face = COZE_PROXY
        caller = RecordingCaller()
        try:
            answer = self.surface.open(asked)
        except JotgateError as refusal:
            self.surface.refuse(asked, refusal, caller)
        else:
            answer(caller)
        return caller

    def chat(self, token: bytes = b"", body: dict[str, object] | None = None, **headers: bytes) -> RecordingCaller:
        fields = {"host": b"localhost:3000", **({"authorization": token} if token else {}), **headers}
        return self.ask(request(json.dumps({**BODY, **(body or {})}).encode(), **fields))

    @property
    def told(self) -> FaceCaller | None:
        """Who control was told asks, in the newest request to it."""
        lines = dict(line.split(b": ", 1) for line in self.control.last.outbound.lines.split(b"\r\n") if line)
        return read_caller(lines.get(b"x-jotgate-caller", b"").decode())

    @property
    def aim(self) -> Aim | None:
        events = self.upstream.last._events
        assert isinstance(events, CallerEvents)
        return events.request.aim


def bearer(scope: str = "ai", **claims: Any) -> bytes:
    return b"Bearer " + ISSUER.token(scope=scope, **claims)


def error(caller: RecordingCaller) -> tuple[int, str]:
    return caller.status, json.loads(caller.body)["error"]["code"]


def get(path: bytes, method: bytes = b"GET", **headers: bytes) -> Request:
    return request(method=method, path=path, **{"host": b"localhost:3000", **headers})


JWT: Final = ((b"GET", b"/get_jwt"), (b"POST", b"/refresh_jwt"), (b"DELETE", b"/clear_jwt"))

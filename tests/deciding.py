"""Proxies that ask for decisions: the surface before a metered gateway, and questions in the words of each of them."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from jotgate.core.calls import Request
from jotgate.core.decisions import DecisionRules, PathRule
from jotgate.core.edge import CertificateField
from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.quotas import Quota
from jotgate.edge.proxies import Proxies
from jotgate.edge.surfaces.decisions import DecisionSurface
from jotgate.errors import JotgateError
from jotgate.gateway.decisions import DecisionDesk
from jotgate.gateway.world import build_world
from jotgate.ports import Answer, Caller
from jotgate.testing.ports import RecordingCaller
from tests.metering import MeteredStage

PROXY: Final = "127.0.0.1"
CALLER: Final = "203.0.113.7"
ALL: Final = (PathRule(name="all"),)
FORWARDED: Final = {"x_forwarded_method": b"GET", "x_forwarded_uri": b"/"}
_NONE: Final[Mapping[str, bytes]] = {}


class _Inner:
    """What serves all other paths: it answers 299."""

    def open(self, request: Request) -> Answer:
        def answer(caller: Caller) -> None:
            caller.respond(299, b"", request.path)

        return answer

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        caller.respond(refusal.status, b"", str(refusal.code).encode())


class Deciding(MeteredStage):
    """A gateway whose decisions are asked by one proxy; its calls meet these quotas, as those of the stage do."""

    def __init__(
        self,
        *quotas: Quota,
        paths: tuple[PathRule, ...] = ALL,
        policies: tuple[Policy, ...] = (),
        public_url: str = "",
        certificate_field: CertificateField = "",
    ) -> None:
        super().__init__(*quotas)
        self._certificate_field: CertificateField = certificate_field
        rules = DecisionRules(proxies=(PROXY, "10.0.0.0/8"), paths=paths, public_url=public_url)
        self.decide_by(rules, policies)

    def decide_by(self, rules: DecisionRules, policies: tuple[Policy, ...] = ()) -> None:
        """Serve by these rules, as a worker does that has a new snapshot."""
        self.install(rules, policies)
        self.surface = DecisionSurface(
            _Inner(),
            desk=DecisionDesk(self.gateway, rules),
            proxies=Proxies(rules.proxies, "x-forwarded"),
            certificate_field=self._certificate_field,
        )

    def install(self, rules: DecisionRules | None, policies: tuple[Policy, ...] = ()) -> None:
        """Have the gateway use a world with these rules."""
        snapshot = structs.replace(
            self.world.snapshot, decisions=rules, policies=PolicySet(policies), metered=bool(self.quotas)
        )
        self.world = build_world(snapshot, self.world.places, self.world)
        self.gateway.swap(self.world)

    def bearer(self, scope: str = "decide", **claims: Any) -> bytes:
        """A good token, as the field Authorization has it."""
        return b"Bearer " + self.issuer.token(scope=scope, **claims)

    def put(self, request: Request) -> RecordingCaller:
        """Put a request through, as the edge does."""
        request.begun_s = self.clock.monotonic_s()
        caller = RecordingCaller()
        try:
            answer = self.surface.open(request)
        except JotgateError as refusal:
            self.surface.refuse(request, refusal, caller)
        else:
            answer(caller)
        self.run()
        return caller

    def forwarded(
        self, token: bytes = b"", uri: bytes = b"/", method: bytes = b"GET", **headers: bytes
    ) -> RecordingCaller:
        """Ask as Caddy and Traefik do."""
        written = {"x_forwarded_method": method, "x_forwarded_uri": uri}
        return self.put(question(b"/forward-auth", b"", token, headers={**written, **headers}))

    def nginx(self, token: bytes = b"", uri: bytes = b"/", method: bytes = b"GET", **headers: bytes) -> RecordingCaller:
        """Ask as nginx does."""
        written = {"x_original_method": method, "x_original_uri": uri}
        return self.put(question(b"/forward-auth", b"style=nginx", token, headers={**written, **headers}))

    def envoy(
        self, token: bytes = b"", path: bytes = b"/", method: bytes = b"GET", **headers: bytes
    ) -> RecordingCaller:
        """Ask as Envoy does."""
        asked = question(b"/ext-authz" + path, b"", token, headers=headers)
        asked.method = method
        return self.put(asked)


def question(
    path: bytes, query: bytes, token: bytes = b"", peer: str = PROXY, *, headers: Mapping[str, bytes] = _NONE
) -> Request:
    """A request by which a proxy asks, about one of `CALLER`; `_` in a header's name stands for `-`."""
    fields = {b"host": b"api.example", b"x-forwarded-host": b"api.example", b"x-original-host": b"api.example"}
    fields[b"x-forwarded-for"] = CALLER.encode()
    if token:
        fields[b"authorization"] = token
    fields |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(b"GET", path, query, fields, peer, 0.0)


def told(caller: RecordingCaller) -> dict[str, str]:
    """The fields that tell who calls, without those that are empty."""
    return {name: value for name, value in caller.headers.items() if name.startswith("x-jot-") and value}

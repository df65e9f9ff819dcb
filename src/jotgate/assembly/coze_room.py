"""The Coze proxy's face in control: who answers there what a worker does not."""

from collections.abc import Callable, Mapping

from starlette.applications import Starlette

from jotgate.assembly.object_room import ObjectRoom
from jotgate.assembly.reload import Reloader
from jotgate.control.public import build_public
from jotgate.control.surfaces.coze_proxy import CozeProxyRoutes, CozeProxyState
from jotgate.control.token_web import TokenWeb
from jotgate.core.coze_envelopes import ANSWER_BYTES_MAX
from jotgate.core.coze_proxy import COZE_PROXY, UPSTREAM, CozeProxyRules
from jotgate.core.key_set import KeySetDocument
from jotgate.core.routes import Upstream
from jotgate.ports import Clock
from jotgate.services.coze_desk import CozeDesk
from jotgate.services.upstream_tokens import UpstreamTokenKeeper


class CozeRoom:
    """What its answers are made of. Immutable."""

    def __init__(self, keeper: UpstreamTokenKeeper, objects: ObjectRoom, reloader: Reloader, clock: Clock) -> None:
        self._keeper = keeper
        self._objects = objects
        self._reloader = reloader
        self._clock = clock

    def build(self, key_set: Callable[[], KeySetDocument]) -> Mapping[str, Starlette]:
        """Who answers at the face, by its name; nobody where it is not."""
        if self.state() is None:
            return {}
        desk = CozeDesk(self._keeper, TokenWeb(ANSWER_BYTES_MAX), self._objects.carry_out, self.upstream)
        routes = CozeProxyRoutes(self._keeper, desk, self._clock, self.state).routes
        return {COZE_PROXY: build_public(key_set, *routes, face=COZE_PROXY)}

    def state(self) -> CozeProxyState | None:
        """How the face is configured now; None: jotgate was started without."""
        face = next((one for one in self._reloader.effect.snapshot.faces if one.name == COZE_PROXY), None)
        if face is None or not isinstance(face.rules, CozeProxyRules):
            return None
        return CozeProxyState(face.rules, face.missing)

    def upstream(self) -> Upstream | None:
        """Coze, as it is configured now."""
        return next((one for one in self._reloader.effect.snapshot.upstreams if one.name == UPSTREAM), None)

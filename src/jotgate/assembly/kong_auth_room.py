"""The Kong auth service's face in control: what makes tokens there, and who answers."""

from collections.abc import Callable, Mapping

from starlette.applications import Starlette

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.kong_room import KongRoom
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemEntropy
from jotgate.control.public import build_public
from jotgate.control.surfaces.kong_auth import KongAuthDesks, KongAuthRoutes
from jotgate.control.token_web import TokenWeb
from jotgate.core.casdoor_users import ANSWER_BYTES_MAX, CasdoorPlace
from jotgate.core.key_set import KeySetDocument
from jotgate.core.kong_auth import CASDOOR, KONG_AUTH, KongAuthRules
from jotgate.core.kong_credentials import CredentialCounts
from jotgate.ports import Clock
from jotgate.services.casdoor_standing import CasdoorStanding
from jotgate.services.kong_consumers import KongConsumers
from jotgate.services.kong_counts import CountedGate, KongCounts
from jotgate.services.kong_tokens import KongTokens, TokenMeans
from jotgate.store_ports import Store
from jotgate.telemetry.census import Census
from jotgate.telemetry.exposition import CONTENT_TYPE
from jotgate.telemetry.kong_figures import expose_kong


class KongAuthRoom:
    """What its answers are made of. Immutable."""

    def __init__(self, keys: OpenKeys, reloader: Reloader, clock: Clock, census: Census) -> None:
        self._keys = keys
        self._reloader = reloader
        self._clock = clock
        self._census = census

    def build(self, kong: KongRoom, key_set: Callable[[], KeySetDocument]) -> Mapping[str, Starlette]:
        """Who answers at the face, by its name; nobody where it is not. `kong` has who asks Kong."""
        if self.rules() is None:
            return {}
        counts = KongCounts()
        counted = CountedGate(kong.gate, counts, self._clock)
        authority = self._keys.authority
        means = TokenMeans(
            access=self._keys.access,
            seals=authority.seals,
            gate=counted,
            clock=self._clock,
            entropy=SystemEntropy(),
            recorder=authority.recorder,
        )
        routes = KongAuthRoutes(
            KongAuthDesks(
                KongTokens(means, self._required, counts),
                KongConsumers(kong.admin, counted),
                CasdoorStanding(TokenWeb(ANSWER_BYTES_MAX), self._place, counts, authority.recorder),
            ),
            self.rules,
            lambda: self._expose(counts),
            figures_type=CONTENT_TYPE,
        )
        return {KONG_AUTH: build_public(key_set, *routes.routes, face=KONG_AUTH)}

    def rules(self) -> KongAuthRules | None:
        """How the face is configured now; None: jotgate was started without."""
        face = next((one for one in self._reloader.effect.snapshot.faces if one.name == KONG_AUTH), None)
        return face.rules if face is not None and isinstance(face.rules, KongAuthRules) else None

    def _required(self) -> KongAuthRules:
        rules = self.rules()
        assert rules is not None, "nobody asks a face that is not there"
        return rules

    def _place(self, issuer: str) -> CasdoorPlace:
        """Where the Casdoor with this `iss` is asked: as its keys are fetched, over the same roots."""
        source = next((one for one in self._reloader.effect.key_sources if one.name == CASDOOR), None)
        organization = self._required().organization
        if source is None:
            return CasdoorPlace(issuer, organization)
        return CasdoorPlace(issuer, organization, source.roots, source.public_only)

    async def _expose(self, counts: KongCounts) -> bytes:
        held = await self._keys.access.run(_count)
        return expose_kong(self._census, counts, held)


def _count(store: Store) -> CredentialCounts:
    return store.count_credentials()

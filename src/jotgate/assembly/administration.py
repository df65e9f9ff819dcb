"""The admin API over an open installation: who may use it, and whom its orders go to."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.assembly.authority import VERIFIED_TOKENS
from jotgate.assembly.issuer_room import IssuerRoom
from jotgate.assembly.keys import KeyRoom, OpenKeys
from jotgate.assembly.policy_room import PolicyRoom
from jotgate.assembly.quota_room import QuotaRoom
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.assembly.token_routes import installation_of
from jotgate.control.admin.accounts import Office
from jotgate.control.admin.application import AdminDoor, Admission
from jotgate.control.admin.mounting import open_admin
from jotgate.control.admin.replays import Replays
from jotgate.control.admin.trust import TrustOffice
from jotgate.control.key_web import KeyWeb
from jotgate.core.issuers import Issuer
from jotgate.core.principals import Principal
from jotgate.core.resources import admin_resource
from jotgate.core.well_known import PROTECTED_RESOURCE, well_known_url
from jotgate.gateway.world import build_verifier
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import Verifier


class AdminVerifier:
    """Verifies tokens of this installation that are for its admin API, and no others.

    Mutable: the rules of the newest snapshot, and what verifies by them.
    """

    def __init__(self, reloader: Reloader, revoked: RevokedSet) -> None:
        self._reloader: Final = reloader
        self._revoked: Final = revoked
        self._clock: Final = SystemClock()
        self._rules: Issuer | None = None
        self._verifier: Verifier | None = None

    def verify(self, token: bytes) -> Principal:
        """The principal of a token. Raises TokenError, one subclass for each reason."""
        ours = self._reloader.effect.snapshot.issuers[0]
        if self._verifier is None or ours != self._rules:
            rules = replace(ours, audiences=(admin_resource(ours.issuer),), default_scopes=())
            self._verifier = build_verifier((rules,), VERIFIED_TOKENS, revoked=self._revoked)
            self._rules = ours
        return self._verifier.verify(token, self._clock.now_s())


class Offices(Struct, frozen=True):
    """Who carries out orders about policies and quotas."""

    policies: PolicyRoom
    quotas: QuotaRoom


def open_administration(
    keys: OpenKeys, room: KeyRoom, issuers: IssuerRoom, offices: Offices, reloader: Reloader
) -> AdminDoor:
    """The admin API, for the application that serves the edge."""
    clock, issuer = SystemClock(), keys.authority.issuer_url
    verifier = AdminVerifier(reloader, keys.revocations.revoked)

    def verify(token: bytes) -> Principal:
        keys.check_fresh(reloader.effect.config.limits.max_staleness_s)
        return verifier.verify(token)

    admission = Admission(
        verify,
        keys.access,
        keys.authority.recorder,
        Replays(keys.access, clock),
        well_known_url(admin_resource(issuer), PROTECTED_RESOURCE),
        RefusalLog(keys.authority.recorder, clock, "admin.refused"),
    )
    office = Office(
        issuer,
        keys.access,
        keys.authority.recorder,
        clock,
        SystemEntropy(),
        keys.look,
        installation_of(keys, reloader),
    )
    trust = TrustOffice(room, issuers, keys.access, KeyWeb().look_up)
    return open_admin(admission, office, trust, offices.policies, offices.quotas)

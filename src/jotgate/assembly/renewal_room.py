"""Refreshes at the MCP daemon's face: whose tokens are renewed, what signs the new ones, and who answers."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace
from starlette.applications import Starlette

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.control.public import build_public
from jotgate.control.surfaces.mcp_daemon import mcp_daemon_routes
from jotgate.core.faces import Face
from jotgate.core.families import Family
from jotgate.core.key_set import KeySetDocument
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.mcp_daemon_tokens import renewed_form, secret_of
from jotgate.core.refresh import RefreshRules
from jotgate.core.token_checks import refresh_rules
from jotgate.errors import UnknownOperation
from jotgate.jose.keys import hmac_key
from jotgate.keystores.local import LocalSigner
from jotgate.ports import Signers
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families, Revocations
from jotgate.services.family_roots import FamilyRoots
from jotgate.services.federation import Federation, TrustedIssuer, carry_over
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.renewals import RenewalMeans, Renewals, voucher_of
from jotgate.services.revocation import Revoker
from jotgate.services.signing import NamedSigners


class RenewalRoom:
    """What they are made of. Mutable: the face's issuer as it was seen last."""

    def __init__(self, keys: OpenKeys, reloader: Reloader) -> None:
        self._keys = keys
        self._reloader = reloader
        self._federation: Federation | None = None

    @property
    def face(self) -> Face | None:
        """The face; None: jotgate was started without."""
        return next((one for one in self._reloader.effect.snapshot.faces if one.name == MCP_DAEMON), None)

    def build(
        self, revoker: Revoker, others: Signers, key_set: Callable[[], KeySetDocument]
    ) -> Mapping[str, Starlette]:
        """Who answers at the face, by its name; nobody where it is not. `others` sign with this installation's keys."""
        if self.face is None:
            return {}
        keys, clock, authority = self._keys, SystemClock(), self._keys.authority
        families = Families(
            keys.access,
            clock=clock,
            entropy=SystemEntropy(),
            recorder=authority.recorder,
            rules=self._rules,
            revocations=Revocations(self._fault, keys.revocations.look),
        )
        means = RenewalMeans(
            families=families,
            fault=self._fault,
            revoker=revoker,
            revoked=keys.revocations.revoked,
            access=keys.access,
            clock=clock,
            entropy=SystemEntropy(),
            refusals=ClientRefusals(authority.recorder, clock),
            trusted=self._trusted,
            tokens=lambda kid: self._tokens(kid, others),
            rules=self._rules,
        )
        routes = mcp_daemon_routes(Renewals(means), self._check, clock)
        return {MCP_DAEMON: build_public(key_set, *routes, face=MCP_DAEMON)}

    def _rules(self) -> RefreshRules:
        return refresh_rules(self._reloader.effect.config.tokens)

    def _check(self) -> None:
        """Refuse to renew by what is not known. Raises ControlStale."""
        self._keys.check_fresh(self._reloader.effect.config.limits.max_staleness_s)

    def _trusted(self) -> TrustedIssuer:
        """The face's issuer, compiled anew where it has changed."""
        face = self.face
        assert face is not None, "nobody asks a face that is not there"
        self._federation = carry_over(face.issuers, self._federation)
        return self._federation.issuers[0]

    def _tokens(self, kid: str, others: Signers) -> TokenIssuer:
        """What issues tokens that a secret of the face signs. Raises UnknownOperation: there is none."""
        issuer, authority = self._trusted().content, self._keys.authority
        found = secret_of(issuer, kid, SystemClock().now_s())
        key = hmac_key(found.secret.reveal().encode(), found.algorithm, kid)
        signers = NamedSigners(lambda: key, others, self._keys.access, LocalSigner)
        issuable = Issuable(self._keys.revocations.revoked, lambda: issuer.leeway_s)
        return authority.tokens_of(renewed_form(issuer.issuer), signers, issuable)

    def _fault(self, family: Family) -> str:
        """Why a chain yields nothing any more: its secret is gone, or what it rests on was revoked."""
        try:
            secret_of(self._trusted().content, family.voucher.removeprefix(voucher_of("")), SystemClock().now_s())
        except UnknownOperation:
            return "the secret that signed its first token is not the face's any more"
        verifier, own = self._reloader.effect.verifier, self._keys.authority.issuer_url
        roots = FamilyRoots(self._keys.revocations.revoked, lambda: verifier.federation, own)
        return roots.fault(replace(family, voucher=""))

"""Logins at the API gateway's face: what signs there, what is published of it, and who answers."""

from collections.abc import Mapping

from starlette.applications import Starlette

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock
from jotgate.control.public import build_public
from jotgate.control.surfaces.api_gateway import api_gateway_routes
from jotgate.core import key_life
from jotgate.core.api_gateway import API_GATEWAY, ApiGatewayRules, secret_kid
from jotgate.core.api_gateway_tokens import AUDIENCE, LOGIN_TOKEN
from jotgate.core.faces import Face
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.key_set import KeySetDocument, publish
from jotgate.core.values import Secret
from jotgate.errors import NotReady
from jotgate.jose.keys import SigningKey, hmac_key, signing_key_from_pem
from jotgate.keystores.local import LocalSigner
from jotgate.ports import Signers
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families
from jotgate.services.issuable import Issuable
from jotgate.services.logins import LoginRules, Logins
from jotgate.services.signing import NamedSigners


class LoginRoom:
    """What the face's logins are made of. Mutable: the key that the settings name, as it was read last."""

    def __init__(self, keys: OpenKeys, reloader: Reloader) -> None:
        self._keys = keys
        self._reloader = reloader
        self._secret: Secret | None = None
        self._named: SigningKey | None = None

    @property
    def face(self) -> Face | None:
        """The face; None: jotgate was started without."""
        return next((one for one in self._reloader.effect.snapshot.faces if one.name == API_GATEWAY), None)

    def build(self, families: Families, others: Signers) -> Mapping[str, Starlette]:
        """Who answers at the face, by its name; nobody where it is not. `others` sign with this installation's keys."""
        if self.face is None:
            return {}
        profile, authority, clock = PROFILES[API_GATEWAY], self._keys.authority, SystemClock()
        issuable = Issuable(self._keys.revocations.revoked, lambda: profile.leeway_s)
        logins = Logins(
            LoginRules(API_GATEWAY, AUDIENCE, profile.default_scopes),
            clients=ClientAuthenticator(
                access=self._keys.access,
                issuer=authority.issuer_url,
                clock=clock,
                refusals=ClientRefusals(authority.recorder, clock),
            ),
            families=families,
            issuer=authority.tokens_of(LOGIN_TOKEN, self.signers(others), issuable),
            access=self._keys.access,
            clock=clock,
        )
        return {API_GATEWAY: build_public(self.key_set, *api_gateway_routes(logins, self.check), face=API_GATEWAY)}

    def signers(self, others: Signers) -> Signers:
        """Who signs the face's tokens."""
        return NamedSigners(self.named_key, others, self._keys.access, LocalSigner)

    def named_key(self) -> SigningKey | None:
        """The key that the settings name: a private key, or a secret; None: the installation's keys sign.

        Raises:
            KeyRefused: it is none; settings that name such a one do not come into effect.
        """
        face = self.face
        assert face is not None, "nobody is logged in where there is no face"
        assert isinstance(face.rules, ApiGatewayRules), "a face has the rules of its preset"
        shared = [one.secret for issuer in face.issuers for one in issuer.secrets]
        secret = shared[0] if shared else self._reloader.private_key(API_GATEWAY)
        if secret is None:
            return None
        if secret != self._secret or self._named is None:
            algorithm, octets = face.rules.algorithm, secret.reveal().encode()
            named = (
                hmac_key(octets, algorithm, secret_kid(secret)) if shared else signing_key_from_pem(octets, algorithm)
            )
            self._named, self._secret = named, secret
        return self._named

    def check(self) -> None:
        """Refuse to sign by what is not known, or what the face's clients would not take.

        Raises:
            ControlStale: what was revoked could not be read for too long.
            NotReady: the key of this installation that signs is for another algorithm than the face's.
        """
        effect = self._reloader.effect
        self._keys.check_fresh(effect.config.limits.max_staleness_s)
        face = self.face
        if face is None or not isinstance(face.rules, ApiGatewayRules) or self.named_key() is not None:
            return
        wanted = face.rules.algorithm
        if self._keys.signs_with != wanted:
            raise NotReady(
                f"the key of this installation that signs now is not for {wanted}, which the clients here expect",
                hint=f"Its operator makes one with: jotgate key rotate --algorithm {wanted}",
            )

    def key_set(self) -> KeySetDocument:
        """What is published at the face now: the keys that its tokens are verified with; of a secret, none."""
        face, now_s = self.face, SystemClock().now_s()
        assert face is not None, "nobody asks a face that is not there"
        return publish(face.issuers[0], now_s, key_life.key_set_age_s(self._keys.feed.picture.ring.keys, now_s))

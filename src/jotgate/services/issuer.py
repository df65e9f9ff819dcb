"""Issues access tokens under the installation's name, and records each before it is handed out."""

from copy import copy
from functools import partial
from typing import Final

from jotgate.core.claims import ACCESS_TOKEN, ACCESS_TOKEN_TYPE, AccessGrant, Issued, TokenForm
from jotgate.core.durable import Issuance
from jotgate.core.status_lists import status_names
from jotgate.core.token_limits import limit_lines
from jotgate.jose import jws, jwt
from jotgate.ports import Clock, Entropy, Signers
from jotgate.services.issuable import Issuable
from jotgate.services.recorder import Recorder
from jotgate.services.status_lists import StatusPlaces

_TOKEN_ID_BYTES: Final = 16  # 128 bits: RFC 7519 s4.1.7 wants collisions to be negligible


class TokenIssuer:
    """Makes tokens of one form, and has them signed by whoever signs at that moment.

    Whatever the form says, they are tokens of this installation: by its name they are kept, and revoked.
    """

    def __init__(
        self,
        *,
        issuer: str,
        signers: Signers,
        clock: Clock,
        entropy: Entropy,
        recorder: Recorder,
        issuable: Issuable,
    ) -> None:
        self._issuer = issuer
        self._signers = signers
        self._clock = clock
        self._entropy = entropy
        self._recorder = recorder
        self._issuable = issuable
        self.places: StatusPlaces | None = None
        self.form = ACCESS_TOKEN

    def in_form(self, form: TokenForm) -> "TokenIssuer":
        """One that makes tokens of this form, and is as this one otherwise."""
        other = copy(self)
        other.form = form
        return other

    def placing(self, places: StatusPlaces) -> "TokenIssuer":
        """One whose access tokens stand in status lists, where these say so, and is as this one otherwise."""
        other = copy(self)
        other.places = places
        return other

    @property
    def issuer(self) -> str:
        """The name under which tokens are issued."""
        return self._issuer

    def check(self, grant: AccessGrant) -> None:
        """Refuse now what `issue` would refuse then, for who uses something up before. Raises as it does."""
        self._issuable.check(grant, self._issuer, self._clock.now_s())

    async def issue(self, grant: AccessGrant, *, actor: str) -> Issued:
        """A token; it is kept as an issuance and in the audit log, where `actor` is who caused it.

        Raises:
            AuthorizationDetailsRefused: it cannot have the limits that it is to have; see `Issuable.check`.
            IssuanceHeld: it would be refused, for what it would be met by was revoked just now.
            AuditUnavailable, StoreUnavailable: what cannot be recorded is not issued.
            KeyRefused, DirectoryRefused: see `ports.Signers`.
            SignatureInvalid: who signs made a signature that does not verify.
        """
        token_id = self.form.name(self._entropy.random_bytes(_TOKEN_ID_BYTES), grant)
        now_s = self._clock.now_s()
        self._issuable.check(grant, self._issuer, now_s)
        expires_at_s = grant.expires_at_s(now_s)

        def row(kid: str) -> Issuance:
            return Issuance(
                token_id=token_id,
                subject=grant.subject,
                client_id=grant.client_id,
                kid=kid,
                issued_at_s=int(now_s),
                expires_at_s=expires_at_s,
                parent=grant.ancestors[-1] if grant.ancestors else None,
                family=grant.family or None,
                actor=grant.actors[0].subject if grant.actors else None,
                tenant=grant.tenant,
                limits=grant.limits,
                origins=grant.origins,
            )

        signer = await self._signers.signer(expires_at_s, row)
        self._issuable.check_key(self._issuer, signer.key.kid, now_s)
        claims = self.form.claims(grant, self._issuer, token_id, now_s)
        if self.places is not None and self.form.typ == ACCESS_TOKEN_TYPE:
            kid = signer.key.kid
            names = partial(status_names, self._issuer, grant, token_id, kid, now_s)
            claims |= await self.places.claim(names, expires_at_s)
        signing_input = jwt.prepare(claims, self.form.typ, signer.key)
        token = jws.attach(signing_input, await signer.sign(signing_input), signer.key, trusted=signer.local)
        self._recorder.record(
            "token.issued",
            actor=actor,
            subject=grant.subject,
            details={
                "jti": token_id,
                "scope": " ".join(grant.scopes),
                "audience": " ".join(grant.audiences),
                "models": "all" if grant.models is None else " ".join(grant.models),
                "exp": expires_at_s,
                "kid": signer.key.kid,
                **({"limits": "; ".join(limit_lines(grant.limits, self._issuer))} if grant.limits else {}),
                **_descent(grant),
            },
        )
        return Issued(token.decode("ascii"), token_id, expires_at_s)


def _descent(grant: AccessGrant) -> dict[str, str]:
    """What the audit log has of a token that came of another: that one, and who acts, the current actor first."""
    found = {"parent": grant.ancestors[-1]} if grant.ancestors else {}
    return {**found, "act": " < ".join(one.subject for one in grant.actors)} if grant.actors else found

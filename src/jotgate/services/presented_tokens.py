"""Reads tokens that are presented for tokens of ours, and finds whom they speak for."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from jotgate.core.accounts import DEFAULT_TENANT, ClientRecord, PrincipalRecord
from jotgate.core.claims import CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID
from jotgate.core.opaque import Mark
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID
from jotgate.core.presented import Presented, present_own, read_presented
from jotgate.core.principals import Principal
from jotgate.core.resources import admin_resource
from jotgate.errors import ClaimRefused, ClientRefused, GrantRefused, OAuthRefused, TokenError
from jotgate.jose import jws, jwt
from jotgate.services.accounts import KnownSubject, find_client, find_subject
from jotgate.services.federation import Federation
from jotgate.services.own_tokens import OwnTokens
from jotgate.store_ports import Store

_NO_CLIENTS = (CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID, PERSONAL_CLIENT_ID)
_NOBODY = "whom the token speaks for is unknown, or may have no tokens"


class PresentedTokens:
    """Reads them by the rules of whoever issued them.

    `verify` is control's verifier, of personal tokens too; `federation` are the issuers that it trusts at that moment;
    `own` verifies ours that are for other resources than the gateway; `issuer` is our own name.
    """

    def __init__(
        self,
        verify: Callable[[bytes], Awaitable[Principal]],
        federation: Callable[[], Federation],
        own: OwnTokens,
        issuer: str,
    ) -> None:
        self._verify = verify
        self._federation = federation
        self._own = own
        self._issuer = issuer

    async def read_subject(self, token: str) -> Presented:
        """`read` for a token that is to be narrowed, which may be for another resource alone if we issued it.

        What comes of it is for no resource that it is not for, so that whoever has got it there gets nothing by it that
        it does not allow (RFC 8707 s2.2). It is not taken to show who acts: it may be in the hands of that resource.
        Those of the admin API are not narrowed. Raises as `read`.
        """
        try:
            return await self.read(token)
        except ClaimRefused as refusal:
            if refusal.claim != "aud":
                raise
            try:
                found = self._own.verify(token)
            except TokenError:
                raise refusal from None
            if admin_resource(self._issuer) in found.principal.audiences:
                raise
            federation = self._federation()
            presented = read_presented(found.principal, found.claims, federation.issuers[0].content, self._issuer)
            return replace(presented, voucher=_voucher(federation, presented))

    async def read(self, token: str) -> Presented:
        """What a token says, if it is a personal one or a trusted issuer's, is in its time and was not revoked.

        Raises:
            TokenError: one subclass for each reason.
            IssuerUnavailable: its issuer's keys are out of reach, so that the answer cannot be known.
        """
        octets = token.encode()
        principal = await self._verify(octets)
        if token.startswith(Mark.PERSONAL):
            return present_own(principal, self._issuer)
        claims = jwt.read_claims(jws.parse(octets).payload)  # What was verified just now.
        federation = self._federation()
        presented = read_presented(principal, claims, federation.find(claims.iss).content, self._issuer)
        return replace(presented, voucher=_voucher(federation, presented)) if presented.own else presented


@contextmanager
def told_of(presented: Presented) -> Iterator[None]:
    """Have refusals say of which verified token they are, and why: for the audit log, not for the client."""
    try:
        yield
    except OAuthRefused as refusal:
        if not refusal.presented:
            principal = presented.principal
            refusal.presented = {
                "issuer": principal.issuer,
                "jti": principal.token_id,
                "subject": presented.subject,
                "reason": refusal.message,
            }
        raise


def told_unverified(refusal: OAuthRefused, error: TokenError) -> OAuthRefused:
    """The same refusal, which says why of a token that was not verified, of which nothing else can be said."""
    refusal.presented = {"reason": str(error.code)}
    return refusal


def _voucher(federation: Federation, presented: Presented) -> str:
    """The issuer that a token of ours was once got by, as the name of whom it speaks for tells."""
    named, found, _ = presented.subject.partition("/")
    return named if found and any(one.content.name == named for one in federation.issuers) else ""


def find_bearer(store: Store, presented: Presented, client: ClientRecord | None) -> KnownSubject | None:
    """Whom a presented token speaks for, as a client of the same tenant may know; to be called in `StoreAccess.run`.

    `client` None: the operator asks, who may know of every tenant.

    Of another issuer that is the principal of the name `ISSUER/SUB`. Of ours it is a principal or a client; None: the
    operator's command made the token, or one that it was narrowed from, for somebody who has no record.

    Raises:
        GrantRefused: there is nobody of this name, or they, or their tenant, are disabled or not this client's; or the
            client is disabled that the token was issued to.
        StoreUnavailable: it cannot be known.
    """
    name, holder = presented.subject, presented.principal.client_id
    if presented.own and holder not in (client and client.name, *_NO_CLIENTS):
        _check_holder(store, holder)
    if presented.own and not _has_record(store, name):
        if (client is None or client.tenant == DEFAULT_TENANT) and _is_of_the_operator(store, presented):
            return None
        raise GrantRefused(_NOBODY)
    known = find_subject(store, name)
    if (client is not None and known.record.tenant != client.tenant) or not (
        presented.own or isinstance(known.record, PrincipalRecord)
    ):
        raise GrantRefused(_NOBODY)
    return known


def _check_holder(store: Store, client_id: str) -> None:
    try:
        find_client(store, client_id)
    except ClientRefused:
        raise GrantRefused("the client that the token was issued to is unknown, or may have no tokens") from None


def _has_record(store: Store, name: str) -> bool:
    return (store.account(PrincipalRecord, name) or store.account(ClientRecord, name)) is not None


def _is_of_the_operator(store: Store, presented: Presented) -> bool:
    """Whether the first token of its line was made by a command; for whoever was deleted, no other line goes on."""
    found = store.issuance(presented.lineage[0])
    return found is not None and found.client_id == CLI_CLIENT_ID

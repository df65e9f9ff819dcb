"""Authenticates the clients of the token service, in every way there is (RFC 6749 s2.3, RFC 7523 s2.2 as updated)."""

import math
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import Final, get_args

from jotgate.core.accounts import ClientRecord, SecretDigest
from jotgate.core.certificates import CertificateName, read_peer
from jotgate.core.client_proofs import ASSERTION_ALGORITHMS, ClientProof, read_proof
from jotgate.core.durable import Mark
from jotgate.core.oauth_form import Form
from jotgate.core.opaque import opaque_digest
from jotgate.core.senders import Sender
from jotgate.errors import ClientRefused, KeyRefused, TokenError
from jotgate.jose import jws, jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import KnownClient, find_client
from jotgate.services.client_refusals import ClientRefusals
from jotgate.store_ports import Store

ASSERTION_TYPES: Final = ("client-authentication+jwt", "JWT", "")
"""The `typ` of client assertions: that of today, and what those have that were made before there was one."""

ASSERTION_LIFETIME_MAX_S: Final = 3_600
ASSERTION_MARK: Final = "client_assertion"

_SECRETS_MAX: Final = 2
_CERTIFICATE_NAMES: Final = get_args(CertificateName)
_LEEWAY_S: Final = 30
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "jti"})
_UNPROVEN: Final = "the client is unknown or disabled, or did not prove who it is in the way that it is registered for"
_NOBODY: Final = (SecretDigest(b"\0" * 32, 0), SecretDigest(b"\1" * 32, 0))
"""What the secret of a client that is not there is compared with, so that it takes as long."""


class ClientAuthenticator:
    """Finds out which client a request is of."""

    def __init__(self, *, access: StoreAccess, issuer: str, clock: Clock, refusals: ClientRefusals) -> None:
        self._access = access
        self._issuer = issuer
        self._clock = clock
        self.refusals: Final = refusals

    async def authenticate(self, form: Form, sender: Sender) -> KnownClient:
        """The client of a request.

        1. The request shows one proof (RFC 6749 s2.3).
        2. The client is known and enabled, as its tenant is.
        3. It shows the kind of proof that it is registered for, and no weaker one.
        4. The proof is good: a secret by its digest, an assertion by its signature, its claims, and its one use; a
           certificate, which the TLS of the connection has verified, by the one name that it must have (RFC 8705 s2.1).

        Raises:
            OAuthMalformed: the request shows two proofs.
            ClientRefused: the client is not known to be who it says.
            StoreUnavailable, AuditUnavailable: it cannot be known, or the refusal cannot be recorded.
        """
        try:
            proof = read_proof(form, sender.authorization)
        except ClientRefused:
            self.refusals.note(form.one("client_id"), "unreadable", sender.peer)
            raise
        try:
            return await self._prove(proof, sender)
        except ClientRefused:
            self.refusals.note(proof.client_id, proof.method, sender.peer)
            raise

    async def _prove(self, proof: ClientProof, sender: Sender) -> KnownClient:
        client = await self._find(proof.client_id)
        secrets = _NOBODY if client is None else client.record.secrets
        proven = _is_secret(proof.secret.reveal(), secrets, self._clock.now_s())
        if client is not None and client.record.authentication == "tls_client_auth" and proof.method == "none":
            _check_certificate(client.record, sender.certificate, self._clock.now_s())
            return client
        if client is None or client.record.authentication != proof.method:
            raise ClientRefused(_UNPROVEN)
        if proof.method == "private_key_jwt":
            await self._check_assertion(client.record, proof.assertion.reveal().encode())
        elif proof.method != "none" and not proven:
            raise ClientRefused(_UNPROVEN)
        return client

    async def _find(self, client_id: str) -> KnownClient | None:
        def find(store: Store) -> KnownClient | None:
            try:
                return find_client(store, client_id)
            except ClientRefused:
                return None

        return await self._access.run(find)

    async def _check_assertion(self, record: ClientRecord, assertion: bytes) -> None:
        """The signature by a key of this client, the claims, the sole audience; and last that it is its first use."""
        now_s = self._clock.now_s()
        expected = Expectation(
            issuer=record.name,
            audiences=(self._issuer,),
            types=ASSERTION_TYPES,
            algorithms=ASSERTION_ALGORITHMS,
            leeway_s=_LEEWAY_S,
            lifetime_max_s=ASSERTION_LIFETIME_MAX_S,
            required=_REQUIRED,
        )
        try:
            parsed = jws.parse(assertion)
            claims = jwt.read_claims(parsed.payload)
            jwt.verify_read(parsed, claims, _keys(record.jwks), expected, now_s)
        except TokenError as error:
            raise ClientRefused(f"the client assertion is refused: {error.message}", debug=str(error.code)) from None
        if claims.sub != record.name:
            raise ClientRefused("the client assertion is refused: its 'sub' is not its 'iss'")
        if len(claims.aud) != 1:
            raise ClientRefused(
                "the client assertion is refused: it is for other audiences too",
                hint=f"Give it the one audience {self._issuer}",
            )
        handle = sha256(f"{record.name}\0{claims.jti}".encode()).hexdigest()
        mark = Mark(ASSERTION_MARK, handle, math.ceil((claims.exp or now_s) + _LEEWAY_S))
        if await self._access.run(lambda store: store.mark(mark, int(now_s))) is not None:
            raise ClientRefused("the client assertion is refused: it was used before", hint="Make one for each request")


def _check_certificate(record: ClientRecord, certificate: bytes, now_s: float) -> None:
    if not certificate:
        raise ClientRefused("the client authenticates with its certificate, and the connection has none")
    peer = read_peer(certificate)
    names = [(kind, name) for kind in _CERTIFICATE_NAMES if (name := getattr(record, kind))]
    if peer is None or not names or not all(peer.has_name(kind, name) for kind, name in names):
        raise ClientRefused("the certificate of the connection is not the client's")
    if not peer.is_in_time(now_s):
        raise ClientRefused("the certificate of the connection has ended, or has not begun")


def _is_secret(secret: str, kept: tuple[SecretDigest, ...], now_s: float) -> bool:
    """Whether a text is one of at most two secrets that count; each is compared whole, whatever comes of the others."""
    digest = opaque_digest(secret)
    found = False
    for one in kept[-_SECRETS_MAX:]:
        counts = one.ends_at_s is None or now_s < one.ends_at_s
        found |= compare_digest(one.digest, digest) and counts
    return found


@lru_cache(maxsize=256)
def _keys(jwks: bytes) -> KeySet:
    """The keys of a client; none when it has registered none, or what is kept of them is no set."""
    try:
        return KeySet.from_jwks(jwks, ASSERTION_ALGORITHMS) if jwks else KeySet()
    except KeyRefused:
        return KeySet()

"""What a command does itself when no jotgate runs on DATA; its caller holds the lock."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jotgate.assembly.authority import Authority, open_authority, open_verifier, require_installation
from jotgate.assembly.means import means_of
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import CLI_CLIENT_ID, Issued, TokenRequest
from jotgate.core.config import Config
from jotgate.core.key_checks import key_rules
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.principals import Principal
from jotgate.errors import TokenError
from jotgate.jose.jwt import peek_unverified
from jotgate.services.federation import Federation
from jotgate.services.key_desk import KeyDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources, load_settings


def issue(directory: DataDirectory, sources: Sources, request: TokenRequest) -> Issued:
    """Issue a token, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """

    async def published(_: str) -> None:
        """No worker of this machine runs that would have to know the key."""

    with opened(directory, sources) as (authority, config):
        tokens = authority.tokens(DirectAccess(authority.store), published, config)
        return asyncio.run(tokens.issue(request.grant(tokens.issuer), actor=CLI_CLIENT_ID))


def verify(directory: DataDirectory, sources: Sources, token: bytes) -> Principal:
    """Check a token of this installation. Those of others are judged by the keys that a running jotgate has of them.

    Raises:
        TokenError: one subclass for each reason.
        CommandError, ConfigurationError, DirectoryRefused, StoreUnavailable: see `assembly.authority`.
    """
    settings = load_settings(sources, secrets=False)
    verifier = open_verifier(means_of(directory, settings), settings.require())
    try:
        return verifier.verify(token, SystemClock().now_s())
    except TokenError as refusal:
        tell_of_foreign(refusal, token, verifier.federation)
        raise


def tell_of_foreign(refusal: TokenError, token: bytes, federation: Federation) -> None:
    """Say with a refusal why a token of another issuer can only be refused where no jotgate runs."""
    if _is_foreign(token, federation):
        refusal.message = (
            f"{refusal.message}; no jotgate runs here, and only a running one judges other issuers' tokens"
        )
        refusal.hint = "Start jotgate on this directory, and check the token again"


def _is_foreign(token: bytes, federation: Federation) -> bool:
    """Whether a token says that it is of another issuer, or of none."""
    try:
        return peek_unverified(token)[1].get("iss") != federation.issuers[0].content.issuer
    except TokenError:
        return False


def tend_keys(directory: DataDirectory, sources: Sources, order: KeyOrder) -> KeyAnswer:
    """Do what is ordered about the signing keys. What must wait for other machines is left to those that run.

    Raises:
        CommandError, KeyRefused: see `services.key_desk`; and as `verify`.
    """
    require_installation(directory)
    with opened(directory, sources) as (authority, config):
        desk = KeyDesk(
            authority.store,
            authority.parts,
            SystemClock(),
            key_rules(config.keys),
            issuer=authority.issuer_url,
            alone=not authority.shared,
        )
        outcome = desk.carry_out(order)
        authority.tell(outcome.events, CLI_CLIENT_ID)
        return KeyAnswer(
            desk.views(),
            kid=outcome.kid,
            patience_s=config.limits.max_staleness_s if authority.shared else 0.0,
            shared=authority.shared,
            text=outcome.text,
        )


@contextmanager
def opened(directory: DataDirectory, sources: Sources) -> Iterator[tuple[Authority, Config]]:
    """The installation, which this makes if it is the first start, and its settings; closed at the end.

    Raises:
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    os.umask(0o077)
    settings = load_settings(sources, secrets=False)
    authority = open_authority(means_of(directory, settings))
    try:
        yield authority, settings.require()
    finally:
        authority.close()

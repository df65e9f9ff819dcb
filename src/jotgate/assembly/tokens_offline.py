"""What `jotgate token list` and `revoke` do themselves when no jotgate runs on DATA; their caller holds the lock."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jotgate.assembly.authority import open_authority, require_installation
from jotgate.assembly.issuers import Issuers
from jotgate.assembly.means import means_of
from jotgate.assembly.system import SystemClock
from jotgate.core.compiler import compile_issuer
from jotgate.core.key_life import own_keys
from jotgate.core.token_orders import TokenAnswer, TokenListing, TokenOrder, TokenPage
from jotgate.services.revocation import Revoker, load_revocations
from jotgate.services.token_desk import OwnName, TokenDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Sources, load_settings


def list_tokens(directory: DataDirectory, sources: Sources, wanted: TokenListing) -> TokenPage:
    """A page of the tokens that were issued.

    Raises:
        CommandError: there is no installation.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    with _desk(directory, sources) as desk:
        return asyncio.run(desk.list(wanted))


def revoke_tokens(directory: DataDirectory, sources: Sources, order: TokenOrder) -> TokenAnswer:
    """Revoke tokens, or say what that would do. Machines that share the store follow by themselves.

    Raises:
        CommandError: as `TokenDesk.revoke`; and as `list_tokens`.
    """
    with _desk(directory, sources) as desk:
        return asyncio.run(desk.revoke(order))


async def _look() -> None:
    """No worker of this machine runs that would have to know."""


@contextmanager
def _desk(directory: DataDirectory, sources: Sources) -> Iterator[TokenDesk]:
    os.umask(0o077)
    require_installation(directory)
    settings = load_settings(sources)
    authority = open_authority(means_of(directory, settings))
    try:
        clock, config = SystemClock(), settings.require()
        issuers = Issuers(sources, SecretAges(PrivateFiles(directory.path)), clock)
        issuers.take(authority.store.issuers())
        ours = compile_issuer(config, authority.issuer_url, own_keys(authority.ring, clock.now_s()))
        states = issuers.read(settings, config.server, ours).states
        access = DirectAccess(authority.store)
        yield TokenDesk(
            access,
            Revoker(access, authority.recorder, clock, _look),
            clock,
            revoked=load_revocations(authority.store),
            own=OwnName(authority.issuer_url, authority.shared),
            others=lambda: states,
        )
    finally:
        authority.close()

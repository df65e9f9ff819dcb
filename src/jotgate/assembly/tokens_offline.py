"""What `jotgate token list` and `revoke` do themselves when no jotgate runs on DATA; their caller holds the lock."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jotgate.assembly.authority import open_authority, require_installation
from jotgate.assembly.issuers import Issuers
from jotgate.assembly.means import means_of
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.compiler import compile_issuer
from jotgate.core.endless_tokens import EndlessListing, EndlessPage
from jotgate.core.holder_orders import HolderAnswer, HolderOrder
from jotgate.core.key_life import own_keys
from jotgate.core.token_orders import TokenAnswer, TokenListing, TokenOrder, TokenPage
from jotgate.services.holder_desk import HolderDesk
from jotgate.services.revocation import Revoker, load_revocations
from jotgate.services.token_desk import Installation, OwnName, TokenDesk
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
    with _parts(directory, sources) as parts:
        return asyncio.run(TokenDesk(*parts).list(wanted))


def list_endless(directory: DataDirectory, sources: Sources, wanted: EndlessListing) -> EndlessPage:
    """A page of the tokens that never expire and were taken; as `list_tokens`."""
    with _parts(directory, sources) as parts:
        return asyncio.run(TokenDesk(*parts).list_endless(wanted))


def revoke_tokens(directory: DataDirectory, sources: Sources, order: TokenOrder) -> TokenAnswer:
    """Revoke tokens, or say what that would do. Machines that share the store follow by themselves.

    Raises:
        CommandError: as `TokenDesk.revoke`; and as `list_tokens`.
    """
    with _parts(directory, sources) as parts:
        return asyncio.run(TokenDesk(*parts).revoke(order))


def revoke_tokens_of(directory: DataDirectory, sources: Sources, order: HolderOrder) -> HolderAnswer:
    """Revoke what a client, a subject, a tenant or a key was issued; as `revoke_tokens`."""
    with _parts(directory, sources) as parts:
        return asyncio.run(HolderDesk(*parts).revoke(order, CLI_CLIENT_ID))


async def _look() -> None:
    """No worker of this machine runs that would have to know."""


@contextmanager
def _parts(
    directory: DataDirectory, sources: Sources
) -> Iterator[tuple[DirectAccess, Revoker, SystemClock, Installation]]:
    """What the desks are made of."""
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
        own = OwnName(authority.issuer_url, authority.shared)
        here = Installation(own, load_revocations(authority.store), lambda: states)
        yield access, Revoker(access, authority.recorder, clock, _look), clock, here
    finally:
        authority.close()

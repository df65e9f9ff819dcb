"""What `jotgate issuer` does itself when no jotgate runs on DATA; its caller holds the lock."""

import os
from collections.abc import Sequence

from jotgate.assembly.authority import Authority, open_authority
from jotgate.assembly.issuers import Issuers
from jotgate.assembly.means import means_of
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import ACCESS_TOKEN_TYPE, CLI_CLIENT_ID
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.status import IssuerState
from jotgate.services.issuer_records import carry_out, details_of
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Sources, load_settings


def order_issuers(directory: DataDirectory, sources: Sources, order: IssuerOrder) -> IssuerAnswer:
    """Do what is ordered, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, KeyRefused, StoreRefused, AuditUnavailable: see `assembly.authority`.
        CommandError, StoreUnavailable: see `services.issuer_records.carry_out`.
    """
    os.umask(0o077)
    settings = load_settings(sources)
    config = settings.require()
    authority = open_authority(means_of(directory, settings))
    try:
        issuers, ours = _issuers(directory, sources, authority)
        issuers.read(settings, config.server, ours)
        done = carry_out(authority.store, order, issuers.examine, SystemClock().now_s())
        if done is not None:
            authority.recorder.record(done.event, actor=CLI_CLIENT_ID, details=details_of(done))
        issuers.take(authority.store.issuers())
        return IssuerAnswer(list(issuers.read(settings, config.server, ours).states))
    finally:
        authority.close()


def issuer_states(directory: DataDirectory, sources: Sources, authority: Authority) -> Sequence[IssuerState]:
    """How the issuers beside this installation stand, which is open. Raises ConfigurationError, StoreUnavailable."""
    settings = load_settings(sources)
    issuers, ours = _issuers(directory, sources, authority)
    return issuers.read(settings, settings.require().server, ours).states


def _issuers(directory: DataDirectory, sources: Sources, authority: Authority) -> tuple[Issuers, Issuer]:
    """Those of the store, to be read with those of the settings, and this installation beside which they stand."""
    url = authority.issuer_url
    ours = Issuer(name=OURS, issuer=url, audiences=(url,), algorithms=("ES256",), types=(ACCESS_TOKEN_TYPE,), jwks=None)
    issuers = Issuers(sources, SecretAges(PrivateFiles(directory.path)), SystemClock())
    issuers.take(authority.store.issuers())
    return issuers, ours

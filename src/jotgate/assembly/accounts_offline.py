"""What commands about accounts do themselves when no jotgate runs on DATA; their caller holds the lock."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from jotgate.assembly.authority import Authority, require_installation
from jotgate.assembly.issuers_offline import issuer_states
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.account_orders import AccountAnswer, AccountOrder
from jotgate.core.admin_tokens import AdminTokenOrder
from jotgate.core.claims import Issued
from jotgate.core.config import Config
from jotgate.core.status import IssuerState
from jotgate.services.account_desk import AccountDesk
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources


def order_accounts(directory: DataDirectory, sources: Sources, order: AccountOrder) -> AccountAnswer:
    """Do what is ordered, and make the installation if this is the first start.

    Raises:
        RecordMissing, RecordExists, RecordChanged, RequestMalformed: see `services.account_desk`.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    with opened(directory, sources) as (authority, config):
        others = partial(issuer_states, directory, sources, authority)
        return asyncio.run(_desk(authority, config, others).carry_out(order))


def issue_admin_token(directory: DataDirectory, sources: Sources, order: AdminTokenOrder) -> Issued:
    """Issue a token for the admin API.

    Raises:
        CommandError: there is no installation.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    require_installation(directory)
    with opened(directory, sources) as (authority, config):
        return asyncio.run(_desk(authority, config, tuple).issue(order))


def _desk(authority: Authority, config: Config, others: Callable[[], Sequence[IssuerState]]) -> AccountDesk:
    async def nobody(_: str = "") -> None:
        """No process of this machine has to be told."""

    access = DirectAccess(authority.store)
    return AccountDesk(
        tokens=authority.tokens(access, nobody, config),
        access=access,
        recorder=authority.recorder,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        look=nobody,
        running=False,
        others=others,
    )

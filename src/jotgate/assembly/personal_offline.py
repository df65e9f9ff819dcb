"""What `jotgate pat` does itself when no jotgate runs on DATA; its caller holds the lock."""

from jotgate.assembly.authority import require_installation
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.personal_tokens import PersonalAnswer, PersonalOrder
from jotgate.services.personal_desk import PersonalDesk
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources


def order_personal_tokens(directory: DataDirectory, sources: Sources, order: PersonalOrder) -> PersonalAnswer:
    """Do what is ordered.

    Raises:
        CommandError, ScopeRefused, RecordMissing, RecordExists, RecordChanged, StoreUnavailable: as `PersonalDesk`.
        ConfigurationError, DirectoryRefused, KeyRefused, StoreRefused, AuditUnavailable: see `assembly.authority`.
    """
    require_installation(directory)
    with opened(directory, sources) as (authority, _):
        desk = PersonalDesk(authority.store, authority.issuer_url, SystemEntropy(), SystemClock().now_s())
        return desk.carry_out(order, actor=CLI_CLIENT_ID).record(authority.recorder, CLI_CLIENT_ID)

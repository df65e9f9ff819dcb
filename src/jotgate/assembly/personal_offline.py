"""What commands do about personal tokens when no jotgate runs on DATA; their caller holds the lock."""

from jotgate.assembly.authority import require_installation
from jotgate.assembly.offline import opened
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.personal_tokens import PersonalAnswer, PersonalOrder
from jotgate.core.principals import Principal
from jotgate.core.revocations import personal_names
from jotgate.services.personal_desk import PersonalDesk
from jotgate.services.personal_lookup import find_personal
from jotgate.services.revocation import load_revocations
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


def verify_personal(directory: DataDirectory, sources: Sources, token: bytes) -> Principal:
    """Whom a personal token speaks for.

    Raises:
        TokenMalformed, TokenUnknown, TokenExpired, TokenRevoked: it does not count.
        CommandError, ConfigurationError, DirectoryRefused, StoreUnavailable: see `assembly.authority`.
    """
    require_installation(directory)
    with opened(directory, sources) as (authority, _):
        found = find_personal(authority.store, token, authority.issuer_url, SystemClock().now_s())
        revoked = load_revocations(authority.store)
        revoked.check(found, personal_names(found), 0)
        return found

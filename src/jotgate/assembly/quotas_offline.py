"""What `jotgate quota` does when no jotgate runs on DATA; its caller holds the lock."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from jotgate.assembly.authority import Authority, open_authority
from jotgate.assembly.issuers import Issuers
from jotgate.assembly.means import means_of
from jotgate.assembly.offline import verify
from jotgate.assembly.personal_offline import verify_personal
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import ACCESS_TOKEN_TYPE, CLI_CLIENT_ID
from jotgate.core.compiler import compile_routes, price_routes
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.opaque import Mark
from jotgate.core.quota_orders import QuotaAnswer, QuotaFinding, QuotaOrder, QuotaQuestion
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.quota_warnings import unpriced
from jotgate.core.spenders import spender_of, surroundings_of
from jotgate.services.quota_desk import QuotaDesk, describe_spender
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.price_table import read_price_table
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Sources, load_settings


class _Open(Struct, frozen=True):
    """An open installation, and who carries orders out by its settings."""

    authority: Authority
    desk: QuotaDesk


def order_quotas(directory: DataDirectory, sources: Sources, order: QuotaOrder) -> QuotaAnswer:
    """Do what is ordered, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, KeyRefused, StoreRefused, AuditUnavailable: see `assembly.authority`.
        RecordChanged, CommandError, StoreUnavailable: see `services.quota_desk`.
    """
    with _opened(directory, sources) as found:
        authority = found.authority
        if order.action != "show":
            authority.recorder.check()  # What cannot be recorded is not done.
        answer, change = found.desk.carry_out(authority.store, order, SystemClock().now_s())
        if change is not None:
            authority.recorder.record(change.event, actor=CLI_CLIENT_ID, details=change.details)
        return answer


def explain_quotas(directory: DataDirectory, sources: Sources, question: QuotaQuestion) -> QuotaFinding:
    """Which quotas meet a call. Raises as `order_quotas`, and TokenError."""
    principal = None
    if question.token:
        judge = verify_personal if question.token.startswith(Mark.PERSONAL) else verify
        principal = judge(directory, sources, question.token.encode("utf-8", "replace"))
    with _opened(directory, sources) as found:
        own = found.desk.around.own_issuer
        spender = describe_spender(question, own) if principal is None else spender_of(principal)
        return found.desk.explain(found.authority.store, question, spender)


@contextmanager
def _opened(directory: DataDirectory, sources: Sources) -> Iterator[_Open]:
    os.umask(0o077)
    settings = load_settings(sources)
    config = settings.require()
    authority = open_authority(means_of(directory, settings))
    try:
        url = authority.issuer_url
        ours = Issuer(
            name=OURS, issuer=url, audiences=(url,), algorithms=("ES256",), types=(ACCESS_TOKEN_TYPE,), jwks=None
        )
        issuers = Issuers(sources, SecretAges(PrivateFiles(directory.path)), SystemClock())
        issuers.take(authority.store.issuers())
        issuers.read(settings, config.server, ours)
        routes = price_routes(compile_routes(config), config, read_price_table())
        around = surroundings_of(issuers.compile(ours, {}), frozenset(route.alias for route in routes))
        yield _Open(authority, QuotaDesk(compile_quotas(config.quotas), around, unpriced(routes)))
    finally:
        authority.close()

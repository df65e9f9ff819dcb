"""What `jotgate policy` and `jotgate token can` do when no jotgate runs on DATA; their caller holds the lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from jotgate.assembly.authority import Authority, open_authority
from jotgate.assembly.means import means_of
from jotgate.assembly.offline import verify
from jotgate.assembly.personal_offline import verify_personal
from jotgate.assembly.policies import PolicyReader
from jotgate.assembly.system import SystemClock
from jotgate.core.circumstances import Circumstances
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.compiler import compile_routes
from jotgate.core.mcp_pins import known_of
from jotgate.core.opaque import Mark
from jotgate.core.policy_orders import PolicyAnswer, PolicyFinding, PolicyOrder, PolicyQuestion, TokenQuestion
from jotgate.core.policy_values import PolicySet
from jotgate.services.policy_records import carry_out, details_of
from jotgate.services.policy_testing import CallTester, describe_principal
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Settings, Sources, load_settings


class _Open(Struct, frozen=True):
    """An open installation, what its settings say, and its policies as they were read."""

    authority: Authority
    settings: Settings
    reader: PolicyReader
    policies: PolicySet

    @property
    def tester(self) -> CallTester:
        """What tests calls."""
        tools = known_of(self.authority.store.tool_pins())
        return CallTester(self.policies, compile_routes(self.settings.require()), tools)


def order_policies(directory: DataDirectory, sources: Sources, order: PolicyOrder) -> PolicyAnswer:
    """Do what is ordered, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, KeyRefused, StoreRefused, AuditUnavailable: see `assembly.authority`.
        RecordChanged, CommandError, StoreUnavailable: see `services.policy_records.carry_out`.
    """
    with _opened(directory, sources) as found:
        authority, reader = found.authority, found.reader
        if order.action == "apply":
            authority.recorder.check()  # What cannot be recorded is not done.
        done = carry_out(authority.store, order, reader.examine, SystemClock().now_s())
        if done is not None:
            authority.recorder.record("policies.applied", actor=CLI_CLIENT_ID, details=details_of(done))
        kept = authority.store.policies()
        reader.read(found.settings, kept)
        return PolicyAnswer(reader.views(), kept.version, warnings=reader.warnings)


def try_call(directory: DataDirectory, sources: Sources, question: PolicyQuestion) -> PolicyFinding:
    """What would be decided of a call that is described. Raises as `order_policies`."""
    with _opened(directory, sources) as found:
        now_s = SystemClock().now_s() if question.at_s is None else question.at_s
        principal = describe_principal(question, found.authority.issuer_url, now_s)
        now = Circumstances(question.address, now_s)
        return found.tester.test(principal, question.operation, question.model, now)


def ask_token(directory: DataDirectory, sources: Sources, question: TokenQuestion) -> PolicyFinding:
    """What would be decided of a call with a token now. Raises as `order_policies`, and TokenError."""
    judge = verify_personal if question.token.startswith(Mark.PERSONAL) else verify
    principal = judge(directory, sources, question.token.encode("utf-8", "replace"))
    with _opened(directory, sources) as found:
        now = Circumstances(question.address, SystemClock().now_s())
        return found.tester.test(principal, question.operation, question.model, now)


@contextmanager
def _opened(directory: DataDirectory, sources: Sources) -> Iterator[_Open]:
    settings = load_settings(sources, secrets=False)
    authority = open_authority(means_of(directory, settings))
    try:
        reader = PolicyReader()
        yield _Open(authority, settings, reader, reader.read(settings, authority.store.policies()))
    finally:
        authority.close()

"""The policies of an installation: those of the settings and those of the store, read as one set."""

from collections.abc import Mapping

from jotgate.core.faults import Fault
from jotgate.core.policy_book import clashes, put_together, views_of, warn_of
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import PolicyView
from jotgate.core.policy_values import KeptPolicies, PolicySet
from jotgate.processes.console import say
from jotgate.stores.settings import Settings
from jotgate.stores.zones import find_zone, read_zones


class PolicyReader:
    """Reads them for each snapshot. Mutable: what they came to, and what was said of that."""

    def __init__(self) -> None:
        self._configured: tuple[PolicyEntry, ...] = ()
        self._kept = KeptPolicies(0, ())
        self._unreadable: frozenset[str] = frozenset()
        self._warnings: list[str] = []

    def read(self, settings: Settings, kept: KeptPolicies) -> PolicySet:
        """All of them. What cannot be read of the store denies everything, and is said. Raises ConfigurationError."""
        self._configured, self._kept = settings.require().policies, kept
        found = put_together(self._configured, settings.zones, kept, find_zone)
        before, self._unreadable = self._unreadable, frozenset(found.unreadable)
        for name in sorted(self._unreadable - before):
            say(
                f"the policy '{name}' of the store cannot be read here, so that every call is denied until it is "
                "replaced: jotgate policy apply",
                event="policy_unreadable",
                level="error",
            )
        told, self._warnings = self._warnings, warn_of(found.policies.policies)
        for warning in self._warnings:
            if warning not in told:
                say(warning)
        return found.policies

    @property
    def warnings(self) -> list[str]:
        """What the author of those that were read last should know."""
        return self._warnings

    def views(self) -> list[PolicyView]:
        """Those that were read last, for people."""
        return views_of(self._configured, self._kept, self._unreadable)

    def examine(self, entries: Mapping[str, PolicyEntry]) -> list[Fault]:
        """What is wrong with entries that are to be kept in the store, by the settings that were read last."""
        _, faults = read_zones(entries)
        return faults + clashes(entries, self._configured)

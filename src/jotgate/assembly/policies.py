"""The policies of an installation: those of the settings and those of the store, read as one set."""

from collections.abc import Mapping

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.policy_book import clashes, put_together, views_of, warn_of
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import PolicyView
from jotgate.core.policy_values import KeptPolicies, PolicySet
from jotgate.processes.console import say
from jotgate.stores.settings import Settings
from jotgate.stores.zones import find_zone, read_zones


class _Reading(Struct, frozen=True):
    """What was read, and what became of it."""

    configured: tuple[PolicyEntry, ...] = ()
    kept: KeptPolicies = KeptPolicies(0, ())
    unreadable: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    zones: Mapping[str, bytes] = {}


class PolicyReader:
    """Reads them for each snapshot. Mutable: what was read last."""

    def __init__(self) -> None:
        self._last = _Reading()

    def read(self, settings: Settings, kept: KeptPolicies) -> PolicySet:
        """All of them. What cannot be read of the store denies everything, and is said. Raises ConfigurationError."""
        configured = settings.require().policies
        found = put_together(configured, settings.zones, kept, find_zone)
        warnings = tuple(warn_of(found.policies.policies))
        before = self._last
        self._last = _Reading(configured, kept, frozenset(found.unreadable), warnings, settings.zones)
        for name in sorted(self._last.unreadable - before.unreadable):
            say(
                f"the policy '{name}' of the store cannot be read here, so that every call is denied until it is "
                "replaced: jotgate policy apply",
                event="policy_unreadable",
                level="error",
            )
        for warning in warnings:
            if warning not in before.warnings:
                say(warning)
        return found.policies

    def read_beside(self, kept: KeptPolicies) -> PolicySet:
        """A set of the store together with those of the settings, as they were read last; nothing comes of it."""
        return put_together(self._last.configured, self._last.zones, kept, find_zone).policies

    @property
    def warnings(self) -> list[str]:
        """What the author of those that were read last should know."""
        return list(self._last.warnings)

    def views(self) -> list[PolicyView]:
        """Those that were read last, for people."""
        last = self._last
        return views_of(last.configured, last.kept, last.unreadable)

    def examine(self, entries: Mapping[str, PolicyEntry]) -> list[Fault]:
        """What is wrong with entries that are to be kept in the store, by the settings that were read last."""
        _, faults = read_zones(entries)
        return faults + clashes(entries, self._last.configured)

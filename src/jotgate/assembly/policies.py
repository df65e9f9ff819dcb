"""The policies of an installation: those of the settings and those of the store, read as one set."""

from jotgate.core.policy_book import put_together
from jotgate.core.policy_values import KeptPolicies, PolicySet
from jotgate.processes.console import say
from jotgate.stores.settings import Settings
from jotgate.stores.zones import find_zone


class PolicyReader:
    """Reads them for each snapshot. Mutable: what was said of those that cannot be read."""

    def __init__(self) -> None:
        self._said: frozenset[str] = frozenset()

    def read(self, settings: Settings, kept: KeptPolicies) -> PolicySet:
        """All of them. What cannot be read of the store denies everything, and is said. Raises ConfigurationError."""
        found = put_together(settings.require().policies, settings.zones, kept, find_zone)
        unreadable = frozenset(found.unreadable)
        for name in sorted(unreadable - self._said):
            say(
                f"the policy '{name}' of the store cannot be read here, so that every call is denied until it is "
                "replaced: jotgate policy apply",
                event="policy_unreadable",
                level="error",
            )
        self._said = unreadable
        return found.policies

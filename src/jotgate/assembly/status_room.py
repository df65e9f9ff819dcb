"""Puts the Token Status Lists together: what gives tokens their places in control, and what publishes the lists."""

from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock
from jotgate.control.status_lists import status_list_route
from jotgate.core.status_lists import StatusRules
from jotgate.core.token_checks import status_rules
from jotgate.services.signing import StoredSigners
from jotgate.services.status_lists import StatusLists, StatusPlaces


class StatusRoom:
    """What control has of status lists, by the settings that are in effect. Immutable."""

    def __init__(self, keys: OpenKeys, reloader: Reloader, signers: StoredSigners) -> None:
        self._keys = keys
        self._reloader = reloader
        self._signers = signers

    @property
    def places(self) -> StatusPlaces:
        """What gives tokens their places."""
        return self._keys.authority.places(self._keys.access, self._rules)

    @property
    def route(self) -> Route:
        """Where the lists are fetched."""
        lists = StatusLists(
            self._keys.access,
            self._keys.revocations.revoked,
            issuer=self._keys.authority.issuer_url,
            sign=self._signers.sign_until,
            clock=SystemClock(),
            rules=self._rules,
        )
        return status_list_route(lists, self._check_fresh)

    def _rules(self) -> StatusRules:
        return status_rules(self._reloader.effect.config)

    def _check_fresh(self) -> None:
        self._keys.check_fresh(self._reloader.effect.config.limits.max_staleness_s)

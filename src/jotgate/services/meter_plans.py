"""Which quotas meet which calls, as control said: a worker's plans, in two generations."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final
from weakref import WeakValueDictionary

from jotgate.core.principals import Principal
from jotgate.core.quotas import Limit, Meter, Spender
from jotgate.core.spenders import spender_of
from jotgate.services.meter_chains import UNITS
from jotgate.services.meter_leases import Holding

PlanKey = tuple[Spender, str, str]
"""A spender, a model and an operation: all that control finds the quotas of a call by."""

UNKNOWN_S: Final = 0.25
"""So long it is not asked again what control could not say."""

_GENERATIONS: Final = 2


class Plan:
    """The quotas that meet a call: the holdings from which it reserves, each with its place in a tuple of amounts."""

    __slots__ = ("holdings", "key", "meters", "parts", "slotted", "units")

    def __init__(self, key: PlanKey, meters: tuple[Meter, ...], holdings: tuple[Holding, ...]) -> None:
        self.key = key
        self.meters = meters
        self.holdings = holdings
        self.units = tuple(one.unit for one in holdings)
        self.parts = tuple(zip(holdings, self.units, strict=True))
        self.slotted = UNITS["concurrent"] in self.units


class Plans:
    """The plans that are held, and the questions about others. Mutable: both.

    `near` has them by the identity of a principal that the verifier holds, with that principal, so that a known call
    finds its plan without looking at who it is.
    """

    __slots__ = (
        "_by_account",
        "_by_key",
        "_capacity",
        "_holdings",
        "_numbers",
        "_old_keys",
        "_old_near",
        "_questions",
        "_unknown",
        "near",
    )

    def __init__(self) -> None:
        self.near: dict[tuple[int, str, str], tuple[Principal, Plan]] = {}
        self._old_near: dict[tuple[int, str, str], tuple[Principal, Plan]] = {}
        self._by_key: dict[PlanKey, Plan] = {}
        self._old_keys: dict[PlanKey, Plan] = {}
        self._questions: dict[PlanKey, int] = {}
        self._numbers: dict[int, PlanKey] = {}
        self._unknown: dict[PlanKey, float] = {}
        self._holdings: WeakValueDictionary[tuple[str, Limit], Holding] = WeakValueDictionary()
        # The newest of each account: whoever looks by the account alone may miss one with another limit.
        self._by_account: WeakValueDictionary[str, Holding] = WeakValueDictionary()
        self._capacity = 1

    def limit(self, capacity: int) -> None:
        """Hold at most so many from the next one on."""
        self._capacity = max(1, capacity // _GENERATIONS)

    def find(self, principal: Principal, model: str, operation: str) -> Plan | PlanKey:
        """The plan of a call that `near` has not; the key by which control can be asked for one that is not held."""
        place = (id(principal), model, operation)
        found = self._old_near.get(place)
        if found is not None:
            self._keep_near(place, found)
            return found[1]
        key = (spender_of(principal), model, operation)
        plan = self._by_key.get(key)
        if plan is None:
            plan = self._old_keys.get(key)
            if plan is None:
                return key
            self._keep(plan)
        self._keep_near(place, (principal, plan))
        return plan

    def number(self, key: PlanKey, number: int) -> bool:
        """Note a question under a new number; False: it is put already."""
        if key in self._questions:
            return False
        self._questions[key] = number
        self._numbers[number] = key
        return True

    def answered(self, number: int, meters: Sequence[Meter] | None, now_s: float) -> PlanKey | None:
        """Take what control said; what it is about, if that was asked."""
        key = self._numbers.pop(number, None)
        if key is None:
            return None
        del self._questions[key]
        if meters is None:
            self._unknown = {one: until_s for one, until_s in self._unknown.items() if until_s > now_s}
            self._unknown[key] = now_s + UNKNOWN_S
        else:
            self._unknown.pop(key, None)
            self._keep(Plan(key, tuple(meters), tuple(map(self._hold, meters))))
        return key

    @property
    def asking(self) -> bool:
        """Whether a question is not answered."""
        return bool(self._questions)

    def is_unknown(self, key: PlanKey, now_s: float) -> bool:
        """Whether control could not say it a moment ago."""
        return now_s < self._unknown.get(key, -inf)

    def renumbered(self, first: int) -> Iterator[tuple[int, PlanKey]]:
        """All questions, under new numbers from `first` on: answers to the old ones are not taken any more."""
        keys = tuple(self._questions)
        self._questions.clear()
        self._numbers.clear()
        for number, key in enumerate(keys, first):
            self.number(key, number)
            yield number, key

    def forget(self) -> None:
        """Hold none: they may be out of date."""
        self.near, self._old_near, self._by_key, self._old_keys = {}, {}, {}, {}
        self._unknown.clear()

    def held(self, accounts: Iterable[str]) -> list[Holding]:
        """What is held of those of these accounts that are known here."""
        return [found for one in accounts if (found := self._by_account.get(one)) is not None]

    def _hold(self, meter: Meter) -> Holding:
        """The holding of an account. Quotas that count alike and differ in their limits do not share what they hold."""
        place = (meter.key, meter.quota.limit)
        found = self._holdings.get(place)
        if found is None:
            found = self._holdings[place] = Holding(meter)
            self._by_account[meter.key] = found
        return found

    def _keep(self, plan: Plan) -> None:
        if len(self._by_key) >= self._capacity:
            self._old_keys, self._by_key = self._by_key, {}
        self._by_key[plan.key] = plan

    def _keep_near(self, place: tuple[int, str, str], found: tuple[Principal, Plan]) -> None:
        if len(self.near) >= self._capacity:
            self._old_near, self.near = self.near, {}
        self.near[place] = found

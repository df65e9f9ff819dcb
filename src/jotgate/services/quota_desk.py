"""Sets, shows and resets the quotas of holders, and finds those that meet a call, in the store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.ledger import AHEAD_SHARE
from jotgate.core.limit_records import LimitRecord
from jotgate.core.limit_texts import check_zones, read_limits, write_limit
from jotgate.core.meters import meter_of
from jotgate.core.plans import find_plan
from jotgate.core.quota_orders import (
    HolderView,
    QuotaAnswer,
    QuotaFinding,
    QuotaOrder,
    QuotaQuestion,
    QuotaView,
    RuleView,
    Source,
)
from jotgate.core.quota_rules import QuotaRule, rule_meters, rules_per
from jotgate.core.quota_warnings import unpriced, warn_of_limits
from jotgate.core.quotas import Level, Limit, Meter, Quota, Spender
from jotgate.core.revocations import ancestor_handle, token_handle
from jotgate.core.snapshot import Snapshot
from jotgate.core.spenders import Surroundings, Trait, limits_subject, spending_of, surroundings_of, token_meters
from jotgate.errors import CommandError, RecordChanged
from jotgate.store_ports import Store

PAGE: Final = 256
"""So many holders are told of at once."""
_DAILY: Final = Limit("requests", 0, "day")
_NAMED_BY: Final[Mapping[Level, Trait]] = {
    "principal": "subjects", "client": "clients", "tenant": "tenants", "route": "routes", "model": "models",
}  # fmt: skip
"""By which member rules name holders of a level."""


class QuotaChange(Struct, frozen=True):
    """What an order has changed: an event of the audit log, and its details."""

    event: str
    details: Mapping[str, str | int]


class QuotaDesk(Struct, frozen=True):
    """Carries out orders by the rules of a snapshot, and what is the same for all callers.

    `unpriced` are the models whose price nobody knows (`core.quota_warnings`).
    """

    rules: tuple[QuotaRule, ...]
    around: Surroundings
    unpriced: tuple[str, ...] = ()

    def carry_out(self, store: Store, order: QuotaOrder, now_s: float) -> tuple[QuotaAnswer, QuotaChange | None]:
        """Do what is ordered, and say how it is now; and what has changed by it, if anything.

        Raises:
            CommandError: there is no such holder or limit.
            RecordChanged: the limits are of another version, or somebody changed them meanwhile.
            StoreUnavailable: the store does not answer.
        """
        if order.level is None:
            if order.action != "show":
                raise CommandError("the command names nobody whose quotas are meant", hint="Name a level and a name")
            return self._show_all(store, order.after), None
        if not order.name or not order.name.isprintable():
            raise CommandError(f"the command names no {order.level}", hint=f"Give the {order.level} a plain name")
        change = None
        if order.action == "set":
            change = self._set(store, order, order.level, int(now_s))
        elif order.action == "reset":
            change = self._reset(store, order, order.level)
        return QuotaAnswer(holders=[self._show(store, order.level, order.name)]), change

    def explain(self, store: Store, question: QuotaQuestion, spender: Spender) -> QuotaFinding:
        """The quotas that meet a call of somebody. Raises StoreUnavailable."""
        spending = spending_of(spender, question.model, question.operation, self.around)
        held = {(one.level, one.holder): one.limits for one in store.limits_of(spending.levels)}
        sources: dict[tuple[str, str], Source] = {}
        for meter in rule_meters(self.rules, spending):
            sources[meter.key, meter.quota.name] = "rule"
        for meter in token_meters(spender):
            sources[meter.key, meter.quota.name] = "token"
        stored = {
            meter_of(Quota("", limit, (level,)), (handle,)).key
            for (level, handle), limits in held.items()
            for limit in limits
        }

        def source_of(meter: Meter) -> Source:
            found = sources.get((meter.key, meter.quota.name))
            return found or ("store" if meter.key in stored else "profile")

        plan = find_plan(spender, spending, self.rules, held)
        views = _stand(store, [(meter, source_of(meter)) for meter in plan])
        return QuotaFinding(
            subject=spender.subject,
            operation=question.operation,
            model=question.model,
            quotas=views,
            refused_by=[one.quota for one in views if one.left <= 0],
        )

    def handle_of(self, level: Level, name: str) -> str:
        """How calls of a holder call it, by its name: principals and clients are those of this installation."""
        own = self.around.own_issuer
        if level == "token":
            return ancestor_handle(own, name)
        return token_handle(own, name) if level in ("principal", "client") else name

    def _name_of(self, record: LimitRecord) -> str:
        return record.title or record.holder.removeprefix(f"{self.around.own_issuer} ")

    def _set(self, store: Store, order: QuotaOrder, level: Level, now_s: int) -> QuotaChange | None:
        limits = read_limits(order.limits)
        check_zones(limits, store.knows_zone)
        handle = self.handle_of(level, order.name)
        before = _record(store, level, handle)
        if order.version is not None and order.version != before.version:
            raise _changed(level)
        if before.limits == limits:
            return None
        created_at_s = before.created_at_s or now_s
        after = replace(before, title=order.name, limits=limits, created_at_s=created_at_s, updated_at_s=now_s)
        if store.put_limits(after) is None:
            raise _changed(level)
        told = ", ".join(map(write_limit, limits))
        return QuotaChange("quota.set", {"level": level, "name": order.name, "limits": told})

    def _reset(self, store: Store, order: QuotaOrder, level: Level) -> QuotaChange:
        handle = self.handle_of(level, order.name)
        meters = [meter for meter, _ in self._meters(level, order.name, _record(store, level, handle))]
        if not meters:
            raise CommandError(
                f"no quota counts by this {level} alone, so there is nothing to reset",
                hint=f"See what there is: jotgate quota show {level} NAME",
            )
        spent = [f"{one.quota.name}: {store.reset_balance(one).posted}" for one in meters]
        return QuotaChange("quota.reset", {"level": level, "name": order.name, "spent": ", ".join(spent)})

    def _show(self, store: Store, level: Level, name: str) -> HolderView:
        record = _record(store, level, self.handle_of(level, name))
        return HolderView(
            level=level,
            name=name,
            limits=[write_limit(limit) for limit in record.limits],
            version=record.version,
            updated_at_s=record.updated_at_s,
            quotas=_stand(store, self._meters(level, name, record)),
            warnings=warn_of_limits(level, name, record.limits, self.around.aliases, self.unpriced),
        )

    def _show_all(self, store: Store, after: tuple[Level | Literal[""], str]) -> QuotaAnswer:
        level, name = after
        found = store.limits(("", "") if level == "" else (level, self.handle_of(level, name)), PAGE + 1)
        holders = [
            HolderView(
                level=one.level,
                name=self._name_of(one),
                limits=[write_limit(limit) for limit in one.limits],
                version=one.version,
                updated_at_s=one.updated_at_s,
            )
            for one in found[:PAGE]
        ]
        last = found[PAGE - 1] if len(found) > PAGE else None
        return QuotaAnswer(
            holders=holders,
            rules=[
                RuleView(name=one.quota.name, limit=write_limit(one.quota.limit), per=one.quota.per)
                for one in self.rules
            ],
            after=None if last is None else (last.level, self._name_of(last)),
        )

    def _meters(self, level: Level, name: str, record: LimitRecord) -> Sequence[tuple[Meter, Source]]:
        """All that counts by this holder alone, and where it comes from."""
        holders = (record.holder,)
        stored = [Quota(f"{level} {write_limit(limit)}", limit, (level,)) for limit in record.limits]
        ruled = [rule.quota for rule in rules_per(self.rules, level, _NAMED_BY.get(level), name)]
        sources: tuple[tuple[Source, list[Quota]], ...] = (("store", stored), ("rule", ruled))
        found: dict[str, tuple[Meter, Source]] = {}
        for source, quotas in sources:
            for quota in quotas:
                meter = meter_of(quota, holders)
                other = found.get(meter.key)
                if other is None or quota.limit.amount < other[0].quota.limit.amount:
                    found[meter.key] = (meter, source)
        daily = self.around.daily.get(name.partition("/")[0]) if level == "principal" and "/" in name else None
        if daily is not None and not any(limits_subject(meter, holders) for meter, _ in found.values()):
            meter = meter_of(Quota("subject", replace(_DAILY, amount=daily), (level,)), holders)
            found[meter.key] = (meter, "profile")
        return tuple(found.values())


def open_quota_desk(snapshot: Snapshot) -> QuotaDesk:
    """The desk that goes by a snapshot."""
    around = surroundings_of(snapshot.all_issuers, snapshot.all_aliases)
    return QuotaDesk(snapshot.quotas, around, unpriced(snapshot.routes))


def describe_spender(question: QuotaQuestion, own_issuer: str) -> Spender:
    """The caller that a question describes, with a token that brings no limits. Raises CommandError: it names none."""
    if not question.subject:
        raise CommandError("the question names nobody who calls", hint="Name a subject, or give a token")
    return Spender(
        issuer=question.issuer or own_issuer,
        subject=question.subject,
        client_id=question.client_id,
        tenant=question.tenant,
        token="",
        roles=question.roles,
    )


def _stand(store: Store, meters: Iterable[tuple[Meter, Source]]) -> list[QuotaView]:
    """How accounts stand, in the order of their meters."""
    chosen = list(meters)
    balances = store.balances([meter for meter, _ in chosen])
    views = []
    for (meter, source), balance in zip(chosen, balances, strict=True):
        quota = meter.quota
        views.append(
            QuotaView(
                quota=quota.name,
                source=source,
                limit=write_limit(quota.limit),
                unit=quota.limit.unit,
                per=quota.per,
                amount=quota.limit.amount,
                spent=balance.posted,
                leased=balance.leased,
                left=balance.left,
                debt=balance.debt,
                lost=balance.lost,
                window_s=balance.window_s,
                ends_at_s=balance.ends_at_s,
                ahead=max(1, balance.left // AHEAD_SHARE),
            )
        )
    return views


def _record(store: Store, level: Level, handle: str) -> LimitRecord:
    """The limits that are kept for a holder; of version 0 when there are none."""
    found = store.limits_of([(level, handle)])
    return found[0] if found else LimitRecord(level=level, holder=handle)


def _changed(level: Level) -> RecordChanged:
    return RecordChanged(
        f"the limits of this {level} were changed by somebody else meanwhile",
        hint="Look at them with: jotgate quota show",
    )

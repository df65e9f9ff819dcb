"""Carries out what an operator orders about Kong: the same with a running control and without.

What takes long goes on when the one who ordered it has been told so, one thing at a time; who asks again is told how it
goes. What is done is recorded in the audit log.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.kong_aims import KongAims
from jotgate.core.kong_credentials import LIVING, KongCredential
from jotgate.core.kong_deck import write_deck
from jotgate.core.kong_orders import (
    IDS_MAX,
    SHOWN_MAX,
    ChangeView,
    KongDocument,
    KongExport,
    KongOrder,
    KongReport,
    view_migration,
    view_plan,
    view_token,
)
from jotgate.errors import CommandError, KongRefused, KongUnavailable
from jotgate.jose.encoding import b64url_encode
from jotgate.outward_store_ports import KongLedger
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services.kong_applying import Applied, Applying
from jotgate.services.kong_delivery import KongDelivery
from jotgate.services.kong_reconciler import KongReconciler
from jotgate.services.recorder import Recorder

PATIENCE_S: Final = 5.0
"""So long is waited for what was ordered, before it is told that it goes on."""
_LIST_PAGE: Final = 200
_FILLER_BYTES: Final = 32


class KongMeans(Struct, frozen=True):
    """What orders are carried out with; `aims` is what the settings in effect want of Kong, None: there is none."""

    aims: Callable[[], KongAims | None]
    access: StoreAccess
    recorder: Recorder
    clock: Clock
    entropy: Entropy


class KongDesk:
    """Takes orders. Mutable: what is under way, how far it is, and what came of the last.

    `patience_s` None: whatever is ordered is waited for.
    """

    def __init__(
        self,
        means: KongMeans,
        reconciler: KongReconciler,
        delivery: KongDelivery,
        *,
        patience_s: float | None = PATIENCE_S,
    ) -> None:
        self._means = means
        self._reconciler = reconciler
        self._delivery = delivery
        self._patience_s = patience_s
        self._task: asyncio.Task[KongReport] | None = None
        self._applying: Applying | None = None

    async def carry_out(self, order: KongOrder, actor: str = CLI_CLIENT_ID) -> KongReport:
        """Do what `actor` orders, and say how things are then.

        Raises:
            CommandError: no Kong is configured, or something else goes on there.
            KongUnavailable, KongRefused: Kong cannot be read.
            StoreUnavailable, DirectoryRefused, AuditUnavailable: nothing more is done.
        """
        aims = self._required()
        match order.action:
            case "plan":
                return view_plan(aims.place.url, await self._reconciler.plan(aims))
            case "plan-migration":
                return view_migration(aims.place.url, await self._reconciler.migration(aims))
            case "apply":
                return await self._begin(self._apply(aims, actor, prune=order.prune))
            case "migrate":
                return await self._begin(self._migrate(aims, actor))
            case "watch":
                return await self._watch(aims)
            case "list":
                return await self._list(aims, order.after)
        return await self._revoke(aims, order.ids, actor)

    async def export(self, order: KongExport, actor: str = CLI_CLIENT_ID) -> KongDocument:
        """What Kong is to have, as a file of decK. Raises as `carry_out`."""
        aims = self._required()
        wanted = await self._reconciler.wanted()
        text = write_deck(aims, wanted, self._fill, secrets=order.secrets)
        told = [one for one in wanted.credentials if order.secrets or one.secret is None]
        details = {"credentials": len(told), "secrets": "yes" if order.secrets else "no"}
        self._means.recorder.record("kong.exported", actor=actor, details=details)
        return KongDocument(text, len(wanted.consumers), len(told))

    async def reconcile(self) -> None:
        """Bring consumers and credentials to what the store says, unless something is under way; plugins stay."""
        aims = self._means.aims()
        if aims is None or self._is_busy():
            return
        self._task = asyncio.get_running_loop().create_task(self._apply(aims, "control", prune=False, plugins=False))
        await self._task

    async def settle(self) -> None:
        """Give up what is under way; the next plan finds what is left."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _required(self) -> KongAims:
        aims = self._means.aims()
        if aims is None:
            raise CommandError(
                "no Kong is configured", hint="Write kong.admin_url, or use --preset kong-auth (docs/kong.md)"
            )
        return aims

    def _fill(self) -> str:
        return b64url_encode(self._means.entropy.random_bytes(_FILLER_BYTES)).decode("ascii")

    def _is_busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _begin(self, work: Coroutine[None, None, KongReport]) -> KongReport:
        """Begin it as soon as what goes on is done, unless that takes too long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._patience_s)
        if self._is_busy():
            work.close()
            raise CommandError("something is being done at Kong already", hint="Wait for it, and then run this again")
        self._applying = None
        self._task = asyncio.get_running_loop().create_task(work)
        return await self._watch(self._required())

    async def _watch(self, aims: KongAims) -> KongReport:
        """How it goes; of what is done, what came of it. Raises what it ended with."""
        if self._task is None:
            raise CommandError(
                "control was started again meanwhile, and nothing is being done at Kong",
                hint="Run this again: it goes on with what is left",
            )
        await asyncio.wait([self._task], timeout=self._patience_s)
        if self._task.done():
            return self._task.result()
        applying = self._applying
        total, tried = (0, 0) if applying is None else (applying.total, applying.tried)
        return KongReport(url=aims.place.url, running=True, total=total, done=tried)

    async def _apply(self, aims: KongAims, actor: str, *, prune: bool, plugins: bool = True) -> KongReport:
        plan = await self._reconciler.plan(aims, plugins=plugins)
        self._means.recorder.check()
        applied = await self._reconciler.apply(plan, self._begun, prune=prune)
        self._record("kong.applied", actor, applied)
        return _outcome(view_plan(aims.place.url, plan), applied, strangers=0 if prune else len(plan.strangers))

    async def _migrate(self, aims: KongAims, actor: str) -> KongReport:
        migration = await self._reconciler.migration(aims)
        self._means.recorder.check()
        applied = await self._reconciler.migrate(migration, self._begun)
        self._record("kong.migrated", actor, applied)
        return _outcome(view_migration(aims.place.url, migration), applied, strangers=0)

    def _begun(self, applying: Applying) -> None:
        self._applying = applying

    def _record(self, event: str, actor: str, applied: Applied) -> None:
        """Nothing is said of a run that changed nothing."""
        if not applied.done and not applied.failed:
            return
        made = {
            f"{verb}d": sum(1 for one in applied.done if one.verb == verb) for verb in ("create", "update", "delete")
        }
        details: dict[str, str | int] = {**made, "failed": len(applied.failed), "left": applied.left}
        self._means.recorder.record(event, actor=actor, details=details)

    async def _list(self, aims: KongAims, after: str) -> KongReport:
        page = await self._means.access.run(partial(_read_page, after))
        return KongReport(
            url=aims.place.url,
            tokens=[view_token(one) for one in page],
            after=page[-1].credential_id if len(page) == _LIST_PAGE else "",
        )

    async def _revoke(self, aims: KongAims, ids: tuple[str, ...], actor: str) -> KongReport:
        """Have tokens not count any more: in the store now, and at Kong at once or as soon as it answers."""
        if not 0 < len(ids) <= IDS_MAX:
            raise CommandError(f"1 to {IDS_MAX} tokens are revoked at once", hint="'jotgate kong list' shows their ids")
        rows = await self._means.access.run(lambda store: [store.kong_credential(one) for one in ids])
        living = [one for one in rows if one is not None and one.state in LIVING]
        if missing := set(ids) - {one.credential_id for one in living}:
            raise CommandError(
                f"there is no living token '{min(missing)}' for Kong", hint="'jotgate kong list' shows their ids"
            )
        self._means.recorder.check()
        now_s = int(self._means.clock.now_s())
        await self._means.access.run(lambda store: store.unwant_credentials(ids, now_s))
        for one in living:
            details = {"consumer": one.consumer, "token_name": one.token_name, "credential": one.credential_id}
            self._means.recorder.record("kong.token_revoked", actor=actor, subject=one.consumer, details=details)
        notes = await self._deliver()
        left = await self._means.access.run(lambda store: [store.kong_credential(one) for one in ids])
        waiting = [one for one in left if one is not None and one.state == "unwanted"]
        return KongReport(
            url=aims.place.url, total=len(ids), done=len(ids) - len(waiting), left=len(waiting), notes=notes
        )

    async def _deliver(self) -> list[str]:
        """Tell Kong what it is to be rid of; why that has to wait, if it has."""
        try:
            while await self._delivery.deliver():
                pass
        except (KongUnavailable, KongRefused) as fault:
            return [f"{fault.message}; it is told as soon as it answers"]
        return []


def _outcome(report: KongReport, applied: Applied, *, strangers: int) -> KongReport:
    failed = [
        ChangeView(one.change.verb, one.change.what, one.change.name, one.change.why, one.fault.message)
        for one in applied.failed[:SHOWN_MAX]
    ]
    total = len(applied.done) + len(applied.failed) + applied.left
    return replace(report, failed=failed, done=len(applied.done), left=applied.left, total=total, strangers=strangers)


def _read_page(after: str, store: KongLedger) -> list[KongCredential]:
    return list(store.credential_page(after, _LIST_PAGE))

"""Brings Kong to what the store and the settings say: reads both, makes a plan, does it, and notes what is gone.

Kong is read before the store is: a credential that is there has its row already, so none is taken for a stranger. A
token that is deleted while its credential is put there anew is found afterwards, and its credential deleted.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.kong_aims import KongAims
from jotgate.core.kong_credentials import IN_FLIGHT_S, LIVING, CredentialState, KongCredential
from jotgate.core.kong_migration import KongMigration, make_migration
from jotgate.core.kong_plan import KongPlan, WantedCredential, WantedKong, delete_credential, make_plan
from jotgate.outward_store_ports import KongLedger
from jotgate.ports import Clock, KongAdmin, Seals, StoreAccess
from jotgate.services.kong_applying import Applied, Applying
from jotgate.services.kong_reading import PatientAdmin, Pause, read_kong, read_migration

PAGE: Final = 1_000
"""So many rows are read of the store at one go."""
_STRANGERS_MAX: Final = 10_000


class Reconciled(Struct, frozen=True):
    """What was planned, and what came of it."""

    plan: KongPlan
    applied: Applied


class KongReconciler:
    """Immutable. Secrets of symmetric credentials are opened to be compared and sent, and nowhere kept."""

    def __init__(self, admin: KongAdmin, access: StoreAccess, seals: Seals, clock: Clock, pause: Pause) -> None:
        self._admin = PatientAdmin(admin, pause)
        self._access = access
        self._seals = seals
        self._clock = clock

    async def plan(self, aims: KongAims, *, plugins: bool = True) -> KongPlan:
        """What is to be done at Kong; nothing is changed there or here. Without `plugins` those are left alone.

        Raises:
            KongUnavailable, KongRefused: Kong cannot be read.
            StoreUnavailable, DirectoryRefused: the store cannot be, or not a secret in it.
        """
        found = await read_kong(self._admin, aims)
        plan = make_plan(aims, await self.wanted(), found, plugins=plugins)
        return await self._with_ghosts(plan)

    async def apply(self, plan: KongPlan, begun: Callable[[Applying], None], *, prune: bool = False) -> Applied:
        """Do it; `begun` is told how far it comes. With `prune`, credentials that no store knows are deleted too.

        What Kong refuses, or does not answer, is among what comes of it.

        Raises:
            StoreUnavailable: what was done is done, and is found again by the next plan.
        """
        applying = Applying(self._admin, (*plan.changes, *(plan.strangers if prune else ())))
        begun(applying)
        # Before Kong is rid of it: whoever is minting it still must not hand it out then.
        ending = [one.credential_id for one in plan.changes if one.verb == "delete" and one.credential_id]
        await self._move(ending, _unwant)
        applied = await applying.run()
        rid = [one.credential_id for one in applied.done if one.verb == "delete" and one.what == "credential"]
        await self._move(rid, _forsake)
        return await self._undo_late(applied)

    async def wanted(self) -> WantedKong:
        """What the store wants of Kong. Raises StoreUnavailable, DirectoryRefused."""
        rows = await self.rows()
        held = [one for one in rows if one.state is CredentialState.HELD]
        late_s = self._clock.now_s() - IN_FLIGHT_S
        cut_short = {one.credential_id for one in rows if _is_cut_short(one, late_s)}
        unwanted = {one.credential_id for one in rows if one.state is CredentialState.UNWANTED}
        return WantedKong(
            consumers={one.consumer: one.subject for one in held},
            credentials=[self._open(one) for one in held],
            unwanted=frozenset(unwanted | cut_short),
            in_flight=frozenset(one.credential_id for one in rows if one.state in LIVING) - cut_short,
        )

    async def rows(self) -> list[KongCredential]:
        """The rows of all credentials that are not gone. Raises StoreUnavailable."""
        found: list[KongCredential] = []
        while True:
            after = found[-1].credential_id if found else ""
            page = await self._access.run(partial(_read_page, after))
            found += page
            if len(page) < PAGE:
                return found

    async def migration(self, aims: KongAims) -> KongMigration:
        """What is to be done to take over what an older service made. Raises KongUnavailable, KongRefused."""
        return make_migration(aims, await read_migration(self._admin, aims))

    async def migrate(self, migration: KongMigration, begun: Callable[[Applying], None]) -> Applied:
        """Do it: the plugin, and when that is right the consumers."""
        applying = Applying(self._admin, migration.changes)
        begun(applying)
        return await applying.run()

    def _open(self, row: KongCredential) -> WantedCredential:
        return WantedCredential(
            credential_id=row.credential_id,
            key=row.key,
            consumer=row.consumer,
            algorithm=row.algorithm,
            public_key_pem=row.public_key_pem,
            secret=None if row.sealed is None else self._seals.open(row.sealed, row.context),
            name=row.token_name,
        )

    async def _with_ghosts(self, plan: KongPlan) -> KongPlan:
        """The plan with credentials deleted that Kong was rid of once, and has again: their rows are gone, not lost."""
        if not plan.strangers or len(plan.strangers) > _STRANGERS_MAX:
            return plan
        ids = [one.credential_id for one in plan.strangers]
        known = await self._access.run(partial(_known, ids))
        ghosts = [replace(one, phase=0) for one in plan.strangers if one.credential_id in known]
        return replace(
            plan,
            changes=(*ghosts, *plan.changes),
            strangers=tuple(one for one in plan.strangers if one.credential_id not in known),
        )

    async def _move(self, ids: Sequence[str], step: Callable[[Sequence[str], int, KongLedger], None]) -> None:
        """Say in the store what has become of these."""
        now_s = int(self._clock.now_s())
        for start in range(0, len(ids), PAGE):
            await self._access.run(partial(step, ids[start : start + PAGE], now_s))

    async def _undo_late(self, applied: Applied) -> Applied:
        """Delete what was put to Kong and has been unwanted meanwhile."""
        put = {one.credential_id for one in applied.done if one.what == "credential" and one.verb != "delete"}
        if not put:
            return applied
        living = {one.credential_id for one in await self.rows() if one.state in LIVING}
        late = [delete_credential(one) for one in sorted(put - living)]
        if not late:
            return applied
        undone = await Applying(self._admin, late).run()
        await self._move([one.credential_id for one in undone.done], _forsake)
        return replace(applied, done=(*applied.done, *undone.done), failed=(*applied.failed, *undone.failed))


def _is_cut_short(row: KongCredential, late_s: float) -> bool:
    return row.state is CredentialState.WANTED and row.changed_at_s < late_s


def _read_page(after: str, store: KongLedger) -> Sequence[KongCredential]:
    return store.credential_page(after, PAGE)


def _known(ids: Iterable[str], store: KongLedger) -> frozenset[str]:
    return frozenset(one for one in ids if store.kong_credential(one) is not None)


def _unwant(ids: Sequence[str], now_s: int, store: KongLedger) -> None:
    store.unwant_credentials(ids, now_s)


def _forsake(ids: Sequence[str], now_s: int, store: KongLedger) -> None:
    store.forsake_credentials(ids, now_s)

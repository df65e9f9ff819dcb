"""A stage for tests of what jotgate does at Kong: a store with credentials, Kong's stand-in, and what goes between."""

import asyncio
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from jotgate.core.config import Config
from jotgate.core.config_reader import parse
from jotgate.core.kong_admin import Method, ask, check
from jotgate.core.kong_aims import KongAims, compile_kong
from jotgate.core.kong_credentials import CredentialState, KongConsumer, KongCredential, TakenAs
from jotgate.core.values import Secret
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.planes.kong.admin import KongWeb
from jotgate.services.kong_applying import Applied, Applying
from jotgate.services.kong_delivery import KongDelivery
from jotgate.services.kong_gate import AdminGate
from jotgate.services.kong_reconciler import KongReconciler
from jotgate.stores.access import DirectAccess
from jotgate.stores.files import PrivateFiles
from jotgate.stores.memory import MemoryStore
from jotgate.testing.kong import Kong
from jotgate.testing.kong_values import Row
from jotgate.testing.ports import ManualClock

MASTER: Final = Secret("0123456789abcdef" * 4)
TAG: Final = "jotgate"


def config_of(admin_url: str, **settings: object) -> Config:
    """Settings with a `[kong]`."""
    return parse({"kong": {"admin_url": admin_url, **settings}})


def aims_of(config: Config, token: Secret | None = None) -> KongAims:
    """What settings want of Kong."""
    aims = compile_kong(config, token, "")
    assert aims is not None
    return aims


class KongStage:
    """One installation before one Kong. Mutable: what the settings want, and how long was waited."""

    def __init__(self, kong: Kong, store: MemoryStore | None = None) -> None:
        self.kong = kong
        self.store = store or MemoryStore()
        self.clock = ManualClock()
        self.aims = aims_of(config_of(kong.admin_url, timeout="1s"))
        self.paused: list[float] = []
        self.seals = TextSeals(MASTER, PrivateFiles(Path("/nowhere")))
        self.web = KongWeb(lambda: self.aims.place)
        access = DirectAccess(self.store)
        self.gate = AdminGate(self.web, lambda: self.aims)
        self.delivery = KongDelivery(self.gate, access, self.clock)
        self.reconciler = KongReconciler(self.web, access, self.seals, self.clock, self.pause)
        self.applying: Applying | None = None

    async def pause(self, span_s: float) -> None:
        """Wait, in the time of the stage."""
        self.paused.append(span_s)
        await asyncio.sleep(0)

    def settle(self, **settings: object) -> None:
        """Have other settings."""
        self.aims = aims_of(config_of(self.kong.admin_url, **{"timeout": "1s", **settings}))

    def want(self, owner: str, name: str, **changed: object) -> KongCredential:
        """A credential in the store, of which Kong knows nothing; it is held unless something else is said."""
        row = make_row(owner, name, int(self.clock.now_s()), **changed)
        sealed = self.seals.seal(secret_of(row), row.context) if row.public_key_pem is None else None
        row = replace(row, sealed=sealed)
        assert self.store.take_credential(row, 100_000) is TakenAs.WANTED
        if row.state is CredentialState.HELD:
            self.store.hold_credentials([row.credential_id], row.changed_at_s)
        return row

    async def mint(self, owner: str, name: str) -> KongCredential:
        """A credential that goes its whole way: said in the store, put to Kong, held."""
        placed = await self.gate.put_consumer(KongConsumer(owner, f"sub of {owner}"))
        row = self.want(owner, name, state=CredentialState.WANTED, consumer_id=placed.consumer_id)
        await self.gate.put_credential(row, secret_of(row))
        self.store.hold_credentials([row.credential_id], row.changed_at_s)
        return row

    async def apply(self, *, prune: bool = False, plugins: bool = True) -> Applied:
        """Plan and apply."""
        plan = await self.reconciler.plan(self.aims, plugins=plugins)
        return await self.reconciler.apply(plan, self.begun, prune=prune)

    def begun(self, applying: Applying) -> None:
        """Remember what is being applied."""
        self.applying = applying

    async def differences(self) -> list[str]:
        """What would be done now."""
        plan = await self.reconciler.plan(self.aims)
        return [f"{one.verb} {one.what} {one.name} {one.why}".rstrip() for one in plan.changes]

    def asked_since(self, start: int) -> Callable[[str], int]:
        """How many requests of a method Kong was asked from this place on; of all but GET: ``."""
        asks = self.kong.asks[start:]
        return lambda method: sum(1 for one in asks if (one.method == method if method else one.method != "GET"))

    async def meddle(self, method: Method, path: str, **members: object) -> None:
        """Change something at Kong, as somebody else does."""
        check(await self.web.ask(ask(method, path, members or None)))

    def at_kong(self, entity: str) -> Mapping[str, Row]:
        """What Kong has, by id."""
        return {row["id"]: row for row in self.kong.store.rows(entity)}


def make_row(owner: str, name: str, now_s: int, **changed: object) -> KongCredential:
    """A row as a mint makes it."""
    made = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{owner} {name}"))
    row = KongCredential(
        credential_id=made,
        key=f"key-of-{made}",
        consumer=owner,
        consumer_id="",
        subject=f"sub of {owner}",
        token_name=name,
        algorithm="HS256",
        public_key_pem=None,
        sealed=None,
        created_at_s=now_s,
        expires_at_s=now_s + 31_000_000,
        state=CredentialState.HELD,
        changed_at_s=now_s,
    )
    return replace(row, **changed)


def secret_of(row: KongCredential) -> Secret:
    """The secret of a symmetric credential as Kong has it."""
    return Secret(b64encode(row.credential_id[:32].encode()).decode())


@asynccontextmanager
async def kong_stage() -> AsyncIterator[KongStage]:
    """A stage with an empty Kong."""
    async with Kong() as kong:
        stage = KongStage(kong)
        try:
            yield stage
        finally:
            await stage.web.close()

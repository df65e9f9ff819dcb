"""The admin API over a store, asked over HTTP without a network; who may ask; what it tells the audit log."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from httpx2 import Response
from msgspec.structs import replace
from starlette.testclient import TestClient

from jotgate.assembly.issuers import look_at
from jotgate.control.admin.accounts import Office
from jotgate.control.admin.application import Admission
from jotgate.control.admin.mounting import open_admin
from jotgate.control.admin.replays import Replays
from jotgate.control.admin.trust import TrustOffice
from jotgate.control.public import build_public
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.config import KeysEntry, Server
from jotgate.core.durable import Issuance, IssuerRecord
from jotgate.core.faults import Fault
from jotgate.core.issuer_book import Book, faults_of, put_together
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.key_checks import key_rules
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.key_set import publish
from jotgate.core.resources import admin_resource
from jotgate.core.well_known import PROTECTED_RESOURCE, well_known_url
from jotgate.gateway.world import build_verifier
from jotgate.services.issuer_records import carry_out, details_of
from jotgate.services.key_desk import KeyDesk
from jotgate.services.keyring import Keyring
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.revocation import PAGE, RevokedSet
from jotgate.services.token_desk import Installation, OwnName
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, NOW_S, issuer_of, make_issuer
from tests.parts import MemoryParts
from tests.policy_stage import PolicyStage
from tests.quota_stage import QuotaStage
from tests.token_stage import Chance, EventLog

AUDIENCE: Final = admin_resource(NAME)
_API: Final = "/admin/api"


class _Keys:
    """Orders about keys, as a control process without workers carries them out."""

    def __init__(self, store: Store, clock: ManualClock, recorder: Recorder) -> None:
        self._store, self._clock, self._recorder = store, clock, recorder
        self._parts = MemoryParts()
        self._rules = key_rules(KeysEntry())
        Keyring(store, self._parts, clock).open("ES256")

    async def carry_out(self, order: KeyOrder, actor: str, details: Mapping[str, str]) -> KeyAnswer:
        desk = KeyDesk(self._store, self._parts, self._clock, self._rules, issuer=NAME, alone=True)
        done = desk.carry_out(order)
        for event in done.events:
            self._recorder.record(event.name, actor=actor, details={"kid": event.kid, **details})
        return KeyAnswer(desk.views(), kid=done.kid, text=done.text)


class _Issuers:
    """Orders about issuers, as a control process carries them out. The configuration has none."""

    def __init__(self, store: Store, clock: ManualClock, recorder: Recorder, keys: TestIssuer) -> None:
        self._store, self._clock, self._recorder = store, clock, recorder
        self._ours = issuer_of(keys)

    def _book(self, *further: IssuerRecord) -> Book:
        names = {one.name for one in further}
        records = [*(one for one in self._store.issuers() if one.name not in names), *further]
        return put_together(self._ours, (), [look_at(one, {}, Server()) for one in records])

    def _examine(self, record: IssuerRecord) -> list[Fault]:
        return [fault for state in self._book(record).states[-1:] for fault in faults_of(state)]

    async def carry_out(self, order: IssuerOrder, actor: str, details: Mapping[str, str]) -> IssuerAnswer:
        done = carry_out(self._store, order, self._examine, self._clock.now_s())
        if done is not None:
            self._recorder.record(done.event, actor=actor, details={**details_of(done), **details})
        return IssuerAnswer(list(self._book().states), running=True)


class AdminStage:
    """The admin API of `https://gate.example`, at the time of a `ManualClock`. `faults` are of what names lead to.

    `looked` is the version of the accounts that were put into effect last.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store: Store = store or MemoryStore()
        self.clock = ManualClock(NOW_S)
        self.log = EventLog()
        self.keys = make_issuer()
        self.revoked = RevokedSet()
        self.faults: dict[str, str] = {}
        self.looked = 0
        own = issuer_of(self.keys)
        self._verifier = build_verifier((replace(own, audiences=(AUDIENCE,)),), 2, revoked=self.revoked)
        access, recorder = DirectAccess(self.store), Recorder(self.log, self.clock)
        here = Installation(OwnName(NAME, shared=False), self.revoked, list)
        office = Office(NAME, access, recorder, self.clock, Chance(), self._look, here)
        trust = TrustOffice(
            _Keys(self.store, self.clock, recorder),
            _Issuers(self.store, self.clock, recorder, self.keys),
            access,
            self._look_up,
        )
        self.policies = PolicyStage(self.store, self.clock, recorder)
        self.quotas = QuotaStage(self.store, self.clock, recorder)
        admission = Admission(
            lambda token: self._verifier.verify(token, self.clock.now_s()),
            access,
            recorder,
            Replays(access, self.clock),
            well_known_url(AUDIENCE, PROTECTED_RESOURCE),
            RefusalLog(recorder, self.clock, "admin.refused"),
        )
        self.application = build_public(
            lambda: publish(own, self.clock.now_s(), 300),
            open_admin(admission, office, trust, self.policies, self.quotas),
        )
        self.http = TestClient(self.application, base_url=NAME, raise_server_exceptions=False)

    async def _look(self) -> None:
        self.looked = self.store.versions().accounts
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, PAGE))

    async def _look_up(self, url: str) -> str:
        return self.faults.get(url, "")

    def token(self, *scopes: str, **claims: object) -> str:
        """A token of an administrator; the operator gave it, so that it rests on no account."""
        given = {"scope": " ".join(scopes or ("admin:*",)), "sub": "root", "client_id": CLI_CLIENT_ID}
        members = {"aud": AUDIENCE, **given}
        return self.keys.token(**{**members, **claims}).decode()

    def ask(self, method: str, path: str, body: Any = None, /, token: str | None = None, **fields: str) -> Response:
        """One request; `_` in a field's name stands for `-`. Without a token it is one that may do everything."""
        headers = {"authorization": f"Bearer {self.token() if token is None else token}", "x-request-id": "req-1"}
        headers |= {name.replace("_", "-"): value for name, value in fields.items()}
        return self.http.request(method, _API + path, json=body, headers=headers)

    def ask_raw(self, method: str, path: str, body: bytes, /, **fields: str) -> Response:
        """One request whose body is what it is; `content_type` is that of JSON if none is given."""
        headers = {"authorization": f"Bearer {self.token()}", "content-type": "application/json"}
        headers |= {name.replace("_", "-"): value for name, value in fields.items()}
        headers = {name: value for name, value in headers.items() if value}
        return self.http.request(method, _API + path, content=body, headers=headers)

    def raw(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One request whose target is sent as it stands here: status and body."""
        return asyncio.run(self._raw(method, target, headers))

    async def _raw(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        path, _, query = target.encode().partition(b"?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": unquote(path.decode(), errors="replace"),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    def issuance(self, token_id: str, **members: Any) -> Issuance:
        """That a token was issued."""
        usual: dict[str, Any] = {
            "subject": "alice",
            "client_id": "ci",
            "kid": "k-1",
            "issued_at_s": int(NOW_S),
            "expires_at_s": int(NOW_S) + 600,
        }
        return Issuance(token_id=token_id, **{**usual, **members})

    def get(self, path: str, /, **fields: str) -> Any:
        """What is there."""
        answer = self.ask("GET", path, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, path: str, body: Any, /, **fields: str) -> Any:
        """Make something."""
        answer = self.ask("POST", path, body, **fields)
        assert answer.status_code == 201, answer.text
        return answer.json()


def code_of(answer: Response) -> tuple[int, str]:
    """The status and code of a problem, which must be one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:jotgate:error:{problem['code']}"
    return answer.status_code, problem["code"]

"""Orders about upstreams' credentials: what is kept, erased, recorded and told, and what is refused."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.config import UpstreamEntry
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.routes import Reach
from jotgate.core.token_grants import TokenGrant
from jotgate.core.upstream_orders import UpstreamOrder, UpstreamView
from jotgate.core.values import Secret
from jotgate.errors import AuditUnavailable, CommandError
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.recorder import Recorder
from jotgate.services.upstream_desk import UpstreamDesk, UpstreamSettings
from jotgate.stores.access import DirectAccess
from jotgate.stores.files import PrivateFiles
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop

TOKEN_URL: Final = "https://api.coze.com/api/permission/oauth2/token"
LOGIN: Final = {"grant": "refresh-token", "client_id": "app"}


class Log:
    """An audit log (ports.AuditLog) that can be full. Mutable: what it has, and that."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    def append(self, lines: Iterable[bytes]) -> None:
        self.flush()
        self.lines += lines

    def flush(self) -> None:
        if self.full:
            raise AuditUnavailable("the audit log cannot be written")

    def sync(self) -> None:
        self.flush()

    def close(self) -> None:
        pass

    @property
    def events(self) -> list[tuple[str, str, dict[str, str]]]:
        found = [json.loads(line) for line in self.lines]
        return [(one["event"], one["actor"], one["details"]) for one in found]


def entry(name: str, **given: object) -> UpstreamEntry:
    base = {"name": name, "kind": "coze", "base_url": "https://api.coze.com", "models": {name: "bot:7"}}
    return msgspec.convert(base | given, UpstreamEntry)


class Room:
    """A desk without a running control. Mutable: the settings."""

    def __init__(self, *entries: UpstreamEntry) -> None:
        self.entries = entries or (entry("coze", oauth=LOGIN), entry("other", credential_env="KEY"))
        self.clock = ManualClock()
        self.log = Log()
        self.store = MemoryStore()
        access = DirectAccess(self.store)
        seals = TextSeals(Secret("0123456789abcdef" * 4), PrivateFiles(Path("/nowhere")))
        self.kept = StoredRefreshTokens(access, seals, self.clock, self.grant, pause=self.pause, shared=False)
        recorder = Recorder(self.log, self.clock)
        self.desk = UpstreamDesk(self.settings, self.kept, access, recorder, self.clock, keeper=None)

    def settings(self) -> UpstreamSettings:
        ways = {one.name: Reach() for one in self.entries}
        return UpstreamSettings(self.entries, compile_grants(self.entries, {}, ways))

    def grant(self, name: str) -> TokenGrant | None:
        return self.settings().grants.get(name)

    async def pause(self, span_s: float) -> None:
        self.clock.advance(span_s)

    async def log_in(self, name: str = "coze", token: str = "very-secret", **given: str) -> bool:
        named = {"client_id": "app", "token_url": TOKEN_URL} | given
        order = UpstreamOrder(action="log-in", upstream=name, refresh_token=token, **named)
        return (await self.desk.carry_out(order)).replaced

    async def log_out(self, name: str = "coze") -> None:
        await self.desk.carry_out(UpstreamOrder(action="log-out", upstream=name))

    async def view(self, name: str = "coze") -> UpstreamView:
        answer = await self.desk.carry_out(UpstreamOrder(action="list"))
        assert not answer.running
        found = answer.find(name)
        assert found is not None
        return found


@on_loop
async def test_a_login_is_kept_recorded_and_shown_without_the_token() -> None:
    room = Room()
    assert not await room.log_in()
    view = await room.view()
    now_s = int(room.clock.now_s())
    assert view.login is not None
    assert (view.credential, view.client_id, view.token_url, view.lack) == ("refresh-token", "app", TOKEN_URL, "")
    assert (view.login.begun_at_s, view.login.ends_at_s) == (now_s, now_s + 30 * 86_400)
    assert room.log.events == [
        ("upstream.logged_in", CLI_CLIENT_ID, {"upstream": "coze", "client_id": "app", "replaced": "no"})
    ]
    found = await room.kept.read("coze")
    assert found is not None
    assert found.token == Secret("very-secret")
    told = msgspec.json.encode(view) + b"".join(room.log.lines) + repr(room.store.upstream_logins()).encode()
    assert b"very-secret" not in told


@on_loop
async def test_another_login_takes_its_place_and_says_so() -> None:
    room = Room()
    await room.log_in(token="first")
    assert await room.log_in(token="second")
    found = await room.kept.read("coze")
    assert found is not None
    assert found.token == Secret("second")
    assert room.log.events[-1][2]["replaced"] == "yes"


@on_loop
async def test_a_logout_erases_it_and_is_recorded() -> None:
    room = Room()
    await room.log_in()
    await room.log_out()
    assert room.store.upstream_logins() == ()
    assert room.log.events[-1] == ("upstream.logged_out", CLI_CLIENT_ID, {"upstream": "coze", "client_id": "app"})
    assert (await room.view()).lack == "nobody has logged in"
    with pytest.raises(CommandError, match="no refresh token is kept for an upstream 'coze'"):
        await room.log_out()


@on_loop
async def test_what_cannot_be_recorded_is_not_done() -> None:
    room = Room()
    room.log.full = True
    with pytest.raises(AuditUnavailable):
        await room.log_in()
    assert room.store.upstream_logins() == ()
    room.log.full = False
    await room.log_in()
    room.log.full = True
    with pytest.raises(AuditUnavailable):
        await room.log_out()
    assert len(room.store.upstream_logins()) == 1


@on_loop
async def test_nobody_logs_in_where_tokens_come_in_another_way() -> None:
    room = Room(
        entry("coze", oauth=LOGIN),
        entry("named", oauth=LOGIN | {"refresh_token_env": "R"}),
        entry("signs", oauth={"grant": "coze", "client_id": "app", "private_key_env": "K", "key_id": "k"}),
        entry("key", credential_env="KEY"),
    )
    for name, said in (
        ("nowhere", "the settings name no upstream 'nowhere'"),
        ("key", "nobody logs in for the upstream 'key': its credential is 'key'"),
        ("signs", "nobody logs in for the upstream 'signs': its credential is 'coze'"),
        ("named", "the settings name a refresh token for the upstream 'named'"),
    ):
        with pytest.raises(CommandError, match=said) as caught:
            await room.log_in(name)
        assert "coze" in caught.value.hint or "refresh_token_env" in caught.value.hint
    assert room.store.upstream_logins() == ()


@on_loop
async def test_a_token_of_other_settings_than_those_in_effect_is_not_taken() -> None:
    room = Room()
    for given in ({"client_id": "other"}, {"token_url": "https://evil.example/api/permission/oauth2/token"}):
        with pytest.raises(CommandError, match="has other settings for the upstream 'coze'"):
            await room.log_in(**given)
    assert room.store.upstream_logins() == ()


@on_loop
async def test_what_is_of_no_use_any_more_says_why() -> None:
    room = Room()
    await room.log_in()
    room.entries = (entry("coze", oauth=LOGIN | {"client_id": "another"}),)
    assert "another client" in (await room.view()).lack
    room.entries = (entry("coze", oauth=LOGIN, base_url="https://api.coze.cn"),)
    assert "another client, or at another token endpoint" in (await room.view()).lack
    room.entries = (entry("coze", credential_env="KEY"),)
    view = await room.view()
    assert view.login is not None
    assert (view.lack, "have no use for it" in view.login.fault) == ("", True)
    room.entries = (entry("coze", oauth=LOGIN),)
    room.clock.advance(31 * 86_400)
    assert (await room.view()).lack == "it has ended; log in again"
    room.clock.advance(-31 * 86_400)
    record = room.store.upstream_login("coze")
    assert record is not None
    room.store.put_upstream_login(replace(record, sealed=b"\x01damaged"))
    assert "under another key" in (await room.view()).lack


@on_loop
async def test_what_is_kept_for_an_upstream_that_is_gone_is_shown_and_can_be_erased() -> None:
    room = Room()
    await room.log_in()
    room.entries = ()
    view = await room.view()
    assert view.login is not None
    assert "jotgate upstream logout" in view.login.fault
    assert (view.url, view.credential) == ("", "none")
    await room.log_out()
    assert room.store.upstream_logins() == ()

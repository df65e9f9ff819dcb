"""Credentials of callers at MCP servers: whose each is, what is asked with it, and what one's failure is to others."""

import json
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialOrder
from jotgate.core.mcp_entries import McpServerEntry
from jotgate.core.token_exchange import Answered
from jotgate.core.token_grants import TokenGrant
from jotgate.core.upstream_tokens import HeldToken, TokenLacking, digest_of
from jotgate.core.values import Secret
from jotgate.errors import AuditUnavailable, CommandError, KeyRefused
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens
from jotgate.services.mcp_credential_desk import CredentialPlaces, McpCredentialDesk
from jotgate.services.recorder import Recorder
from jotgate.services.token_exchanges import TokenExchanges
from jotgate.services.upstream_tokens import UpstreamTokenKeeper
from jotgate.stores.access import DirectAccess
from jotgate.stores.files import PrivateFiles
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop
from tests.token_keeping import FixedEntropy, HandEndpoint, MemoryLog

TOKEN_URL: Final = "https://login.example/token"
GRANTS: Final = {
    "mcp:desk": TokenGrant(upstream="mcp:desk", kind="kept-user", token_url="", client_id=""),
    "mcp:team": TokenGrant(upstream="mcp:team", kind="kept", token_url="", client_id=""),
    "mcp:mail": TokenGrant(
        upstream="mcp:mail", kind="user-login", token_url=TOKEN_URL, client_id="gw", resource="https://mail.example/mcp"
    ),
    "mcp:data": TokenGrant(
        upstream="mcp:data",
        kind="token-exchange",
        token_url=TOKEN_URL,
        client_id="gw",
        client_secret=Secret("s3cret"),
        resource="https://data.example/mcp",
    ),
    "mcp:open": TokenGrant(upstream="mcp:open", kind="client-credentials", token_url=TOKEN_URL, client_id="gw"),
}


def granted(token: str, **more: object) -> Answered:
    return Answered(200, Secret(json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 600, **more})))


def refused(error: str) -> Answered:
    return Answered(400, Secret(json.dumps({"error": error})))


class Room:
    """Desk, keeper and store of one control process. Mutable: all of it."""

    def __init__(self, store: MemoryStore | None = None, clock: ManualClock | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or ManualClock()
        self.log = MemoryLog()
        self.endpoint = HandEndpoint()
        self.failures: list[str] = []
        self.spoken: list[str] = []
        access, recorder = DirectAccess(self.store), Recorder(self.log, self.clock)
        seals = TextSeals(Secret("0123456789abcdef" * 4), PrivateFiles(Path("/nowhere")))
        self.kept = StoredRefreshTokens(access, seals, self.clock, GRANTS.get, pause=self._pause, shared=False)
        entropy = FixedEntropy()
        exchanges = TokenExchanges(self.clock, entropy, self.endpoint, self.kept, self._pause)
        self.keeper = UpstreamTokenKeeper(self.clock, entropy, exchanges, recorder, self)
        self.keeper.follow(GRANTS.values())
        self.keeper.speak_by(self._speak)
        entries = [McpServerEntry(name=one.removeprefix("mcp:"), url="https://x.example/mcp") for one in GRANTS]
        self.desk = McpCredentialDesk(
            lambda: CredentialPlaces(entries, GRANTS), self.kept, access, recorder, keeper=self.keeper
        )

    async def _pause(self, span_s: float) -> None:
        self.clock.advance(span_s)

    async def _speak(self, grant: TokenGrant, holder: str) -> Secret:
        if holder == "mute":
            raise KeyRefused("no key may sign now")
        self.spoken.append(holder)
        return Secret(f"subject-token-of-{holder}")

    def cleared(self, upstream: str, session: str | None) -> None:
        """No worker is there."""

    def failing(self, upstream: str, fault: str) -> None:
        self.failures.append(f"{upstream}: {fault}")

    async def set(self, server: str, secret: str, holder: str = "") -> McpCredentialAnswer:
        order = McpCredentialOrder(action="set", server=server, holder=holder, secret=secret)
        return await self.desk.carry_out(order)

    async def find(self, server: str, holder: str, refused: bytes = b"") -> str:
        """The token that is sent, or why there is none."""
        found = await self.keeper.find(f"mcp:{server}", holder, refused)
        return found.token.reveal() if isinstance(found, HeldToken) else f"{found.lack}: {found.cause}"


@on_loop
async def test_a_secret_is_whose_it_is_and_nobody_elses() -> None:
    room = Room()
    assert not (await room.set("desk", "anns", "ann")).replaced
    assert (await room.set("desk", "anns-new", "ann")).replaced
    await room.set("team", "all")
    assert await room.find("desk", "ann") == "anns-new"
    assert await room.find("desk", "bob") == (
        "unconfigured: none is kept for it; run: jotgate mcp credential set desk --subject bob"
    )
    assert await room.find("desk", "") == "unconfigured: it is not known whose it would be"
    assert [await room.find("team", who) for who in ("ann", "bob", "")] == ["all"] * 3
    assert room.endpoint.posts == []
    told = room.log.lines, await room.desk.carry_out(McpCredentialOrder(action="list"))
    assert "anns" not in repr(told)
    assert [(one.server, one.holder, one.kind, one.fault) for one in told[1].credentials] == [
        ("desk", "ann", "secret", ""),
        ("team", "", "secret", ""),
    ]
    recorded = [(event, details) for event, _, details in room.log.events() if event == "mcp.credential_set"]
    assert recorded[1] == ("mcp.credential_set", {"server": "desk", "grant": "kept-user", "replaced": "yes"})


@on_loop
async def test_a_secret_that_the_server_refuses_is_not_sent_again_until_there_is_another() -> None:
    room = Room()
    await room.set("desk", "anns", "ann")
    await room.find("desk", "ann")
    assert await room.find("desk", "ann", digest_of(Secret("anns"))) == (
        "refused: the server refuses the credential that is kept for it"
    )
    await room.set("desk", "anns-new", "ann")
    assert await room.find("desk", "ann") == "anns-new"
    await room.desk.carry_out(McpCredentialOrder(action="remove", server="desk", holder="ann"))
    assert (await room.find("desk", "ann")).startswith("unconfigured")


@on_loop
async def test_each_callers_refresh_token_is_sent_once_and_its_successor_is_there_for_the_next_process() -> None:
    room = Room()
    await room.set("mail", "r1", "ann")
    room.endpoint.script = [granted("a1", refresh_token="r2")]
    assert await room.find("mail", "ann") == "a1"
    (post,) = room.endpoint.posts
    assert "refresh_token=r1" in post.body.reveal()
    assert "resource=https%3A%2F%2Fmail.example%2Fmcp" in post.body.reveal()
    later = Room(room.store, room.clock)
    later.endpoint.script = [granted("a2")]
    assert await later.find("mail", "ann") == "a2"
    assert "refresh_token=r2" in later.endpoint.posts[0].body.reveal()
    record = room.store.upstream_login("mcp:mail", "ann")
    assert record is not None
    assert record.under_way_s is None, "the same refresh token goes on counting where no other came"


@on_loop
async def test_what_an_authorization_server_has_ended_is_known_for_good_and_holds_up_nobody_else() -> None:
    room = Room()
    await room.set("mail", "r1", "ann")
    await room.set("mail", "r2", "bob")
    room.endpoint.script = [refused("invalid_grant"), granted("b1", refresh_token="r3")]
    assert "invalid_grant" in await room.find("mail", "ann")
    assert await room.find("mail", "bob") == "b1"
    assert room.failures == [], "it is nothing of the server's"
    later = Room(room.store, room.clock)
    again = "unconfigured: somebody has to connect again: jotgate mcp credential set mail --subject ann"
    assert (await later.find("mail", "ann")).startswith(again)
    assert later.endpoint.posts == []
    (first, second) = (await later.desk.carry_out(McpCredentialOrder(action="list", server="mail"))).credentials
    assert ("invalid_grant" in first.fault, first.faulted_at_s is not None, second.fault) == (True, True, "")
    await later.set("mail", "anew", "ann")
    later.endpoint.script = [granted("a9", refresh_token="r9")]
    assert await later.find("mail", "ann") == "a9"


@on_loop
async def test_a_client_that_is_refused_is_the_operators_and_ends_nobodys_login() -> None:
    room = Room()
    await room.set("mail", "r1", "ann")
    room.endpoint.script = [refused("invalid_client")]
    assert "invalid_client" in await room.find("mail", "ann")
    record = room.store.upstream_login("mcp:mail", "ann")
    assert record is not None
    assert record.fault == ""
    assert room.failures


@on_loop
async def test_a_token_is_exchanged_for_each_caller_by_what_control_says_of_it() -> None:
    room = Room()
    room.endpoint.script = [granted("for-ann"), granted("for-bob")]
    assert [await room.find("data", who) for who in ("ann", "bob", "ann")] == ["for-ann", "for-bob", "for-ann"]
    assert room.spoken == ["ann", "bob"]
    form = room.endpoint.posts[0].body.reveal()
    for said in (
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
        "subject_token=subject-token-of-ann",
        "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt",
        "requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token",
        "resource=https%3A%2F%2Fdata.example%2Fmcp",
    ):
        assert said in form
    assert "s3cret" not in form
    assert "nobody can say now for whom" in await room.find("data", "mute")


@pytest.mark.parametrize(
    ("server", "holder", "said"),
    [
        ("desk", "", "Say whose it is"),
        ("mail", "", "Say whose it is"),
        ("team", "ann", "Leave --subject out"),
        ("data", "ann", "kept_credential"),
        ("open", "", "kept_credential"),
        ("none", "", "Name one of: desk, team, mail, data, open"),
    ],
)
@on_loop
async def test_what_a_server_has_no_use_for_is_not_kept(server: str, holder: str, said: str) -> None:
    room = Room()
    with pytest.raises(CommandError) as caught:
        await room.set(server, "secret", holder)
    assert said in caught.value.hint
    assert room.store.upstream_logins() == ()


@pytest.mark.parametrize("secret", ["", "two words", "ünder", "line\nfeed", "x" * 8_193])
def test_what_no_header_could_carry_is_no_credential(secret: str) -> None:
    with pytest.raises(CommandError):
        McpCredentialOrder(action="set", server="desk", holder="ann", secret=secret)


@on_loop
async def test_what_cannot_be_recorded_is_not_kept() -> None:
    room = Room()
    room.log.full = True
    with pytest.raises(AuditUnavailable):
        await room.set("desk", "anns", "ann")
    assert room.store.upstream_logins() == ()


@on_loop
async def test_what_was_kept_for_other_settings_is_not_sent_and_is_said_to_be_of_no_use() -> None:
    room = Room()
    await room.set("mail", "r1", "ann")
    record = room.store.upstream_login("mcp:mail", "ann")
    assert record is not None
    room.store.put_upstream_login(replace(record, client_id="another"))
    assert (await room.find("mail", "ann")).startswith("unconfigured: nobody has logged in")
    (view,) = (await room.desk.carry_out(McpCredentialOrder(action="list"))).credentials
    assert "another client" in view.fault
    assert isinstance(await room.keeper.find("mcp:mail", "ann"), TokenLacking)

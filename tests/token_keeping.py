"""A keeper of upstreams' tokens on a clock that stands still, and a token endpoint that a test answers by hand."""

import asyncio
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

import msgspec

from jotgate.core.token_exchange import Answered, KeptRefreshToken, Post, Unanswered
from jotgate.core.token_grants import AssertionKey, TokenGrant
from jotgate.core.upstream_tokens import HeldToken, TokenLacking
from jotgate.core.values import Secret
from jotgate.errors import AuditUnavailable, StoreUnavailable
from jotgate.jose.keys import SigningKey, generate, signing_key_to_pem
from jotgate.services.recorder import Recorder
from jotgate.services.token_exchanges import TokenExchanges
from jotgate.services.upstream_tokens import SESSIONS_MAX, UpstreamTokenKeeper
from jotgate.testing.ports import ManualClock
from jotgate.upstreams.credentials import UpstreamTokens

SIGNING: Final[SigningKey] = generate("RS256")
NEXT_SIGNING: Final[SigningKey] = generate("RS256")
KEY: Final = AssertionKey(Secret(signing_key_to_pem(SIGNING).decode()), "first")
NEXT_KEY: Final = AssertionKey(Secret(signing_key_to_pem(NEXT_SIGNING).decode()), "next")
TOKEN_URL: Final = "https://api.coze.example/api/permission/oauth2/token"


def coze_grant(upstream: str = "coze", *keys: AssertionKey, **changed: str) -> TokenGrant:
    """A grant as Coze has it."""
    return TokenGrant(
        upstream=upstream,
        kind="coze",
        dialect="coze",
        token_url=changed.get("token_url", TOKEN_URL),
        client_id=changed.get("client_id", "1105"),
        keys=keys or (KEY,),
        session=changed.get("session", ""),
        scope=changed.get("scope", ""),
    )


def granted(token: str, expires_in: object = 900, **further: object) -> Answered:
    """A token endpoint's yes."""
    members = {"access_token": token, "token_type": "Bearer", "expires_in": expires_in, **further}
    return Answered(200, Secret(msgspec.json.encode(members).decode()))


def refused(error: str, status: int = 401, message: str = "", retry_after: str = "") -> Answered:
    """Its no."""
    body = msgspec.json.encode({"error_code": error, "error_message": message}).decode()
    return Answered(status, Secret(body), retry_after)


class HandEndpoint:
    """A token endpoint (ports.TokenEndpoint). Each POST is answered by the first of `script`, else by `default`.

    While `gate` is set to an event that is not, answers wait for it.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.script: list[Answered | Unanswered] = []
        self.default: Callable[[int], Answered | Unanswered] = lambda number: granted(f"czs_{number}_of_the_endpoint")
        self.gate: asyncio.Event | None = None
        self.busiest = 0
        self._under_way = 0

    async def post(self, post: Post) -> Answered | Unanswered:
        self.posts.append(post)
        number = len(self.posts)
        self._under_way += 1
        self.busiest = max(self.busiest, self._under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            return self.script.pop(0) if self.script else self.default(number)
        finally:
            self._under_way -= 1


class HandRefreshTokens:
    """Keeps refresh tokens (ports.KeptRefreshTokens). `broken`: it knows none; `unwritable`: it keeps none."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptRefreshToken] = {}
        self.held: dict[tuple[str, str], KeptRefreshToken] = {}
        self.broken = False
        self.unwritable = False

    async def read(self, upstream: str, holder: str = "") -> KeptRefreshToken | None:
        self._check()
        return self.held.get((upstream, holder)) if holder else self.kept.get(upstream)

    async def keep(self, upstream: str, kept: KeptRefreshToken, holder: str = "") -> None:
        self._check()
        if self.unwritable:
            raise StoreUnavailable("the store does not answer")
        if holder:
            self.held[upstream, holder] = kept
        else:
            self.kept[upstream] = kept

    async def fail(self, upstream: str, holder: str, fault: str) -> None:
        self._check()
        self.held[upstream, holder] = msgspec.structs.replace(self.held[upstream, holder], fault=fault)

    async def forget(self, upstream: str, holder: str = "") -> None:
        self._check()
        self.held.pop((upstream, holder), None)
        if not holder:
            self.kept.pop(upstream, None)

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable("the store does not answer")


class MemoryLog:
    """An audit log (ports.AuditLog); while `full`, it takes nothing."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    def append(self, lines: Iterable[bytes]) -> None:
        self.flush()
        self.lines += lines

    def flush(self) -> None:
        if self.full:
            raise AuditUnavailable("the disk is full")

    def sync(self) -> None:
        self.flush()

    def close(self) -> None:
        """It has no end."""

    def events(self) -> list[tuple[str, str, dict[str, object]]]:
        """What was recorded: event, actor, details."""
        found = [msgspec.json.decode(line) for line in self.lines]
        return [(one["event"], one["actor"], one["details"]) for one in found]


class FixedEntropy:
    """Chance that repeats nothing (ports.Entropy): each answer is a digest of its number."""

    def __init__(self) -> None:
        self._count = 0

    def random_bytes(self, count: int) -> bytes:
        self._count += 1
        return (sha256(str(self._count).encode()).digest() * (count // 32 + 1))[:count]


class KeeperStage:
    """A keeper, its surroundings, and workers that ask it as over the bus."""

    def __init__(self, *grants: TokenGrant, sessions_max: int = SESSIONS_MAX) -> None:
        self.clock = ManualClock()
        self.endpoint = HandEndpoint()
        self.kept = HandRefreshTokens()
        self.log = MemoryLog()
        self.pauses: list[float] = []
        self.told_cleared: list[tuple[str, str | None]] = []
        self.news: list[tuple[str, str]] = []
        self.workers: list[UpstreamTokens] = []
        self._asking: set[asyncio.Task[None]] = set()
        entropy = FixedEntropy()
        self.exchanges = TokenExchanges(self.clock, entropy, self.endpoint, self.kept, self._pause)
        self.keeper = UpstreamTokenKeeper(
            self.clock, entropy, self.exchanges, Recorder(self.log, self.clock), self, sessions_max=sessions_max
        )
        self.keeper.follow(grants or (coze_grant(),))

    async def _pause(self, span_s: float) -> None:
        self.pauses.append(span_s)
        await asyncio.sleep(0)

    # services.upstream_tokens.TokenNews

    def failing(self, upstream: str, fault: str) -> None:
        self.news.append((upstream, fault))

    def cleared(self, upstream: str, session: str | None) -> None:
        self.told_cleared.append((upstream, session))
        for worker in self.workers:
            worker.cleared(upstream, session)

    def worker(self) -> UpstreamTokens:
        """What a worker holds, with a way to the keeper that takes a turn of the loop each way."""
        loop = asyncio.get_running_loop()

        async def answer(tokens: UpstreamTokens, upstream: str, session: str, digest: bytes) -> None:
            await asyncio.sleep(0)
            found = await self.keeper.find(upstream, session, digest)
            held, lacking = (found, None) if isinstance(found, HeldToken) else (None, found)
            tokens.answered(upstream, session, held, lacking)

        def ask(upstream: str, session: str, digest: bytes) -> None:
            asking = loop.create_task(answer(made, upstream, session, digest))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

        made = UpstreamTokens(self.clock, ask, loop.call_soon)
        self.workers.append(made)
        return made

    async def token(self, session: str = "s", digest: bytes = b"") -> str:
        """The token of a session, as text; what it lacks is raised."""
        found = await self.keeper.find("coze", session, digest)
        assert isinstance(found, HeldToken), found
        return found.token.reveal()

    async def lacking(self, session: str = "s", digest: bytes = b"") -> TokenLacking:
        """Why there is no token of a session."""
        found = await self.keeper.find("coze", session, digest)
        assert isinstance(found, TokenLacking), found
        return found

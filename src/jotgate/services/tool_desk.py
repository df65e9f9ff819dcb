"""Keeps what was approved of the tools of MCP servers: takes what workers have seen, and what an operator orders.

What is new, or another than it was, is in the audit log before anybody is told of it. What cannot be recorded is not
done, and what is not known is hidden.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.mcp_orders import McpAnswer, McpOrder, ServerView, counted, tool_view
from jotgate.core.mcp_pins import KeptPins, PinRule, Told, ToolPin, ToolState, known_of
from jotgate.core.mcp_sightings import Sighting, approved, sight
from jotgate.core.mcp_tools import Tool
from jotgate.errors import AuditUnavailable, CommandError, RecordChanged, StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store

_TRIES: Final = 5
_NAMED_MAX: Final = 20


class McpPlaces(Struct, frozen=True):
    """What the settings in effect say of the servers: where each is and what credential it has, in their order."""

    views: Sequence[ServerView]

    def rule(self, server: str) -> PinRule | None:
        """What becomes of the tools of a server; None: the settings do not name it."""
        return next((one.pins for one in self.views if one.name == server), None)


class ToolNews(Protocol):
    """Whom the desk tells something."""

    def hidden(self, server: str, tools: Sequence[str], kind: str) -> None:
        """These tools are new, or were changed, and wait to be approved."""


class ToolDesk:
    """Immutable. `settings` are those in effect; `told` has everybody know of what has changed; None: nobody runs."""

    def __init__(
        self,
        settings: Callable[[], McpPlaces],
        access: StoreAccess,
        recorder: Recorder,
        clock: Clock,
        *,
        news: ToolNews,
        told: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._settings = settings
        self._access = access
        self._recorder = recorder
        self._clock = clock
        self._news = news
        self._tell = told

    async def seen(self, server: str, tools: Sequence[Tool]) -> Told | None:
        """What is known of a server's tools once these were seen; None: it cannot be known now, and all is hidden."""
        rule = self._settings().rule(server)
        if rule is None:
            return None
        try:
            for _ in range(_TRIES):
                kept = await self._access.run(_read)
                found = sight(kept, server, tools, rule, int(self._clock.now_s()))
                if not found.changed:
                    return _told(kept, server)
                self._recorder.check()
                if await self._put(kept.version, found.changed) is not None:
                    self._record(server, found)
                    await self._told()
                    return _told(await self._access.run(_read), server)
        except (StoreUnavailable, AuditUnavailable):
            return None
        return None

    async def carry_out(self, order: McpOrder, actor: str = CLI_CLIENT_ID) -> McpAnswer:
        """Do what `actor` orders, and say how things are then.

        Raises:
            CommandError: there is no such tool; or what was seen of it is not what is to be approved.
            RecordChanged, StoreUnavailable, AuditUnavailable: it cannot be kept or recorded.
        """
        done: list[str] = []
        if order.action == "approve":
            done = await self._approve(order, actor)
        elif order.action == "forget":
            done = await self._forget(order, actor)
        kept = await self._access.run(_read)
        return McpAnswer(
            servers=self._views(kept.pins),
            tools=[tool_view(pin, definitions=order.definitions) for pin in kept.pins if order.means(pin)],
            running=self._tell is not None,
            done=done,
        )

    async def _approve(self, order: McpOrder, actor: str) -> list[str]:
        for _ in range(_TRIES):
            kept = await self._access.run(_read)
            known = {pin.tool: pin for pin in kept.pins if pin.server == order.server}
            now_s = int(self._clock.now_s())
            changed = [approved(_meant(known, order.server, *one), actor, now_s) for one in order.digests.items()]
            self._recorder.check()
            if await self._put(kept.version, changed) is not None:
                for pin in changed:
                    before = known[pin.tool].digest
                    details = {"server": pin.server, "tool": pin.tool, "digest": pin.digest, "before": before}
                    self._recorder.record("mcp.tool_approved", actor=actor, details=details)
                await self._told()
                return [pin.tool for pin in changed]
        raise _busy()

    async def _forget(self, order: McpOrder, actor: str) -> list[str]:
        for _ in range(_TRIES):
            kept = await self._access.run(_read)
            meant = [pin for pin in kept.pins if order.means(pin)]
            missing = set(order.tools) - {pin.tool for pin in meant}
            if missing or not meant:
                raise _unknown(order.server, min(missing, default=""))
            self._recorder.check()
            if await self._put(kept.version, [], meant) is not None:
                names = _listed([pin.tool for pin in meant])
                details: dict[str, str | int] = {"server": order.server, "tools": len(meant), "names": names}
                self._recorder.record("mcp.tools_forgotten", actor=actor, details=details)
                await self._told()
                return [pin.tool for pin in meant]
        raise _busy()

    async def _told(self) -> None:
        if self._tell is not None:
            await self._tell()

    async def _put(self, version: int, changed: Sequence[ToolPin], dropped: Sequence[ToolPin] = ()) -> int | None:
        return await self._access.run(lambda store: store.put_tool_pins(version, changed, dropped))

    def _record(self, server: str, found: Sighting) -> None:
        pinned = found.names("pinned")
        if pinned:
            details: dict[str, str | int] = {"server": server, "tools": len(pinned), "names": _listed(pinned)}
            self._recorder.record("mcp.tools_pinned", actor="control", details=details)
        for pin in found.changed:
            if pin.seen:
                one = {"server": server, "tool": pin.tool, "digest": pin.seen, "before": pin.digest}
                event = "mcp.tool_changed" if pin.digest else "mcp.tool_new"
                self._recorder.record(event, actor="control", details=one)
        for kind in ("new", "changed", "too many"):
            names = [name for name, one in found.kinds if one == kind]
            if names:
                self._news.hidden(server, names, kind)

    def _views(self, pins: Sequence[ToolPin]) -> list[ServerView]:
        found = counted(pins)
        views = [_with_counts(one, found.get(one.name, {})) for one in self._settings().views]
        named = {one.name for one in views}
        return [*views, *(_with_counts(ServerView(name=name), found[name]) for name in found if name not in named)]


def _with_counts(view: ServerView, states: Mapping[ToolState, int]) -> ServerView:
    hidden = states.get("new", 0) + states.get("changed", 0)
    return replace(view, shown=states.get("shown", 0), hidden=hidden)


def _read(store: Store) -> KeptPins:
    return store.tool_pins()


def _told(kept: KeptPins, server: str) -> Told:
    return Told(kept.version, known_of(kept).servers.get(server, {}))


def _meant(known: Mapping[str, ToolPin], server: str, tool: str, digest: str) -> ToolPin:
    """The tool that is to be approved as it was shown. Raises CommandError."""
    pin = known.get(tool)
    if pin is None:
        raise _unknown(server, tool)
    if digest != (pin.seen or pin.digest):
        raise CommandError(
            f"the tool '{tool}' of '{server}' is another by now than the one that was shown",
            hint=f"Look at it again: jotgate mcp approve {server} {tool}",
        )
    return pin


def _unknown(server: str, tool: str) -> CommandError:
    what = f"no tool '{tool}' of a server '{server}' was ever seen" if tool else f"no tool of '{server}' was ever seen"
    return CommandError(what, hint="Look at 'jotgate mcp list'")


def _busy() -> RecordChanged:
    return RecordChanged("the tools of MCP servers are being changed by others", hint="Try again")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return " ".join(names[:_NAMED_MAX]) + more

"""What a worker knows of the tools of MCP servers: what control has said, and what it is asked when one has changed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from jotgate.core.mcp_pins import Known, KnownTool, KnownTools, unseen
from jotgate.core.mcp_servers import McpRules
from jotgate.core.mcp_tools import Tool
from jotgate.errors import ControlUnreachable
from jotgate.ports import Clock

PATIENCE_S: Final = 5.0
"""So long control is waited for."""
QUESTIONS_MAX: Final = 256
"""Beyond so many questions without an answer the oldest is given up."""

Ask = Callable[[int, str, list[Tool]], object]
"""Tells control which tools of a server were seen, under a number; see `processes.messages.ToolsSeen`."""

_NOTHING: Final[Known] = {}


def tell_nobody(number: int, server: str, tools: list[Tool]) -> None:
    """Stands for control where there is no way to it yet."""


class _Question:
    """What control was told, and who waits for what it says."""

    __slots__ = ("deadline_s", "known", "server", "tools")

    def __init__(self, server: str, tools: list[Tool], deadline_s: float) -> None:
        self.server = server
        self.tools = tools
        self.deadline_s = deadline_s
        self.known: asyncio.Future[Known | None] = asyncio.get_running_loop().create_future()


class ToolBook:
    """Knows tools. Mutable: what is known of each server and of which version that is, the questions to control.

    It outlives worlds. `ask` tells control, if there is one.
    """

    def __init__(self, clock: Clock, ask: Ask) -> None:
        self._clock = clock
        self._ask = ask
        self._known: dict[str, Known] = {}
        self._heard: dict[str, tuple[int, Known]] = {}
        self._unpinned: dict[str, Known] = {}
        self._unlooked: frozenset[str] = frozenset()
        self._number = 0
        self._open: dict[int, _Question] = {}

    def ask_by(self, ask: Ask) -> None:
        """Tell control in this way from now on."""
        self._ask = ask

    def enter(self, rules: McpRules, tools: KnownTools) -> None:
        """A new world has these servers, and knows these tools; what was heard and is newer stands."""
        self._heard = {server: told for server, told in self._heard.items() if told[0] > tools.version}
        self._known = {**tools.servers, **{server: told[1] for server, told in self._heard.items()}}
        self._unlooked = frozenset(one.name for one in rules.servers if one.pins == "off")

    def known(self, server: str) -> Known:
        """What is known of a server's tools now."""
        found = self._unpinned if server in self._unlooked else self._known
        return found.get(server, _NOTHING)

    async def learn(self, server: str, tools: Sequence[Tool]) -> Known:
        """What is known of a server's tools once all of these were seen there.

        Raises:
            ControlUnreachable: nothing is known of the server, and control does not say.
        """
        if server in self._unlooked:
            own = {tool.name: KnownTool(tool.digest, tool.read_only) for tool in tools}
            self._unpinned[server] = own
            return own
        news = unseen(tools, self.known(server))
        if not news:
            return self.known(server)
        number, question = self._begin(server, news)
        try:
            told = await question.known
        finally:
            self._open.pop(number, None)
        if told is None and server not in self._known:
            raise ControlUnreachable("nobody can say now which tools of this server are approved")
        return self.known(server)

    def saw(self, server: str, tools: Sequence[Tool]) -> None:
        """Some of a server's tools were seen, such as a page of a list: control is told, and nobody waits.

        Of a server of which nothing is known this is not enough: `learn` pins the first list, and a page is none.
        """
        known = self.known(server)
        news = unseen(tools, known) if known else []
        if news and server not in self._unlooked:
            self._begin(server, news)

    def _begin(self, server: str, news: list[Tool]) -> tuple[int, _Question]:
        if len(self._open) >= QUESTIONS_MAX:
            self.answered(next(iter(self._open)), 0, None)
        known = self._known.get(server)
        if known:  # What is new or has changed is hidden here at once, and everywhere when control has heard of it.
            unpinned = KnownTool("", read_only=False)
            changed = {tool.name: replace(known.get(tool.name, unpinned), seen=tool.digest) for tool in news}
            self._known[server] = {**known, **changed}
        self._number += 1
        question = self._open[self._number] = _Question(server, news, self._clock.monotonic_s() + PATIENCE_S)
        self._ask(self._number, server, news)
        return self._number, question

    def answered(self, number: int, version: int, known: Known | None) -> None:
        """Control's answer; None: it cannot say now."""
        question = self._open.pop(number, None)
        if known is not None and question is not None:
            self._heard[question.server] = (version, known)
            self._known[question.server] = known
        if question is not None and not question.known.done():
            question.known.set_result(known)

    def ask_again(self) -> None:
        """Put all open questions to another control process."""
        for number, question in tuple(self._open.items()):
            self._ask(number, question.server, question.tools)

    def check_deadlines(self, now_s: float) -> None:
        """Tell those that have waited for long enough. Called a few times a second."""
        for number, question in tuple(self._open.items()):
            if question.deadline_s <= now_s:
                self.answered(number, 0, None)

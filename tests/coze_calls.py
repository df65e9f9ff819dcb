"""A gateway whose upstream is Coze: what it asks there is recorded, and the test answers it by hand.

Nothing happens by itself: owned objects are answered when `run` is called, and time passes by `pass_time`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.coze_aims import Aim
from jotgate.core.owned_objects import ObjectOrder
from jotgate.core.quotas import Quota
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.upstream_tokens import TokenFound, TokenLacking, digest_of
from jotgate.core.values import Secret
from jotgate.gateway.world import Place
from jotgate.ports import Running, UpstreamEvents
from jotgate.services.object_desk import ObjectDesk
from jotgate.services.owned_objects import carry_out
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from jotgate.upstreams.coze import CozeUpstream
from jotgate.upstreams.coze_runs import CozeRuns
from jotgate.upstreams.credentials import Cancel, Then
from tests.callers import request
from tests.metering import TICK_S, USUAL, Chance, MeteredStage

BOT: Final = "7300000000000000001"
OTHER_BOT: Final = "7300000000000000002"
CHAT: Final = "7500000000000000001"
CONVERSATION: Final = "7600000000000000001"
FIRST_BYTE_S: Final = 20.0
IDLE_S: Final = 10.0


class ScriptedConnections:
    """Where requests go (coze_call.Connections): each is recorded, and answered by hand."""

    def __init__(self) -> None:
        self.exchanges: list[ScriptedExchange] = []

    @property
    def last(self) -> ScriptedExchange:
        """The newest."""
        return self.exchanges[-1]

    @property
    def targets(self) -> list[str]:
        """What was asked, in order: methods and targets."""
        return [f"{one.outbound.method.decode()} {one.outbound.target.decode()}" for one in self.exchanges]

    def begin(self, request: bytes, events: UpstreamEvents) -> ScriptedExchange:
        head, _, body = request.partition(b"\r\n\r\n")
        first, _, lines = head.partition(b"\r\n")
        method, target, _ = first.split(b" ")
        exchange = ScriptedExchange(Outbound("", method, target, lines + b"\r\n", body), events)
        self.exchanges.append(exchange)
        return exchange


class ScriptedTokens:
    """Tokens by session (credential_sources.Credentials): a new one whenever one was refused, unless there is none.

    `lacking` is told in place of the next. `held`: nobody is told anything until `release`.
    """

    def __init__(self) -> None:
        self.needs: list[tuple[str, bytes]] = []
        self.lacking: TokenLacking | None = None
        self.held = False
        self.replaceable = True
        self.waiting: list[Then] = []
        self.refused: list[str] = []
        self._renewals = 0

    def need(self, session: str, then: Then, refused: bytes) -> Cancel | None:
        self.needs.append((session, refused))
        self._renewals += bool(refused)
        if self.held:
            self.waiting.append(then)
            return lambda: self.waiting.remove(then)
        self._tell(then)
        return None

    def release(self) -> None:
        """Tell those who wait."""
        while self.waiting:
            self._tell(self.waiting.pop(0))

    def replaces(self, session: str, token: TokenFound, *, certain: bool) -> bool:
        return self.replaceable

    def refuse(self, session: str, token: TokenFound) -> None:
        self.refused.append(token.token.reveal())

    def took(self, token: TokenFound) -> None:
        pass

    def _tell(self, then: Then) -> None:
        token = Secret(f"czs_test{self._renewals}")
        then(self.lacking or TokenFound(token, digest_of(token), 2e9))


class CozeStage(MeteredStage):
    """The stage: alias `bot` is a bot at the upstream `coze`, `other` another one; `quotas` meet its calls.

    `away`: what is kept of callers cannot be had.
    """

    def __init__(self, *quotas: Quota) -> None:
        super().__init__(*quotas)
        self.coze = ScriptedConnections()
        self.tokens = ScriptedTokens()
        self.away = False
        self._streaming: list[ScriptedExchange] = []
        self.runs = CozeRuns(self.clock, Chance(), self.turns.soon)
        self.objects = ObjectDesk(self.clock, self._order, self.turns.soon)
        self.runs.keep_in(self.objects)
        upstream = Upstream(
            "coze", "coze", "https://api.coze.example", first_byte_timeout_s=FIRST_BYTE_S, idle_timeout_s=IDLE_S
        )
        self.place = Place(upstream, CozeUpstream(upstream, self.runs, self.coze, self.tokens))
        bots = {"bot": f"bot:{BOT}", "other": f"bot:{OTHER_BOT}"}
        routes = {name: Route(name, (Attempt("coze", model),), metering=USUAL) for name, model in bots.items()}
        self.world = structs.replace(
            self.world, metered=bool(quotas), routes={**self.world.routes, **routes}, places={"coze": self.place}
        )
        self.gateway.swap(self.world)

    def chat(
        self,
        *said: str | Mapping[str, object],
        stream: bool = True,
        aim: Aim | None = None,
        sub: str = "alice",
        **members: object,
    ) -> tuple[RecordingCaller, Running | None]:
        """Call a bot: texts are the user's messages. The first thing is asked of Coze, if there is one to be asked."""
        messages = [{"role": "user", "content": one} if isinstance(one, str) else one for one in said]
        body = {"model": "bot", "messages": messages or [{"role": "user", "content": "Hi"}], "stream": stream}
        token = self.issuer.token(sub=sub)
        asked = request(json.dumps({**body, **members}).encode(), authorization=b"Bearer " + token)
        asked.begun_s = self.clock.monotonic_s()
        asked.aim = aim
        caller, running = self.ask(asked)
        self.run()
        return caller, running

    def hear(self, *events: bytes, at: ScriptedExchange | None = None, complete: bool = False) -> None:
        """Coze streams these events."""
        exchange = at or self.coze.last
        if exchange in self._streaming:
            exchange.tell(None, b"".join(events), complete=complete)
        else:
            self._streaming.append(exchange)
            head = ResponseHead(200, [(b"content-type", b"text/event-stream; charset=utf-8")], None)
            exchange.tell(head, b"".join(events), complete=complete)
        self.run()

    def answer(self, data: object = None, *, code: int = 0, msg: str = "", status: int = 200) -> None:
        """Coze answers with JSON."""
        body = {"code": code, "msg": msg, **({} if data is None else {"data": data})}
        self.coze.last.answer(status, json.dumps(body).encode())
        self.run()

    def sent(self, number: int = -1) -> dict[str, Any]:
        """The body of what was asked of Coze."""
        body: dict[str, Any] = json.loads(self.coze.exchanges[number].outbound.body)
        return body

    def pass_time(self, span_s: float) -> None:
        """Let time pass, and everything look at it."""
        for _ in range(round(span_s / TICK_S)):
            self.wait(TICK_S)
            self.runs.check_deadlines()
            self.run()

    def leap(self, span_s: float) -> None:
        """Let a long time pass, in which nothing happens; tokens are issued anew from then on."""
        self.clock.advance(span_s)
        issuer = self.issuer
        self.issuer = TestIssuer(issuer.key, issuer.issuer, issuer.audience, self.clock.now_s())
        self.gateway.control_seen()

    def at_rest(self) -> bool:
        """Whether nothing is left of any call: no run, no farewell, no place taken."""
        return not (self.runs.live or self.runs.leaving or self.gateway.live or self.place.standing.running)

    def _order(self, number: int, order: ObjectOrder) -> None:
        answer = None if self.away else carry_out(self.store, order, self.clock.now_s())
        self.turns.soon(lambda: self.objects.answered(number, answer))


def event(name: str, data: object, *, space: bool = False) -> bytes:
    """An event as Coze writes it; `space`: as its workflows do."""
    gap = " " if space else ""
    return f"event:{gap}{name}\ndata:{gap}{json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chat_event(status: str, **members: object) -> bytes:
    """An event about the chat itself."""
    chat = {"id": CHAT, "conversation_id": CONVERSATION, "bot_id": BOT, "status": status, "last_error": {"code": 0}}
    return event(f"conversation.chat.{status}", {**chat, "usage": None, **members})


def delta(text: str, *, message: str = "1", **members: object) -> bytes:
    """A piece of an answer."""
    said = {"id": message, "role": "assistant", "type": "answer", "content": text, "content_type": "text", **members}
    return event("conversation.message.delta", said)


def whole(text: str, kind: str = "answer", *, message: str = "1") -> bytes:
    """A whole message."""
    said = {"id": message, "role": "assistant", "type": kind, "content": text, "content_type": "text"}
    return event("conversation.message.completed", said)


def usage(tokens_in: int, tokens_out: int) -> dict[str, int]:
    """What Coze says was used."""
    return {"token_count": tokens_in + tokens_out, "input_count": tokens_in, "output_count": tokens_out}


CREATED: Final = chat_event("created")
DONE: Final = event("done", "[DONE]")


def completed(tokens_in: int = 11, tokens_out: int = 7) -> bytes:
    """The end of a chat that went well."""
    return chat_event("completed", usage=usage(tokens_in, tokens_out)) + DONE


def chunks(caller: RecordingCaller) -> list[dict[str, Any]]:
    """The events of a stream that was told."""
    texts = [one for one in caller.body.decode().split("\n\n") if one and one != "data: [DONE]"]
    return [json.loads(one.lstrip("\n").removeprefix("data: ")) for one in texts]


def text_of(caller: RecordingCaller) -> str:
    """The text that a stream has told."""
    return "".join(choice["delta"].get("content") or "" for one in chunks(caller) for choice in one.get("choices", []))

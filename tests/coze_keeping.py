"""Control's desk for what callers have at Coze: a keeper of tokens, kept objects, and a Coze by hand."""

import json
from collections.abc import Mapping

from jotgate.core.coze_objects import INTERRUPT, KeptConversation, conversation_key, place_of
from jotgate.core.coze_workflows import OpenInterrupt
from jotgate.core.owned_objects import ObjectAnswer, ObjectKey, ObjectOrder, PutObject, owner_of
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.services.coze_desk import CozeDesk
from jotgate.services.owned_objects import carry_out
from jotgate.stores.memory import MemoryStore
from tests.callers import principal
from tests.token_keeping import KeeperStage

ANN = principal(subject="ann")
BOB = principal(subject="bob")
COZE = Upstream("coze", "coze", "https://api.coze.example", exchanged=True)


class DeskStage:
    """The desk, what control keeps, and a Coze that a test answers by hand."""

    def __init__(self, upstream: Upstream | None = COZE) -> None:
        self.keeping = KeeperStage()
        self.rows = MemoryStore()
        self.upstream = upstream
        self.asked: list[Post] = []
        self.answers: list[Answered | Unanswered] = []
        self.desk = CozeDesk(self.keeping.keeper, self, self._carry_out, lambda: self.upstream)

    async def _carry_out(self, order: ObjectOrder) -> ObjectAnswer:
        return carry_out(self.rows, order, self.keeping.clock.now_s())

    async def post(self, post: Post) -> Answered | Unanswered:
        self.asked.append(post)
        return self.answers.pop(0)

    def plays(self, *answers: Mapping[str, object] | Answered | Unanswered) -> None:
        for one in answers:
            body = Secret(json.dumps(one)) if isinstance(one, Mapping) else None
            self.answers.append(Answered(200, body) if body else one)  # type: ignore[arg-type]

    def talked(self, whose: Principal, name: str, *, label: str = "usual", messages: int = 2) -> None:
        kept = KeptConversation(f"id-of-{name}", label, messages)
        carry_out(
            self.rows,
            PutObject(conversation_key(whose, "coze", label, name), kept.written(), 1_000),
            self.keeping.clock.now_s(),
        )
        self.keeping.clock.advance(1.0)

    def interrupted(self, whose: Principal, call_id: str) -> None:
        key = ObjectKey(INTERRUPT, place_of("coze", "usual"), owner_of(whose), call_id)
        order = PutObject(key, OpenInterrupt("8", "e/1", 2).write(), 1_000)
        carry_out(self.rows, order, self.keeping.clock.now_s())


LISTED = {
    "code": 0,
    "data": [
        {"role": "assistant", "type": "answer", "content": "Hello, né.", "content_type": "text"},
        {"role": "user", "content": '[{"type":"text","text":"Hi"},{"type":"image","file_url":"https://x"}]',
         "content_type": "object_string"},
    ],
}  # fmt: skip
"""What Coze answers who asks for a history."""

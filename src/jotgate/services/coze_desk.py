"""What a caller has at Coze, told by control: conversations with what was said in them, and workflows that wait.

Only what is the caller's own is found: an owner is part of each object's name (`core.owned_objects`). Coze is asked
with the token of the caller's session, as the calls that made the conversation were.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from msgspec import Raw, Struct

from jotgate.core.coze_codes import CozeFault, fault_of, means_token
from jotgate.core.coze_envelopes import read_envelope
from jotgate.core.coze_histories import Message, ask_for_history, read_history
from jotgate.core.coze_objects import (
    INTERRUPT,
    KeptConversation,
    conversation_key,
    conversations_of,
    place_of,
    read_conversation,
)
from jotgate.core.coze_sessions import session_of
from jotgate.core.coze_workflows import OpenInterrupt, read_open
from jotgate.core.owned_objects import (
    DropObject,
    FindObject,
    ListObjects,
    ObjectAnswer,
    ObjectKey,
    ObjectOrder,
    OwnedObject,
    owner_of,
)
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.core.token_exchange import Answered, Post
from jotgate.core.upstream_tokens import NO_REFUSAL, HeldToken, digest_of, lacking_error
from jotgate.core.values import Secret
from jotgate.errors import RecordMissing, UpstreamTokenUnconfigured, UpstreamUnavailable
from jotgate.ports import TokenEndpoint
from jotgate.services.upstream_tokens import UpstreamTokenKeeper

TIMEOUT_S: Final = 8.0
"""Less than the edge waits for control."""
_LIST: Final = "/v1/conversation/message/list?conversation_id="
_TRIES: Final = 2
_REFUSED: Final = 400

CarryOut = Callable[[ObjectOrder], Awaitable[ObjectAnswer]]


class Held(Struct, frozen=True):
    """A conversation of the caller: its name, its times, and what is kept of it."""

    name: str
    created_s: int
    used_s: int
    kept: KeptConversation


class Waiting(Struct, frozen=True):
    """A workflow of the caller that has asked something: its tool call, when that was, and what is kept of it."""

    call_id: str
    created_s: int
    kept: OpenInterrupt


class CozeDesk:
    """Immutable. `find_upstream` gives Coze's as it is configured now; None: there is none.

    Every method takes the caller, and the label of the session. Those that ask Coze return what it refused, where it
    did; they raise UpstreamTokenError, and UpstreamUnavailable.
    """

    def __init__(
        self,
        keeper: UpstreamTokenKeeper,
        web: TokenEndpoint,
        carry_out: CarryOut,
        find_upstream: Callable[[], Upstream | None],
    ) -> None:
        self._keeper = keeper
        self._web = web
        self._carry_out = carry_out
        self._find_upstream = find_upstream

    async def conversations(self, caller: Principal, label: str) -> list[Held]:
        """Those that were used last first. Raises StoreUnavailable."""
        upstream = self._find_upstream()
        if upstream is None:
            return []
        answer = await self._carry_out(conversations_of(caller, upstream.name, label))
        found = [held for one in answer.objects if (held := _held(one)) is not None]
        return sorted(found, key=lambda one: one.used_s, reverse=True)

    async def history(self, caller: Principal, label: str, name: str) -> tuple[Held, list[Message]] | CozeFault:
        """What was said in a conversation, the newest 50 messages. Raises RecordMissing, StoreUnavailable."""
        upstream, held = await self._find(caller, label, name)
        target = _LIST + quote(held.kept.conversation_id, safe="")
        data = await self._ask(upstream, session_of(caller, label), target, ask_for_history())
        if isinstance(data, CozeFault):
            return data
        messages = read_history(data)
        return fault_of(0, "it listed no messages") if messages is None else (held, messages)

    async def clear(self, caller: Principal, label: str, name: str) -> CozeFault | None:
        """Forget a conversation, at Coze first: nobody gets at what was said in it any more.

        Raises RecordMissing, StoreUnavailable.
        """
        upstream, held = await self._find(caller, label, name)
        target = f"/v1/conversations/{quote(held.kept.conversation_id, safe='')}/clear"
        data = await self._ask(upstream, session_of(caller, label), target, b"{}")
        if isinstance(data, CozeFault) and data.meaning.status != RecordMissing.status:
            return data
        await self._carry_out(DropObject(conversation_key(caller, upstream.name, label, name)))
        return None

    async def workflows(self, caller: Principal, label: str) -> list[Waiting]:
        """The workflows that wait for an answer, the newest first. Raises StoreUnavailable."""
        upstream = self._find_upstream()
        if upstream is None:
            return []
        answer = await self._carry_out(ListObjects(INTERRUPT, place_of(upstream.name, label), owner_of(caller)))
        return [waiting for one in answer.objects if (waiting := _waiting(one)) is not None]

    async def workflow(self, caller: Principal, label: str, call_id: str) -> Waiting:
        """One of them. Raises RecordMissing, StoreUnavailable."""
        upstream = self._find_upstream()
        if upstream is not None:
            key = ObjectKey(INTERRUPT, place_of(upstream.name, label), owner_of(caller), call_id)
            for one in (await self._carry_out(FindObject(key))).objects:
                if (waiting := _waiting(one)) is not None:
                    return waiting
        raise RecordMissing("Workflow session not found")

    async def _find(self, caller: Principal, label: str, name: str) -> tuple[Upstream, Held]:
        upstream = self._find_upstream()
        if upstream is not None:
            answer = await self._carry_out(FindObject(conversation_key(caller, upstream.name, label, name)))
            for one in answer.objects:
                if (held := _held(one)) is not None:
                    return upstream, held
        raise RecordMissing("Conversation not found")

    async def _ask(self, upstream: Upstream, session: str, target: str, body: bytes) -> Raw | CozeFault:
        """What Coze answers; a token that it refuses is replaced once."""
        refused, fault = NO_REFUSAL, fault_of(0, "")
        for _ in range(_TRIES):
            token = await self._token(upstream, session, refused)
            answer = await self._post(upstream, target, body, token)
            envelope = read_envelope(answer.body.reveal().encode())
            number = 0 if envelope is None else envelope.code
            if envelope is not None and not number and answer.status < _REFUSED:
                return envelope.data
            fault = fault_of(number, "" if envelope is None else envelope.msg, answer.status)
            if not (upstream.exchanged and means_token(number, answer.status)):
                return fault
            refused = digest_of(token)
        return fault

    async def _token(self, upstream: Upstream, session: str, refused: bytes) -> Secret:
        if upstream.exchanged:
            found = await self._keeper.find(upstream.name, session, refused)
            if isinstance(found, HeldToken):
                return found.token
            raise lacking_error(upstream.name, found)
        if upstream.credential is None:
            raise UpstreamTokenUnconfigured(f"there is no token for the upstream '{upstream.name}'")
        return upstream.credential

    async def _post(self, upstream: Upstream, target: str, body: bytes, token: Secret) -> Answered:
        answer = await self._web.post(
            Post(
                url=upstream.base_url.rstrip("/") + target,
                content_type="application/json",
                body=Secret(body.decode()),
                authorization=Secret(f"Bearer {token.reveal()}"),
                timeout_s=TIMEOUT_S,
                reach=upstream.reach,
            )
        )
        if isinstance(answer, Answered):
            return answer
        raise UpstreamUnavailable("Coze does not answer", debug=answer.reason)


def _held(record: OwnedObject) -> Held | None:
    kept = read_conversation(record.data)
    return None if kept is None else Held(record.name, record.created_s, record.used_s, kept)


def _waiting(record: OwnedObject) -> Waiting | None:
    kept = read_open(record.data)
    return None if kept is None else Waiting(record.name, record.created_s, kept)

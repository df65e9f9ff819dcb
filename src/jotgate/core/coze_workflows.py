"""Workflows of Coze: what a chat completion says to one, and what its answers, histories and events mean."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.coze_asks import ChatAsk
from jotgate.core.coze_codes import CozeFault, fault_of
from jotgate.core.coze_contents import read_text
from jotgate.core.coze_events import CozeEvent
from jotgate.core.coze_replies import Tokens, ToolAsked
from jotgate.errors import RequestMalformed

INTERRUPT_TOOL: Final = "coze_interrupt"
"""The tool that a caller is to run when a workflow asks something; what it returns is the answer."""
RESUMES_MAX: Final = 3
"""So often Coze takes an answer to one interrupt."""
INPUT: Final = "input"
"""The parameter that has the text of the last message."""

_KINDS: Final = {1: "plugin", 2: "question", 5: "input", 7: "oauth"}
_EVENT_ID_MAX: Final = 1_024
_CALL_ID: Final = re.compile(r"call_[A-Za-z0-9_-]{24}", re.ASCII)
_encode: Final = msgspec.json.Encoder().encode


class Unread(ValueError):
    """Coze has said what is none of its answers."""


# What is asked


class Start(Struct, frozen=True):
    """A run that begins. `parameters` are those of its starting node, as JSON."""

    parameters: dict[str, Raw]
    is_async: bool = False


class Resume(Struct, frozen=True):
    """A run that goes on: what it is `told` in answer to the interrupt of this tool call; `where` that was said."""

    call_id: str
    told: str
    where: str


def read_start_or_resume(ask: ChatAsk) -> Start | Resume:
    """What the last message and the member `coze` say to a workflow.

    Raises:
        RequestMalformed: they say what a workflow cannot be told.
    """
    where = f"messages[{len(ask.messages) - 1}]"
    last = ask.messages[-1]
    extension = ask.parameters.extension
    if extension.custom_variables:
        raise RequestMalformed(
            "a workflow has no 'custom_variables'", param="coze", hint="Give it what it needs as 'parameters'"
        )
    told = read_text(last.content, f"{where}.content")
    if last.role == "tool":
        if len(ask.messages) > 1 and ask.messages[-2].role == "tool":
            raise RequestMalformed("a workflow asks one thing at a time, and is told one", param=where)
        return Resume(last.tool_call_id, told, f"{where}.tool_call_id")
    if extension.is_async and ask.stream:
        raise RequestMalformed("what is run asynchronously has no stream", param="coze", hint="Leave 'stream' out")
    return Start({INPUT: Raw(_encode(told)), **extension.parameters}, extension.is_async)


def write_start(workflow_id: str, start: Start, user_id: str) -> bytes:
    """The body that begins a run. `user_id` is the caller as Coze knows it."""
    body: dict[str, object] = {
        "workflow_id": workflow_id,
        "parameters": start.parameters,
        "ext": {"user_id": user_id},
    }
    if start.is_async:
        body["is_async"] = True
    return _encode(body)


# Interrupts


class Interrupt(Struct, frozen=True):
    """What a workflow asks before it goes on.

    `data` is JSON, mostly a text; `node` is the title of who asks, and `question` what that has said before. `tokens`
    is what was used until then, where that is told.
    """

    event_id: str
    kind: int
    data: Raw = Raw(b'""')
    node: str = ""
    question: str = ""
    tokens: Tokens | None = None

    def tool_call(self, workflow_id: str) -> ToolAsked:
        """The tool call that the caller sees. It says nothing by which Coze knows the interrupt."""
        asks = {
            "type": self.kind,
            "kind": _KINDS.get(self.kind, "other"),
            "node": self.node,
            "question": self.question,
            "data": self.data,
        }
        digest = sha256(_encode([workflow_id, self.event_id])).digest()
        call_id = f"call_{urlsafe_b64encode(digest[:18]).decode('ascii')}"
        return ToolAsked(call_id, INTERRUPT_TOOL, _encode(asks).decode())


class OpenInterrupt(Struct, frozen=True):
    """What is kept of an interrupt for whoever may answer it; `answers` counts how often that was tried.

    Until `busy_until_s` (seconds since the epoch) an answer is on its way, and no other is sent.
    """

    workflow_id: str
    event_id: str
    kind: int
    answers: int = 0
    busy_until_s: int = 0

    def write(self) -> bytes:
        """It as it is kept."""
        return _encode(self)


def is_call_id(text: str) -> bool:
    """Whether a text is of the form of such a tool call's id."""
    return _CALL_ID.fullmatch(text) is not None


_decode_open: Final = msgspec.json.Decoder(OpenInterrupt).decode


def read_open(data: bytes) -> OpenInterrupt | None:
    """What was kept; None for what another jotgate wrote otherwise."""
    try:
        return _decode_open(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_resume(interrupt: OpenInterrupt, told: str) -> bytes:
    """The body that tells a workflow the answer."""
    return _encode(
        {
            "workflow_id": interrupt.workflow_id,
            "event_id": interrupt.event_id,
            "resume_data": told,
            "interrupt_type": interrupt.kind,
        }
    )


# What Coze answers


class _Usage(Struct, frozen=True):
    input_count: int = 0
    output_count: int = 0


class _Asked(Struct, frozen=True):
    event_id: str
    type: int
    data: Raw = Raw(b'""')


class _Run(Struct, frozen=True):
    data: Raw = Raw(b'""')
    execute_id: str | None = None
    usage: _Usage | None = None
    interrupt_data: _Asked | None = None


class _History(Struct, frozen=True):
    execute_status: str = ""
    output: Raw = Raw(b'""')
    error_code: int | str | None = None
    error_message: str | None = None
    usage: _Usage | None = None
    is_output_trimmed: bool | None = None


class _Message(Struct, frozen=True):
    content: Raw = Raw(b'""')
    node_title: str | None = None
    usage: _Usage | None = None


class _Interrupted(Struct, frozen=True):
    interrupt_data: _Asked
    node_title: str | None = None


class _Error(Struct, frozen=True):
    error_code: int | str | None = None
    error_message: str | None = None
    code: int | str | None = None
    msg: str | None = None


class Said(Struct, frozen=True):
    """A piece of text, what was used so far where that is told, and the title of the node that says it."""

    text: str
    tokens: Tokens | None = None
    node: str = ""


class Outcome(Struct, frozen=True):
    """A run that has ended well. `is_cut`: Coze has left some of its output out."""

    text: str
    tokens: Tokens | None = None
    is_cut: bool = False


class Begun(Struct, frozen=True):
    """A run that goes on at Coze by itself; it is asked for by this name."""

    execute_id: str


class Done(Struct, frozen=True):
    """The stream is complete."""


class Alive(Struct, frozen=True):
    """Coze is at work still."""


_decode_run: Final = msgspec.json.Decoder(_Run).decode
_decode_histories: Final = msgspec.json.Decoder(list[_History] | None).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_interrupted: Final = msgspec.json.Decoder(_Interrupted).decode
_decode_error: Final = msgspec.json.Decoder(_Error).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_FAULTS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_run(body: bytes, *, is_async: bool) -> Outcome | Interrupt | Begun:
    """What the answer to a run's start says: to one that goes on by itself, its name. Raises Unread."""
    try:
        run = _decode_run(body)
    except _FAULTS:
        raise Unread("the answer to a run is none") from None
    if run.interrupt_data is not None:
        return _interrupt(run.interrupt_data, "", _tokens(run.usage))
    if is_async:
        if not run.execute_id:
            raise Unread("the run has no name by which it can be asked for")
        return Begun(run.execute_id)
    return Outcome(_text(run.data), _tokens(run.usage))


def read_history(data: Raw) -> Outcome | CozeFault | Alive | None:
    """What the history of a run says. None: it has no record of it, or not yet. Raises Unread."""
    try:
        found = _decode_histories(data)
    except _FAULTS:
        raise Unread("the history of a run is none") from None
    if not found:
        return None
    history = found[0]
    match history.execute_status:
        case "Running":
            return Alive()
        case "Success":
            return Outcome(_text(history.output), _tokens(history.usage), bool(history.is_output_trimmed))
        case "Fail":
            return _fault(history.error_code, history.error_message)
    raise Unread(f"the run has a status that nobody knows: {history.execute_status[:32]!r}")


def read_event(event: CozeEvent) -> Said | Interrupt | CozeFault | Done | Alive:
    """What an event of a run says; what has a name that nobody knows says that Coze is at work. Raises Unread."""
    try:
        match event.name:
            case "Message":
                message = _decode_message(event.data)
                return Said(_text(message.content), _tokens(message.usage), message.node_title or "")
            case "Interrupt":
                interrupted = _decode_interrupted(event.data)
                return _interrupt(interrupted.interrupt_data, interrupted.node_title or "")
            case "Error" | "error":
                error = _decode_error(event.data)
                return _fault(error.error_code or error.code, error.error_message or error.msg)
            case "Done" | "done":
                return Done()
    except _FAULTS:
        raise Unread(f"an event {event.name} of a run is none") from None
    return Alive()


def _interrupt(asked: _Asked, node: str, tokens: Tokens | None = None) -> Interrupt:
    if not asked.event_id or len(asked.event_id) > _EVENT_ID_MAX:
        raise Unread("an interrupt has no name by which it can be answered")
    return Interrupt(asked.event_id, asked.type, asked.data, node, tokens=tokens)


def _fault(code: int | str | None, message: str | None) -> CozeFault:
    number = code if isinstance(code, int) else int(code) if code and code.isdecimal() and len(code) < 16 else 0
    return fault_of(number, message or "")


def _tokens(usage: _Usage | None) -> Tokens | None:
    return None if usage is None else Tokens(max(usage.input_count, 0), max(usage.output_count, 0))


def _text(raw: Raw) -> str:
    """A text as it is, and any other JSON as it is written."""
    if bytes(raw)[:1] not in (b'"', b"n"):
        return bytes(raw).decode()
    return _decode_text(raw) or ""

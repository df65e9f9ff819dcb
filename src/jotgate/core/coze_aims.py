"""What a call asks of Coze: a bot or a workflow, in which mode, under which of the caller's labels.

Head fields say it, or members of the body by the same names (`NAMES`); what is said twice must be said alike. A face
with rules of its own (`core.coze_proxy`) settles that when it admits a call, and what it settled stands in
`Request.aim`. The upstream asks `aim_of`: the model that the call is sent with decides on the bot or the workflow, and
what was settled decides the rest.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec
from msgspec import Raw, Struct

from jotgate.core.coze_sessions import is_label
from jotgate.errors import RequestMalformed

Mode = Literal["chat", "conversation", "workflow"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)

BOT: Final = "bot:"
WORKFLOW: Final = "workflow:"
"""How the model begins that names a bot, or a workflow; its id follows."""

MODEL_TYPE: Final = "x-model-type"
BOT_ID: Final = "x-bot-id"
WORKFLOW_ID: Final = "x-workflow-id"
CONVERSATION_ID: Final = "x-conversation-id"
SESSION_NAME: Final = "x-session-name"
NAMES: Final = (MODEL_TYPE, BOT_ID, WORKFLOW_ID, CONVERSATION_ID, SESSION_NAME)
"""The head fields, and the members of a body, that say it."""

_FIELDS: Final = tuple((name, name.encode("ascii")) for name in NAMES)
_ID_MAX: Final = 128
_decode_text: Final = msgspec.json.Decoder(str).decode


class Asked(Struct, frozen=True):
    """What a call says itself; empty: nothing."""

    mode: str = ""
    bot_id: str = ""
    workflow_id: str = ""
    conversation_id: str = ""
    label: str = ""


class Aim(Struct, frozen=True):
    """What is asked of Coze. Of `bot_id` and `workflow_id` one is empty, or both: the model decides.

    `conversation_id` is the caller's name of a conversation, `label` that of a session below the caller; empty: none.
    `alias` is the model as policies, tokens, quotas and the audit log know it.
    """

    mode: Mode
    bot_id: str = ""
    workflow_id: str = ""
    conversation_id: str = ""
    label: str = ""
    alias: str = ""


def read_asked(headers: Mapping[bytes, bytes], members: Mapping[str, Raw]) -> Asked:
    """What the head and the body of a call say. `headers` has lower-case names.

    Raises:
        RequestMalformed: the two disagree, a member is no text, a mode is unknown, an id is none, or a label is longer
            than 128 characters or cannot be printed. `param` is the name of what is at fault.
    """
    found = {}
    for name, field in _FIELDS:
        if field in headers or name in members:
            found[name] = _read_one(name, headers.get(field), members.get(name))
    if not found:
        return _NOTHING
    mode = found.get(MODEL_TYPE, "")
    if mode and mode not in MODES:
        raise RequestMalformed(f"invalid model type: it is none of {', '.join(MODES)}", param=MODEL_TYPE)
    return Asked(mode, *(found.get(name, "") for name in NAMES[1:]))


def without_names(members: Mapping[str, Raw]) -> dict[str, Raw]:
    """The members of a body that say something else."""
    return {name: value for name, value in members.items() if name not in NAMES}


def aim_of(settled: Aim | None, model: str) -> Aim:
    """What a call asks that is sent with this model: `bot:ID` or `workflow:ID`; one without a mark is a bot's id.

    `settled` is `Request.aim`, and None where no face with rules of its own took the call: then the model decides all.
    """
    is_workflow = model.startswith(WORKFLOW)
    ident = model.removeprefix(WORKFLOW) if is_workflow else model.removeprefix(BOT)
    if settled is None:
        return Aim("workflow", workflow_id=ident, alias=model) if is_workflow else Aim("chat", ident, alias=model)
    mode: Mode = settled.mode
    if is_workflow != (mode == "workflow"):  # The operator's route leads elsewhere than the mode that is usual here.
        mode = "workflow" if is_workflow else "chat"
    return Aim(
        mode,
        "" if is_workflow else ident,
        ident if is_workflow else "",
        settled.conversation_id,
        settled.label,
        settled.alias,
    )


def _read_one(name: str, field: bytes | None, member: Raw | None) -> str:
    """One text, out of the head, the body, or both."""
    said = None if field is None else field.decode("utf-8", "replace").strip()
    if member is not None:
        try:
            written = _decode_text(member).strip()
        except msgspec.DecodeError:
            raise RequestMalformed(f"'{name}' is not a string", param=name) from None
        if said is not None and said != written:
            raise RequestMalformed(f"'{name}' says one thing in the head and another in the body", param=name)
        said = written
    if not said:
        return ""
    if name in (SESSION_NAME, CONVERSATION_ID):
        if not is_label(said):
            raise RequestMalformed(f"'{name}' is not 1 to 128 printable characters", param=name)
    elif name != MODEL_TYPE and not _is_id(said):
        raise RequestMalformed(f"'{name}' is not an id: 1 to {_ID_MAX} letters, digits, '_' or '-'", param=name)
    return said


def _is_id(text: str) -> bool:
    return len(text) <= _ID_MAX and text.isascii() and text.replace("_", "").replace("-", "").isalnum()


_NOTHING: Final = Asked()

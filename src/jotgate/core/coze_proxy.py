"""What the face of the Coze proxy (preset `coze-proxy`) decides and answers by, as plain data and pure decisions."""

from collections.abc import Container
from math import inf
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from jotgate.core.calls import Body, Request
from jotgate.core.coze_aims import (
    BOT,
    BOT_ID,
    MODEL_TYPE,
    WORKFLOW,
    WORKFLOW_ID,
    Aim,
    Asked,
    Mode,
    read_asked,
    without_names,
)
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, CREDENTIALS
from jotgate.core.principals import Principal
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.core.routes import Attempt, CredentialPlace, Route
from jotgate.errors import RequestMalformed

COZE_PROXY: Final = "coze-proxy"
"""The name of the preset and of its face."""
UPSTREAM: Final = "coze"
"""The upstream that the preset brings."""
ANY: Final = "*"
LACKING_BOT: Final = "bot_id"
LACKING_WORKFLOW: Final = "workflow_id"
"""The `param` of a refusal of a call that names none where none is configured."""
LOCAL: Final = Principal(
    issuer="jotgate:open-local",
    subject="local",
    client_id="",
    token_id="",
    kid="",
    scopes=frozenset({ALL_OPERATIONS_SCOPE, CREDENTIALS}),
    models=None,
    expires_at_s=inf,
    not_before_s=0.0,
)
"""The one user of a face that looks at no credential; no token speaks for this issuer."""

_encode: Final = msgspec.json.Encoder().encode


class CozeProxyRules(Struct, frozen=True, tag="coze-proxy"):
    """What the variables and `[coze_proxy]` say.

    `default_mode`, `bot_id` and `workflow_id` are taken where a call names none; empty: there is none. `bots` and
    `workflows` are those that callers may name beside these; `ANY`: all. `label` names the session of who names none.
    With `open_local` every caller is the one user of this machine, and no credential is looked at. `has_api_key` and
    `has_jwt` say what is set; where a JWT is, no key is sent. `pages` are the web pages that may read answers,
    `credentials` the places beside the Authorization header in which a call may carry its token.
    """

    default_mode: Mode = "chat"
    bot_id: str = ""
    workflow_id: str = ""
    bots: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    label: str = "openai-proxy"
    open_local: bool = False
    has_api_key: bool = False
    has_jwt: bool = False
    pages: Pages = Pages()
    credentials: tuple[CredentialPlace, ...] = ()


def opened(rules: CozeProxyRules, *, open_local: bool) -> CozeProxyRules:
    """The same rules for a face that is open, or is not, whatever they say themselves.

    Pages of every origin are for none that is open, as where its settings are read.
    """
    pages = Pages() if open_local and ANY_ORIGIN in rules.pages.origins else rules.pages
    return replace(rules, open_local=open_local, pages=pages)


def settle_aim(request: Request, body: Body, rules: CozeProxyRules, routes: Container[str]) -> Body:
    """Settle what a call asks: it stands in `request.aim` from then on; the body to go on with.

    That has the alias as its model, and no longer the members that named what is asked. `routes` are the aliases that
    have one.

    Raises:
        RequestMalformed: there are no messages; or what is named contradicts itself, or is neither named nor set.
    """
    asked = read_asked(request.headers, body.members)
    if _is_empty(body.members.get("messages")):
        raise RequestMalformed("Messages array is required", param="messages")
    request.aim = aim = find_aim(asked, body.model, rules)
    if not (aim.bot_id or aim.workflow_id) and aim.alias not in routes:
        _require_usual(aim.mode, rules)
    members = without_names(body.members)
    if aim.alias == body.model and len(members) == len(body.members):
        return body
    members["model"] = Raw(_encode(aim.alias))
    return Body(members, _encode(members), aim.alias, body.stream)


def _is_empty(messages: Raw | None) -> bool:
    """Whether a body's messages are none: left out, null, or an empty list."""
    return messages is None or bytes(messages).translate(None, b" \t\r\n") in (b"null", b"[]")


def find_aim(asked: Asked, model: str, rules: CozeProxyRules) -> Aim:
    """What a call asks for that names a model, and perhaps more.

    Without a mode it is that of what is named: a workflow's id, or a conversation; else the one that is usual. A model
    is the alias where it decides alone; it may name a bot or a workflow itself.

    Raises:
        RequestMalformed: what is named contradicts itself, or nothing is named where nothing is configured.
    """
    of_model = _named_by(model)
    bot_id = _agree(asked.bot_id, of_model.bot_id, BOT_ID)
    workflow_id = _agree(asked.workflow_id, of_model.workflow_id, WORKFLOW_ID)
    mode = _find_mode(asked, bot_id, workflow_id, rules)
    if of_model.bot_id if mode == "workflow" else of_model.workflow_id:
        raise RequestMalformed("the model names what is not of the model type", param=MODEL_TYPE)
    if asked.conversation_id and mode != "conversation":
        raise RequestMalformed("a conversation is named, and the model type is another", param=MODEL_TYPE)
    label = asked.label or rules.label
    is_workflow = mode == "workflow"
    ident = workflow_id if is_workflow else bot_id
    if not ident and is_workflow == (rules.default_mode == "workflow"):
        return Aim(mode, conversation_id=asked.conversation_id, label=label, alias=model)
    if not ident:
        ident = _require_usual(mode, rules)
    if is_workflow:
        return Aim(mode, workflow_id=ident, label=label, alias=WORKFLOW + ident)
    return Aim(mode, ident, conversation_id=asked.conversation_id, label=label, alias=BOT + ident)


def open_route(alias: str, rules: CozeProxyRules) -> Route | None:
    """The route of a bot or a workflow that is not configured, where callers may name it; None: they may not."""
    if alias.startswith(BOT):
        named, known = rules.bots, alias[len(BOT) :]
    elif alias.startswith(WORKFLOW):
        named, known = rules.workflows, alias[len(WORKFLOW) :]
    else:
        return None
    return (
        Route(alias, (Attempt(UPSTREAM, alias),), credentials=rules.credentials)
        if ANY in named or known in named
        else None
    )


def _find_mode(asked: Asked, bot_id: str, workflow_id: str, rules: CozeProxyRules) -> Mode:
    if asked.mode == "workflow":
        return "workflow"
    if asked.mode == "conversation" or (not asked.mode and asked.conversation_id):
        return "conversation"
    if asked.mode == "chat":
        return "chat"
    if workflow_id and not bot_id:
        return "workflow"
    if bot_id and not workflow_id:
        return "chat" if rules.default_mode == "workflow" else rules.default_mode
    return rules.default_mode


def _named_by(model: str) -> Asked:
    """What a model names beside being an alias."""
    if model.startswith(BOT):
        return Asked(bot_id=model[len(BOT) :])
    return Asked(workflow_id=model[len(WORKFLOW) :]) if model.startswith(WORKFLOW) else Asked()


def _agree(named: str, of_model: str, param: str) -> str:
    if named and of_model and named != of_model:
        raise RequestMalformed(f"'{param}' names another one than the model", param=param)
    return named or of_model


def _require_usual(mode: Mode, rules: CozeProxyRules) -> str:
    """The id that is taken where none is named. Raises RequestMalformed where none is configured."""
    if mode == "workflow":
        if not rules.workflow_id:
            raise RequestMalformed(
                "no workflow is named, and COZE_WORKFLOW_ID is not set",
                param=LACKING_WORKFLOW,
                hint=f"Send {WORKFLOW_ID}",
            )
        return rules.workflow_id
    if not rules.bot_id:
        raise RequestMalformed("no bot is named, and COZE_BOT_ID is not set", param=LACKING_BOT, hint=f"Send {BOT_ID}")
    return rules.bot_id

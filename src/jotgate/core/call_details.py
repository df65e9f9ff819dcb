"""`authorization_details` (RFC 9396) of the one type that there is: for which calls a token is wanted, and no others.

An object of the type `jotgate_call` names `actions`, which are operations, `models`, and `limits`, which are texts of
`core.limit_texts`; one that it leaves out stays unbounded by it. All are granted as they are asked for, or refused:
nobody gets another token than he counts on.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from jotgate.core.claim_values import is_name
from jotgate.core.limit_texts import LIMITS_MAX, read_limits
from jotgate.core.not_offered import NOT_OFFERED
from jotgate.core.oauth_form import Form
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, SCOPES
from jotgate.core.quotas import TokenLimit
from jotgate.core.rights import Rights, within_scopes
from jotgate.errors import AuthorizationDetailsRefused, CommandError, TokenMalformed
from jotgate.jose.encoding import parse_object

CALL_TYPE: Final = "jotgate_call"
ACTIONS: Final = SCOPES - {ALL_OPERATIONS_SCOPE}
PARAMETER: Final = "authorization_details"

_NAMES_MAX: Final = 64
_NAME_MAX: Final = 256
_MEMBERS: Final = frozenset({"type", "actions", "models", "limits"})


class CallDetails(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object: what is asked for, and as the answer repeats it, what is granted. At least one member is there."""

    type: str
    actions: tuple[str, ...] | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    limits: tuple[str, ...] | UnsetType = UNSET


def read_details(form: Form) -> CallDetails | None:
    """What a request asks for (RFC 9396 s5); None when it has no such parameter.

    Raises:
        AuthorizationDetailsRefused: it is no JSON array of one object of the type, or the object has other members.
        OAuthMalformed: the parameter holds characters that none has.
    """
    text = form.one(PARAMETER)
    if not text:
        return None
    try:
        # An array is no object for a strict reader; within one nothing can be closed, as names there stand once.
        found = parse_object(b'{"%s":%s}' % (PARAMETER.encode(), text.encode()), PARAMETER)
    except TokenMalformed as fault:
        raise _refused(f"'{PARAMETER}' cannot be read: {fault.message}") from None
    listed = found[PARAMETER]
    if len(found) != 1 or not isinstance(listed, list) or not listed:
        raise _refused(f"'{PARAMETER}' is not a JSON array of objects")
    if len(listed) > 1:
        raise _refused(f"'{PARAMETER}' has more than one object", hint="Ask for one token for each")
    return _read_call(listed[0])


def bound_by(details: CallDetails | None, scope: str, most: Rights) -> tuple[str, Rights]:
    """What is asked for then: the scopes, and the most that may be granted of them.

    `scope` is the parameter of that name. Of operations the token is to have the actions alone, which must be within
    it; without it nothing but them.

    Raises:
        AuthorizationDetailsRefused: more is asked for than `scope` names, or `most` has.
    """
    if details is None:
        return scope, most
    models = most.models
    if details.models is not UNSET:
        if models is not None:
            _check_within("models", details.models, models)
        models = frozenset(details.models)
    if details.actions is not UNSET:
        scope = _narrowed(scope, details.actions)
        refused = [one for one in details.actions if one not in within_scopes((one,), most.scopes)]
        if refused:
            raise _beyond("actions", within_scopes(ACTIONS, most.scopes))
    return scope, Rights(most.scopes, models, most.roles)


def asked_limits(details: CallDetails | None) -> tuple[TokenLimit, ...]:
    """The limits that are asked for: of the token itself, beside those that it gets anyway."""
    if details is None or details.limits is UNSET:
        return ()
    return tuple(map(TokenLimit, read_limits(details.limits)))


def _narrowed(scope: str, actions: tuple[str, ...]) -> str:
    if not scope:
        return " ".join(actions)
    names = scope.split(" ")
    if [one for one in actions if one not in within_scopes((one,), frozenset(names))]:
        raise _refused("one of the actions is not within the parameter 'scope'", hint="Name it there, or leave it out")
    return " ".join((*actions, *(name for name in names if name not in SCOPES)))


def _read_call(found: object) -> CallDetails:
    if not isinstance(found, dict):
        raise _refused(f"'{PARAMETER}' has something in it that is no object")
    if found.get("type") != CALL_TYPE:
        raise _refused("an object is of a type that is not known here", hint=f"The type is '{CALL_TYPE}'")
    for name in found:
        if name not in _MEMBERS:
            later = f"'{name}' is not offered: {NOT_OFFERED[name]}" if name in NOT_OFFERED else ""
            raise _refused(
                later or "an object has a member that its type does not have", hint="It has actions, models, limits"
            )
    if len(found) == 1:
        raise _refused("an object names neither actions nor models nor limits")
    actions, models = (_read_names(found, name) for name in ("actions", "models"))
    if actions is not UNSET and not ACTIONS.issuperset(actions):
        raise _refused("one of the actions is unknown", hint=f"The actions are: {', '.join(sorted(ACTIONS))}")
    return CallDetails(type=CALL_TYPE, actions=actions, models=models, limits=_read_limits(found))


def _read_names(found: dict[str, object], name: str) -> tuple[str, ...] | UnsetType:
    if name not in found:
        return UNSET
    texts = found[name]
    if not isinstance(texts, list) or not 1 <= len(texts) <= _NAMES_MAX:
        raise _refused(f"'{name}' is not an array of 1 to {_NAMES_MAX} names")
    names = [text for text in texts if is_name(text) and len(text) <= _NAME_MAX]
    if len(set(names)) != len(texts):
        raise _refused(f"'{name}' has something that is no name in it, or one name twice")
    return tuple(names)


def _read_limits(found: dict[str, object]) -> tuple[str, ...] | UnsetType:
    if "limits" not in found:
        return UNSET
    texts = found["limits"]
    if not isinstance(texts, list) or not 1 <= len(texts) <= LIMITS_MAX:
        raise _refused(f"'limits' is not an array of 1 to {LIMITS_MAX} limits")
    names = [text for text in texts if is_name(text) and len(text) <= _NAME_MAX]
    if len(names) != len(texts):
        raise _refused("'limits' has something in it that is no limit")
    try:
        read_limits(names)
    except CommandError as error:
        raise _refused(error.message, hint=error.hint) from None
    return tuple(names)


def _check_within(what: str, asked: Iterable[str], allowed: frozenset[str]) -> None:
    if not allowed.issuperset(asked):
        raise _beyond(what, allowed)


def _beyond(what: str, allowed: Iterable[str]) -> AuthorizationDetailsRefused:
    known = " ".join(sorted(allowed))
    return _refused(f"one of the {what} asked for may not be granted", hint=f"What may be: {known or 'none'}")


def _refused(message: str, hint: str = "") -> AuthorizationDetailsRefused:
    return AuthorizationDetailsRefused(message, hint=hint)

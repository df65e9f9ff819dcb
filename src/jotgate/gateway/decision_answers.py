"""Answers what proxies ask: a request whose token is good is let pass or not, and the upstream is told who calls."""

from collections.abc import Callable
from functools import partial
from typing import Final

from jotgate.core.decisions import PathRule, identity_lines
from jotgate.core.principals import Principal
from jotgate.errors import InsufficientScope
from jotgate.gateway.admission import expect, permit
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.identities import NO_IDENTITY, Identities
from jotgate.gateway.metered_plain import Answering
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.records import CallRecorder
from jotgate.ports import Caller, Running

_OK: Final = 200
_KEPT_NOWHERE: Final = b"Cache-Control: no-store\r\n"
_LINES_MAX: Final = 8_192

Count = Callable[[Answering, Opened, Caller], Running | None]
"""Has a request answered by what it is given once it is counted, or lets it wait for that, or refuses it."""


class DecisionAnswers:
    """Those of one worker. Mutable: the lines that tell of the principals which passed last, in two generations.

    `identities` are what tells of them by tokens; None: nothing does.
    """

    def __init__(self, recorder: CallRecorder) -> None:
        self._recorder = recorder
        self.identities: Identities | None = None
        self._young: dict[int, tuple[Principal, bytes]] = {}
        self._old: dict[int, tuple[Principal, bytes]] = {}

    def answer(self, count: Count, opened: Opened, caller: Caller) -> Running | None:
        """Let a request pass whose caller may have it, and record that; only what may pass is counted, by `count`.

        Raises:
            InsufficientScope: its token has not the scopes that the path's rule asks for.
            ClaimRefused: its token is not such as the rule expects; it has its evidence.
            PermissionRefused, ControlStale: as for a call (`admission.permit`).
            IdentityUnwritten: the upstream is to be told by a token who calls, and there is none any more.
        """
        rule, principal = opened.request.asked, opened.principal
        assert rule is not None, "the face's requests have one"
        told = self._lines(principal)
        if rule.public:
            self._let_pass(told + NO_IDENTITY, "", opened, caller)
            return None
        policy, identity = _permit(opened, rule), NO_IDENTITY
        if self.identities is not None:
            identity = self.identities.line(principal, opened.world, opened.now_s)
        return count(partial(self._let_pass, told + identity, policy), opened, caller)

    def _let_pass(self, told: bytes, policy: str, opened: Opened, caller: Caller) -> None:
        request = opened.request
        caller.respond(_OK, request_id_line(request.request_id) + told, b"")
        name = "" if request.asked is None else request.asked.name
        self._recorder.answered(request, opened.principal, status=_OK, model=name, bytes_out=0, policy=policy)

    def _lines(self, principal: Principal) -> bytes:
        found = self._young.get(id(principal))
        if found is not None and found[0] is principal:
            return found[1]
        if len(self._young) >= _LINES_MAX:
            self._old, self._young = self._young, {}
        found = self._old.get(id(principal))
        if found is None or found[0] is not principal:
            found = (principal, _KEPT_NOWHERE + identity_lines(principal))
        self._young[id(principal)] = found
        return found[1]


def _permit(opened: Opened, rule: PathRule) -> str:
    """Refuse who may not pass; the policy that lets one pass although what was revoked is not known."""
    request, principal, world = opened.request, opened.principal, opened.world
    if not principal.scopes.issuperset(rule.scopes):
        wanted = " ".join(rule.scopes)
        raise InsufficientScope(
            wanted,
            f"the token's scopes do not cover this path, which takes {wanted}",
            hint=f"Get a token with {'this scope' if len(rule.scopes) == 1 else 'these scopes'}",
        )
    if rule.expects is not None:
        expect(request, principal, rule.expects, world, opened.now_s)
    allowed = permit(request, principal, opened.operation, world, opened.now_s, model=rule.name)
    return allowed.policy if request.stale else ""

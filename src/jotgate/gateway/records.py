"""Writes the one audit record in which every request of the gateway ends."""

from typing import Final

from msgspec import Struct

from jotgate.core.audit import CallRecord
from jotgate.core.calls import Request
from jotgate.core.principals import NOBODY, Principal
from jotgate.errors import JotgateError, PolicyDenied, QuotaExceeded
from jotgate.gateway.relay import Relay
from jotgate.ports import Clock, Journal, Trail
from jotgate.services.tally import Tally


class _Plain(Struct, frozen=True):
    """What became of a request that was not forwarded."""

    status: int
    model: str = ""
    bytes_out: int = 0
    policy: str = ""


class CallRecorder:
    """Builds records for one worker instance, counts them and hands them to the trail."""

    def __init__(
        self,
        *,
        clock: Clock,
        trail: Trail,
        instance: str,
        tally: Tally | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.trail: Final = trail
        self._clock = clock
        self._instance = instance
        self._tally = tally or Tally()
        self._journal = journal

    def refused(self, request: Request, principal: Principal | None, refusal: JotgateError, *, status: int) -> None:
        """The request was told no. One that proved nothing is counted only when the trail is crowded."""
        if isinstance(refusal, QuotaExceeded):
            self._tally.quota_refused(refusal.standing)
        if principal is None and self.trail.crowded:
            self._tally.settled(
                CallRecord(
                    at=0,
                    worker=self._instance,
                    row=0,
                    operation=request.operation,
                    status=status,
                    outcome="refused",
                    duration_us=self._times(request)[0],
                    code=refusal.code,
                )
            )
            return
        plain = _Plain(status, "" if request.asked is None else request.asked.name, policy=_policy_of(refusal))
        self._append_plain(request, principal or NOBODY, plain, refusal)

    def answered(
        self,
        request: Request,
        principal: Principal,
        *,
        status: int,
        model: str = "",
        bytes_out: int,
        policy: str = "",
    ) -> None:
        """The request was answered from the snapshot, or by control; `policy` is as for a Call."""
        self._append_plain(request, principal, _Plain(status, model, bytes_out, policy))

    def passed_over(self, relay: Relay) -> None:
        """The call goes on to its next attempt."""
        if relay.place is not None:
            self._tally.passed_over(relay.place.upstream.name)

    def settled(self, relay: Relay) -> None:
        """The call has ended, whichever way."""
        request, principal, usage = relay.call.request, relay.call.principal, relay.usage
        charged, payload = relay.charged, request.payload
        duration_us, at_us = self._times(request)
        # By position, since names would cost a microsecond; the types tell most mistakes, the tests the others.
        record = CallRecord(
            at_us,
            self._instance,
            self.trail.next_row(),
            request.operation,
            relay.status,
            relay.outcome,
            duration_us,
            request.request_id,
            request.peer,
            relay.call.route.alias,
            "" if relay.place is None else relay.place.upstream.name,
            principal.subject,
            principal.client_id,
            principal.issuer,
            principal.token_id,
            principal.kid,
            relay.code,
            relay.streams,
            usage.prompt_tokens,
            usage.completion_tokens,
            len(request.body),
            relay.bytes_out,
            relay.evidence,
            relay.call.policy,
            charged,
            principal.actors[0].subject if principal.actors else "",
            relay.steps,
            request.face,
            request.tool,
            request.rule,
            "" if payload is None else payload.arguments,
            "" if payload is None else payload.result,
        )
        self._tally.settled(record, relay.upstream_us())
        if charged is not None:
            self._tally.charged(charged, relay.spent)
        if record.code and self._journal is not None:
            self._journal.note(record, relay.debug)
        self.trail.append(record)

    def _append_plain(
        self, request: Request, principal: Principal, plain: _Plain, refusal: JotgateError | None = None
    ) -> None:
        duration_us, at_us = self._times(request)
        code = "" if refusal is None else refusal.code
        record = CallRecord(
            at=at_us,
            duration_us=duration_us,
            request_id=request.request_id,
            worker=self._instance,
            row=self.trail.next_row(),
            peer=request.peer,
            operation=request.operation,
            model=plain.model,
            subject=principal.subject,
            client_id=principal.client_id,
            issuer=principal.issuer,
            token=principal.token_id,
            kid=principal.kid,
            status=plain.status,
            outcome="refused" if code else "complete",
            code=code,
            bytes_in=len(request.body),
            bytes_out=plain.bytes_out,
            refused=None if refusal is None else refusal.evidence,
            policy=plain.policy,
            actor=principal.actors[0].subject if principal.actors else "",
            face=request.face,
            tool=request.tool,
            rule=request.rule,
        )
        self._tally.settled(record)
        if code and self._journal is not None:
            self._journal.note(record, "")
        self.trail.append(record)

    def _times(self, request: Request) -> tuple[int, int]:
        duration_s = self._clock.monotonic_s() - request.begun_s
        return int(duration_s * 1e6), int((self._clock.now_s() - duration_s) * 1e6)


def _policy_of(refusal: JotgateError) -> str:
    return refusal.policy if isinstance(refusal, PolicyDenied) else ""

"""What is not the caller's fault: an upstream failed, or the answer cannot be known now."""

from collections.abc import Hashable
from typing import ClassVar

from jotgate.codes import Code
from jotgate.fault import JotgateError


class UpstreamError(JotgateError):
    """An upstream, not the caller, is at fault. `counts`: it is a failure by which upstreams are judged (breakers)."""

    status = 502
    counts: ClassVar[bool] = True


class UpstreamUnavailable(UpstreamError):
    """No connection could be made, or it closed before an answer."""

    code = Code.UPSTREAM_UNAVAILABLE


class UpstreamTimeout(UpstreamError):
    """A deadline (first byte, idle or total) passed."""

    code = Code.UPSTREAM_TIMEOUT
    status = 504


class UpstreamTorn(UpstreamError):
    """The answer broke off, or was not HTTP."""

    code = Code.UPSTREAM_TORN


class UpstreamFailed(UpstreamError):
    """The upstream says itself that it cannot go on with an answer that it has begun."""

    code = Code.UPSTREAM_FAILED


class UpstreamRefused(UpstreamError):
    """The upstream refused jotgate's own credential; never shown as the caller's 401."""

    code = Code.UPSTREAM_REFUSED


class UpstreamTokenError(UpstreamError):
    """There is no token that the upstream could be sent. Nothing was sent to it. `cause` is safe to be told.

    It is no fault of the upstream, and perhaps one session's alone.
    """

    cause: str = ""
    counts = False


class UpstreamTokenRefused(UpstreamTokenError):
    """What is configured to get one is refused by the token endpoint, or cannot be used at all."""

    code = Code.UPSTREAM_TOKEN_REFUSED


class UpstreamTokenUnconfigured(UpstreamTokenError):
    """Nothing says how one is got."""

    code = Code.UPSTREAM_TOKEN_UNCONFIGURED
    status = 503


class UpstreamTokenUnavailable(UpstreamTokenError):
    """The token endpoint, or control, cannot be reached or cannot answer now; `retry_after_s` says when it may."""

    code = Code.UPSTREAM_TOKEN_UNAVAILABLE
    status = 503

    def __init__(self, message: str, *, retry_after_s: int, debug: str = "") -> None:
        super().__init__(message, hint="Try again after the time in Retry-After", debug=debug)
        self.retry_after_s = retry_after_s


class ChainStepFailed(UpstreamError):
    """A step of a chain could not be done: its upstreams refused it, or none of them may be asked."""

    code = Code.CHAIN_STEP_FAILED


class ChainStepHeld(ChainStepFailed):
    """… now: each has asked to be left alone, has no room, or has failed several times in a row."""

    status = 503

    def __init__(self, message: str, *, retry_after_s: int, debug: str = "") -> None:
        super().__init__(message, hint="Try again after the time in Retry-After", debug=debug)
        self.retry_after_s = retry_after_s


class ChainOutputInvalid(UpstreamError):
    """A step of a chain answered what its schema does not allow, also when it was asked again."""

    code = Code.CHAIN_OUTPUT_INVALID


class ChainGateClosed(UpstreamError):
    """A gate of a chain does not let a step's output through: there is no answer that may be given."""

    code = Code.CHAIN_GATE_CLOSED
    status = 422


class Unavailable(JotgateError):
    """The answer cannot be known now; `retry_after_s` becomes the Retry-After header."""

    status = 503
    retry_after_s: int = 1


class NotReady(Unavailable):
    """This worker has no snapshot yet."""

    code = Code.NOT_READY


class ControlStale(Unavailable):
    """The control process has been silent for longer than `max_staleness`; what is held may be out of date."""

    code = Code.CONTROL_STALE


class ControlUnreachable(Unavailable):
    """The path is the control process's to answer, and it does not answer now."""

    code = Code.CONTROL_UNREACHABLE


class TokenUnresolved(ControlUnreachable):
    """The personal token with this `digest` is not held, and control has not been asked about it."""

    def __init__(self, digest: bytes, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.digest = digest


class IdentityUnwritten(ControlUnreachable):
    """What tells the upstream who shows the token with this `digest` is not held, and control has not been asked."""

    def __init__(self, digest: bytes, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.digest = digest


class TicketUnredeemed(ControlUnreachable):
    """The handshake shows a ticket, and control has not said yet what that stands for."""

    default_hint = "Try again in a moment, with a new ticket"


class ProofUnmarked(ControlUnreachable):
    """The request's DPoP proof is good in itself, and control has not said yet that it is in time and was not used."""

    default_hint = "Try again in a moment, with a new proof"


class AuditUnavailable(Unavailable):
    """The audit buffer is full: nothing is let through unrecorded."""

    code = Code.AUDIT_UNAVAILABLE


class StoreUnavailable(Unavailable):
    """The store cannot be reached, is locked for too long, or its disk is full or broken."""

    code = Code.STORE_UNAVAILABLE


class IssuerUnavailable(Unavailable):
    """The keys of the token's issuer are not to be had, or its word about a user is not. Never a 401."""

    code = Code.ISSUER_UNAVAILABLE
    retry_after_s = 5
    default_hint = "Try again in a moment"


class StatusUnresolved(IssuerUnavailable):
    """What stands of the token at its place in a status list is not held, and control has not been asked.

    `place` is the `iss`, the URI of the list and the index.
    """

    def __init__(self, place: tuple[str, str, int], message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.place = place


class IssuanceHeld(Unavailable):
    """What would be issued would be refused: whose it is, or what it comes of, was revoked a moment ago."""

    code = Code.ISSUANCE_HELD


class UpstreamBusy(Unavailable):
    """Every upstream of the route is at its bound: the queue is full, or the call's time in it is over."""

    code = Code.UPSTREAM_BUSY


class UpstreamSuspended(Unavailable):
    """No upstream of the route is asked for now: each has failed several times in a row."""

    code = Code.UPSTREAM_SUSPENDED


class KongUnavailable(Unavailable):
    """Kong's Admin API cannot be reached, or fails; what was asked may have been done, and may be asked again."""

    code = Code.KONG_UNAVAILABLE
    default_hint = "Try again in a moment"


class KongTimeout(KongUnavailable):
    """It did not answer in time."""

    code = Code.KONG_TIMEOUT
    status = 504


class KongRefused(JotgateError):
    """Kong refuses what jotgate asks of its Admin API, or answers what it should not; asking again is of no use."""

    code = Code.KONG_REFUSED
    status = 502


class KongConflict(KongRefused):
    """Kong has something of that name, or with that key, which is not jotgate's, or is another user's."""

    code = Code.KONG_CONFLICT
    status = 409


class QuotaUnavailable(Unavailable):
    """What is left of a quota that meets the call cannot be known now, and nothing is held of it."""

    code = Code.QUOTA_UNAVAILABLE
    default_hint = "Try again in a moment"


class UnitsUnresolved(QuotaUnavailable):
    """The call's quotas, or units of them, are not held yet, and control has been asked for them: the call may wait.

    `key` is what is told when there is something new for it; it stays the same however often the call tries again.
    `verdict` is what the caller is told when it has waited for long enough. `late`: there is enough, by what the ledger
    said last, and its answer is all that lacks.
    """

    def __init__(self, key: Hashable, verdict: JotgateError, *, late: bool = False) -> None:
        super().__init__(verdict.message, hint=verdict.hint, debug=verdict.debug)
        self.key = key
        self.verdict = verdict
        self.late = late

"""Renders a refusal as a problem detail (RFC 9457), for the admin API and for whoever asks for one by Accept."""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from jotgate.core.problems import Problem, challenge_of, further_lines, scrub
from jotgate.core.quota_answers import QuotaTold, told
from jotgate.errors import (
    Code,
    CommandError,
    ConfigurationError,
    DirectoryBusy,
    DirectoryRefused,
    InternalError,
    JotgateError,
    QuotaExceeded,
    RequestMalformed,
    StoreRefused,
)

PROBLEM_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:jotgate:error:"
_REGISTRY: Final = "https://iana.org/assignments/http-problem-types#"
_REGISTERED: Final = {
    Code.QUOTA_EXCEEDED: "quota-exceeded",
    Code.QUOTA_UNAVAILABLE: "temporary-reduced-capacity",
    Code.ATTEMPTS_THROTTLED: "abnormal-usage-detected",
}
_OF_THE_MACHINE: Final = (DirectoryBusy, DirectoryRefused, StoreRefused)
_encode: Final = msgspec.json.Encoder().encode


class Flaw(Struct, frozen=True):
    """One thing that is wrong with what was sent: the member, and what is wrong there and what to send."""

    member: str
    detail: str


class ProblemDetail(Struct, frozen=True, omit_defaults=True):
    """Why a request is not done. `type` names `code`, and leads nowhere (s3.1.1); `instance` is the request's id.

    `detail` says what is wrong and what to do. `errors` names each member of the body that is at fault.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    errors: tuple[Flaw, ...] = ()


class QuotaProblem(
    ProblemDetail,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"violated_policies": "violated-policies"},
):
    """A problem of one of the types of draft-ietf-httpapi-ratelimit-headers-11 s5; `quota` is the one that is spent."""

    violated_policies: tuple[str, ...] = ()
    quota: QuotaTold | None = None


def render_details(error: JotgateError, request_id: str, metadata_url: str) -> Problem:
    """The error as an administrator may see it: message, hint and code, never `debug` nor evidence.

    `metadata_url` is where the resource that was asked for describes itself (RFC 9728 s5.1), for the challenge; it may
    be empty.
    """
    error, status = _told(error)
    text = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    detail = ProblemDetail(
        type=_TYPE + error.code,
        title=error.code.replace("_", " ").capitalize(),
        status=status,
        detail=text,
        code=error.code,
        instance=request_id,
        errors=_flaws(error),
    )
    lines = b"Content-Type: %b\r\nCache-Control: no-store\r\n" % PROBLEM_TYPE.encode("ascii")
    challenge = challenge_of(error)
    if challenge and metadata_url:
        challenge += b', resource_metadata="%b"' % scrub(metadata_url)
    if challenge:
        lines += b"WWW-Authenticate: " + challenge + b"\r\n"
    return Problem(status, lines + further_lines(error), _encode(_of_quotas(detail, error)))


def _told(error: JotgateError) -> tuple[JotgateError, int]:
    """What is said, and its status: a command's refusal is a conflict here, unless the machine itself is at fault."""
    if isinstance(error, ConfigurationError):
        return error, 422
    if isinstance(error, _OF_THE_MACHINE):
        return InternalError("jotgate cannot use its store or its data directory", debug=error.message), 500
    return error, 409 if isinstance(error, CommandError) else error.status


def _of_quotas(detail: ProblemDetail, error: JotgateError) -> ProblemDetail:
    """The problem as one of a registered type, if there is one for it."""
    registered = _REGISTERED.get(error.code)
    if registered is None:
        return detail
    found = {**asdict(detail), "type": _REGISTRY + registered}
    if isinstance(error, QuotaExceeded):
        return QuotaProblem(**found, violated_policies=(error.standing.name,), quota=told(error.standing))
    return QuotaProblem(**found)


def _flaws(error: JotgateError) -> tuple[Flaw, ...]:
    if isinstance(error, ConfigurationError):
        return tuple(Flaw(path, fault) for path, fault in error.faults)
    if isinstance(error, RequestMalformed) and error.param:
        return (Flaw(error.param, error.message),)
    return ()

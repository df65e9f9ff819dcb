"""What Coze's codes mean for a caller who speaks OpenAI: status, type and code of the error that is told.

Coze says them in its JSON, also under the status 200; its statuses alone decide nothing but for what has no code.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

ErrorType = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"
]
TOKEN_CODES: Final = frozenset({4100, 700012006})
"""The token is not taken: a new one is got, once."""
TOKEN_OR_RIGHTS: Final = 4101
"""The token is not taken, or lacks a permission: Coze says the same of both."""
NOT_CANCELABLE: Final = 4104
BUSY: Final = 4016
"""The conversation has a chat that runs."""
MESSAGE_MAX: Final = 512

_encode: Final = msgspec.json.Encoder().encode


class Meaning(Struct, frozen=True):
    """How one code is told. `words` stand before Coze's own; `retry_after_s` 0: no Retry-After is said.

    Of a `private` one Coze's own words are not told: they speak of the operator's account.
    """

    status: int
    kind: ErrorType
    code: str
    words: str
    retry_after_s: int = 0
    private: bool = False


class CozeFault(Struct, frozen=True):
    """What Coze has refused, or ended badly. `number` is its code, 0 where it said none; `said` its words, cut."""

    meaning: Meaning
    number: int = 0
    said: str = ""

    @property
    def message(self) -> str:
        """What the caller is told."""
        mark = f" (Coze's code {self.number})" if self.number else ""
        said = f": {self.said}" if self.said and not self.meaning.private else ""
        return f"{self.meaning.words}{mark}{said}"

    def body(self) -> bytes:
        """The error object of OpenAI."""
        meaning = self.meaning
        error = {"message": self.message, "type": meaning.kind, "param": None, "code": meaning.code}
        return _encode({"error": error})


def _bad(code: str, words: str, status: int = 400) -> Meaning:
    return Meaning(status, "invalid_request_error", code, words)


_REQUEST: Final = _bad("coze_request_refused", "Coze does not take this request")
_MISSING: Final = _bad("coze_not_found", "Coze has nothing by this name", 404)
_CREDENTIAL: Final = Meaning(401, "authentication_error", "coze_unauthorized", "Coze refused the credential", 0, True)
_FAILED: Final = Meaning(500, "server_error", "coze_failed", "Coze could not answer")
_TIMEOUT: Final = Meaning(504, "server_error", "coze_timeout", "Coze did not answer in time")
_HELD: Final = Meaning(429, "rate_limit_error", "rate_limit_exceeded", "Coze wants fewer requests", 1)
_ACCOUNT: Final = Meaning(429, "rate_limit_error", "insufficient_quota", "the account at Coze is used up", 60, True)
_FILE: Final = _bad("coze_file_refused", "Coze does not take this file")

MEANINGS: Final[Mapping[int, Meaning]] = {
    4000: _REQUEST,
    4001: _bad("coze_chat_not_found", "Coze has no such chat", 404),
    4002: _bad("coze_conversation_not_found", "Coze has no such conversation", 404),
    4003: _REQUEST,
    4004: _REQUEST,
    4005: _bad("coze_message_not_found", "Coze has no such message", 404),
    4006: _bad("model_not_found", "Coze has no such bot", 404),
    4007: _REQUEST,
    4008: Meaning(429, "rate_limit_error", "insufficient_quota", "the day's quota at Coze is used up", 0, True),
    4009: Meaning(429, "rate_limit_error", "rate_limit_exceeded", "a limit of Coze's own is reached", 60),
    4010: _bad("context_length_exceeded", "the messages are longer than the bot's model takes"),
    4011: _ACCOUNT,
    4012: Meaning(500, "server_error", "coze_failed", "the bot's model is none that Coze can use"),
    4013: Meaning(429, "rate_limit_error", "rate_limit_exceeded", "the bot's model is overloaded", 1),
    4014: _FAILED,
    4015: _bad("model_not_found", "the bot is not published to the API", 404),
    BUSY: _bad("conversation_busy", "the conversation has a chat that runs", 409),
    4019: _ACCOUNT,
    4020: Meaning(429, "rate_limit_error", "rate_limit_exceeded", "Coze wants fewer requests a minute", 5),
    4021: _bad("model_not_found", "the workflow is not configured", 404),
    4022: _ACCOUNT,
    4100: _CREDENTIAL,
    TOKEN_OR_RIGHTS: _CREDENTIAL,
    4102: Meaning(403, "permission_error", "coze_risk_control", "Coze's risk control refuses the account", 0, True),
    NOT_CANCELABLE: _bad("coze_not_cancelable", "the chat cannot be cancelled any more", 409),
    4105: _bad("content_filter", "Coze refuses the content as sensitive"),
    4200: _MISSING,
    4300: _FILE,
    4301: _FILE,
    4302: _FILE,
    4303: _FILE,
    4304: _FILE,
    4314: _bad("coze_not_found", "Coze has no record of this run", 404),
    4315: _bad("coze_run_ended", "the run has ended already", 409),
    5000: _FAILED,
    6003: _bad("coze_plan_lacks", "the plan at Coze has no asynchronous runs"),
    6023: _TIMEOUT,
    6031: _bad("model_not_found", "the workflow is not published", 404),
    6039: _bad("coze_interrupt_unsupported", "the workflow asks something where it cannot be answered"),
    700012006: _CREDENTIAL,
}
"""The table of docs/coze.md; what it lacks is taken by its status (`fault_of`)."""

_BY_STATUS: Final[Mapping[int, Meaning]] = {
    400: _REQUEST,
    401: _CREDENTIAL,
    403: _CREDENTIAL,
    404: _MISSING,
    408: _TIMEOUT,
    409: _bad("coze_conflict", "Coze has something under way that contradicts this", 409),
    413: _bad("coze_request_refused", "Coze does not take a request of this size", 413),
    429: _HELD,
    504: _TIMEOUT,
}
_NOT_WELL: Final = 500
_NOT_WELL_ITSELF: Final = msgspec.structs.replace(_FAILED, status=502)
_BUSY_FOR_S: Final = 1


def fault_of(number: int, said: str | None, status: int = 200, retry_after_s: int = 0) -> CozeFault:
    """What a code and a status mean; an unknown code is judged by the status, and under 200 it is a failure of Coze.

    `retry_after_s` is for how long Coze has asked to be left alone, 0 where it has not. A failure is told as 500, which
    says that of one request (`gateway.standing`), and as 502 only where Coze's own status says that it is not well.
    """
    meaning = MEANINGS.get(number) or _BY_STATUS.get(status) or _FAILED
    if status >= _NOT_WELL and meaning is _FAILED:
        meaning = _NOT_WELL_ITSELF
    span_s = retry_after_s or meaning.retry_after_s or (_BUSY_FOR_S if number == BUSY else 0)
    if span_s != meaning.retry_after_s:
        meaning = msgspec.structs.replace(meaning, retry_after_s=span_s)
    return CozeFault(meaning, number, _safe(said or ""))


def means_token(number: int, status: int) -> bool:
    """Whether a refusal says that the token is not taken any more."""
    return number in TOKEN_CODES or status == 401


def _safe(said: str) -> str:
    """Coze's words as one line, of a bounded length."""
    line = " ".join("".join(one if one.isprintable() else " " for one in said).split())
    return line if len(line) <= MESSAGE_MAX else line[: MESSAGE_MAX - 1] + "…"

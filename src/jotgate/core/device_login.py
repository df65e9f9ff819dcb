"""Logging in on another device (RFC 8628), as its client: what the answers say, and what is done next.

Pure: the time is an argument, in seconds of a clock that never goes back.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.login_answers import Refused, read_object, refusal_of, text_of
from jotgate.core.reach import is_loopback_name, split_url
from jotgate.core.values import Secret

_INTERVAL_S: Final = 5.0
_SLOWER_S: Final = 5.0
_INTERVAL_MAX_S: Final = 30.0
_LIVES_S: Final = 300.0
_LIVES_MAX_S: Final = 1_800.0
_USER_CODE_CHARS: Final = 64
_PAGE_CHARS: Final = 1_024

_ENDED: Final[Mapping[str, str]] = {
    "access_denied": "the login was refused by who was asked for it",
    "expired_token": "nobody has used the code in time",
}


class DeviceCode(Struct, frozen=True):
    """What was begun: a code that only the client may know, the one that a user types, and the page to type it on.

    `whole_page` is the page with the code in it. `lives_s` is how long both codes count, `interval_s` the time between
    two questions at least.
    """

    device_code: Secret
    user_code: str
    page: str
    whole_page: str
    lives_s: float
    interval_s: float


class Polls(Struct, frozen=True):
    """How it is asked on: each `interval_s`, until `ends_s`."""

    interval_s: float
    ends_s: float


def read_device_code(status: int, body: bytes) -> DeviceCode | Refused:
    """What a device authorization endpoint answers (RFC 8628 s3.2)."""
    found = read_object(body)
    refused = refusal_of(status, found)
    if refused is not None:
        return refused
    code, user_code = text_of(found, "device_code"), text_of(found, "user_code")
    page = text_of(found, "verification_uri") or text_of(found, "verification_url")
    if not code or not _is_word(user_code, _USER_CODE_CHARS) or not _is_page(page):
        return Refused("invalid_answer", "the answer has no device_code, no user_code, or no page for a browser")
    whole = text_of(found, "verification_uri_complete")
    lives_s = _seconds(found.get("expires_in"), _LIVES_S, _LIVES_MAX_S)
    return DeviceCode(
        device_code=Secret(code),
        user_code=user_code,
        page=page,
        whole_page=whole if _is_page(whole) else f"{page}{'&' if '?' in page else '?'}user_code={quote(user_code)}",
        lives_s=lives_s,
        interval_s=_seconds(found.get("interval"), _INTERVAL_S, _INTERVAL_MAX_S),
    )


def begin_polls(code: DeviceCode, now_s: float) -> Polls:
    """How it is asked at first."""
    return Polls(code.interval_s, now_s + code.lives_s)


def poll_on(polls: Polls, refused: Refused | None, now_s: float) -> Polls | Refused:
    """How it is asked on behind an answer that grants nothing (None: nobody answered), or why it is not.

    `slow_down` is 5 s more from then on, and where nobody answers it is asked half as often (RFC 8628 s3.5).
    """
    if refused is None:
        polls = replace(polls, interval_s=min(_INTERVAL_MAX_S, polls.interval_s * 2))
    elif refused.error == "slow_down":
        polls = replace(polls, interval_s=min(_INTERVAL_MAX_S, polls.interval_s + _SLOWER_S))
    elif refused.error in _ENDED:
        return Refused(refused.error, _ENDED[refused.error])
    elif refused.error != "authorization_pending":
        return refused
    if now_s + polls.interval_s >= polls.ends_s:
        return Refused("expired_token", _ENDED["expired_token"])
    return polls


def _seconds(given: object, usual: float, most: float) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        return usual
    return min(float(given), most)


def _is_word(text: str, chars: int) -> bool:
    return 0 < len(text) <= chars and text.isascii() and text.isprintable()


def _is_page(url: str) -> bool:
    """Whether a browser may be sent there: https, or this machine."""
    if not _is_word(url, _PAGE_CHARS) or " " in url:
        return False
    try:
        parts = split_url(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback_name(parts.hostname or ""))

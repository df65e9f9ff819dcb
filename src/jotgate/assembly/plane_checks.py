"""Whether the configuration of a plane, printed some time ago, is still right: what `jotgate doctor` looks at of it.

Nothing is changed. The key set is fetched as the plane fetches it, and a plane that verifies tokens by its own clock is
asked what time it is.
"""

import http.client
import ssl
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.assembly.doctor import Check
from jotgate.core.status import Status
from jotgate.errors import JotgateError
from jotgate.planes.edits import in_order, lines_gone
from jotgate.planes.facts import KEY_FILES, Endpoint, GateFacts, Wish, endpoint
from jotgate.planes.printing import command_of, print_plane, verifies_tokens
from jotgate.planes.stamps import Stamp, changes, digest, read_stamp

_PATIENCE_S: Final = 5.0
_FILE_BYTES_MAX: Final = 1_048_576
_ANSWER_BYTES_MAX: Final = 1_048_576
_RESOLUTION_S: Final = 1.0
_SHOWN_MAX: Final = 3
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here

FindFacts = Callable[[Wish, str], GateFacts]
"""What is so now, for a wish and the plane that it is of. Raises JotgateError."""


class _Key(Struct, frozen=True):
    kid: str = ""


class _KeySet(Struct, frozen=True):
    keys: list[_Key]


class Looking(Struct, frozen=True):
    """What a look at a file needs: what is so now, the running control, what time it is (NumericDate).

    `asked`: somebody may ask for decisions.
    """

    find: FindFacts
    running: Status | None
    now_s: Callable[[], float]
    asked: bool


def check_plane(path: Path, looking: Looking, plane: str = "") -> Iterator[Check]:
    """Each line of the report on one file; `plane` is the one that it should be of, where that was said."""
    name = f"plane {path}"
    try:
        found = read_stamp(_read(path))
    except OSError as error:
        yield Check(name, "fault", f"cannot be read: {error.strerror}", "Correct planes.files, or print it anew")
        return
    except UnicodeDecodeError:
        found = None
    if found is None:
        fix = "Print it anew, and keep its first lines: jotgate plane NAME print"
        yield Check(name, "unknown", "has not the comment by which a printed configuration is known", fix)
        return
    stamp, body = found
    if plane and stamp.plane != plane:
        fix = f"Ask about it by its own name: jotgate plane {stamp.plane} check {path}"
        yield Check(name, "fault", f"is a configuration of {stamp.plane}, and none of {plane}", fix)
        return
    try:
        now = looking.find(stamp.wish, stamp.plane)
    except JotgateError as error:
        yield Check(name, "unknown", error.message, error.hint)
        return
    yield _check_drift(name, path, stamp, now, body)
    if not looking.asked and not stamp.wish.offline:
        fix = "Set decisions.proxies to the addresses from which it asks"
        yield Check(name, "fault", "asks for decisions, and nobody may ask (decisions.proxies)", fix)
    yield _check_key_set(name, stamp, now, looking.running)
    if verifies_tokens(stamp.plane, stamp.wish):
        yield _check_clock(name, stamp, now.leeway_s, looking.now_s)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_FILE_BYTES_MAX).decode("utf-8")


def _check_drift(name: str, path: Path, stamp: Stamp, now: GateFacts, body: str) -> Check:
    fix = f"Print it anew, and have {stamp.plane} read it: {command_of(stamp.plane, stamp.wish)}"
    found = changes(stamp.facts, now)
    try:
        printed = print_plane(stamp.plane, now, stamp.wish)
    except ValueError as error:
        return Check(name, "fault", f"cannot be had any more: {error}", fix)
    fresh = read_stamp(printed.files[0].text)
    assert fresh is not None, "it was stamped just now"
    if _comparable(stamp) != _comparable(fresh[0]):
        told = "; ".join(found) or "this version of jotgate prints it in another way"
        return Check(name, "fault", f"is out of date: {told}", fix)
    lost = [one for one, expected in stamp.digests.items() if one != stamp.main and _of(path, one) != expected]
    if lost:
        return Check(name, "fault", f"beside it {' and '.join(lost)} should be, as printed", fix)
    if digest(body) != stamp.digests.get(stamp.main):
        return _check_edits(name, stamp.plane, fresh[1], body, fix)
    return Check(name, "ok", "is up to date")


def _check_edits(name: str, plane: str, printed: str, body: str, fix: str) -> Check:
    """What was changed by hand: without a line that protects it may let pass whom it likes, and others are not read."""
    gone = lines_gone(plane, printed, body)
    if gone:
        shown = "; ".join(f"'{line}'" for line in gone[:_SHOWN_MAX])
        more = f", and {len(gone) - _SHOWN_MAX} more" if len(gone) > _SHOWN_MAX else ""
        return Check(name, "fault", f"was changed by hand, and lines that protect are gone: {shown}{more}", fix)
    if not in_order(plane, printed, body):
        return Check(
            name, "fault", "was changed by hand, and its lines stand in another order than they were printed", fix
        )
    text = "was changed by hand; all that protects is there, and what was added is not judged"
    return Check(name, "unknown", text, "Read what was added, or print it anew")


def _comparable(stamp: Stamp) -> dict[str, str]:
    """The digests of all but the keys, which are named in the main file and are known here by their names alone."""
    return {name: value for name, value in stamp.digests.items() if not name.endswith(KEY_FILES)}


def _of(path: Path, name: str) -> str:
    """The digest of a file beside the main one; empty when it is not there."""
    try:
        return digest(_read(path.with_name(name)))
    except (OSError, UnicodeDecodeError):
        return ""


def _check_key_set(name: str, stamp: Stamp, now: GateFacts, running: Status | None) -> Check:
    """Whether the key set can be had where the plane reaches jotgate, and has the key that signs."""
    url = f"{now.gate}{now.jwks_path}"
    try:
        body = _get(endpoint(now.gate), now.jwks_path, stamp.wish.roots)[1]
        kids = {key.kid for key in msgspec.json.decode(body, type=_KeySet).keys}
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or type(error).__name__
        fix = "Start jotgate, or correct --gate and --roots; the plane refuses every call meanwhile"
        return Check(name, "fault", f"{url} cannot be reached: {reason}", fix)
    except msgspec.DecodeError:
        return Check(name, "fault", f"{url} answers with no key set", "Correct --gate")
    if running is not None and running.kid not in kids:
        fix = "Correct --gate: another installation answers there"
        return Check(name, "fault", f"{url} has not the key that signs here ({running.kid})", fix)
    return Check(name, "ok", f"{url} answers with {len(kids)} keys" if len(kids) > 1 else f"{url} answers with a key")


def _check_clock(name: str, stamp: Stamp, leeway_s: int, now_s: Callable[[], float]) -> Check:
    """How far the plane's clock, by which it finds tokens expired, is from this one."""
    where = endpoint(stamp.wish.listen)
    where = msgspec.structs.replace(where, host=_ANYWHERE.get(where.host, where.host))
    before_s = now_s()
    try:
        date = _get(where, "/", "")[0]
        told_s = parsedate_to_datetime(date).timestamp()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        fix = f"Start {stamp.plane}, and run this again"
        return Check(name, "unknown", f"what time it is there cannot be asked at {where.address}: {reason}", fix)
    except ValueError:
        return Check(name, "unknown", f"{where.address} does not say what time it is there")
    skew_s = max(told_s - now_s(), before_s - told_s - _RESOLUTION_S, 0.0)
    if skew_s <= max(leeway_s, _RESOLUTION_S):
        return Check(name, "ok", f"its clock goes with this one, within {max(leeway_s, 1)} s")
    fix = "Run an NTP client on both machines; it judges by its own clock when tokens end"
    return Check(name, "fault", f"its clock is {skew_s:.0f} s from this one or more, and {leeway_s} s are allowed", fix)


def _get(where: Endpoint, path: str, roots: str) -> tuple[str, bytes]:
    """Date and body of an answer, whatever its status is."""
    connection: http.client.HTTPConnection
    if where.tls:
        context = ssl.create_default_context(cafile=roots or None)
        connection = http.client.HTTPSConnection(where.host, where.port, timeout=_PATIENCE_S, context=context)
    else:
        connection = http.client.HTTPConnection(where.host, where.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.headers.get("Date", ""), response.read(_ANSWER_BYTES_MAX)
    finally:
        connection.close()

"""What `jotgate doctor` finds out about Kong: whether its Admin API answers, and whether it is as it is to be."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from jotgate.assembly.doctor import Ask, Check
from jotgate.core.kong_admin import ask, read_row
from jotgate.core.kong_aims import KongAims, compile_kong
from jotgate.core.kong_orders import KongReport
from jotgate.errors import JotgateError, KongRefused, KongUnavailable
from jotgate.planes.kong.admin import KongWeb
from jotgate.stores.settings import Settings

AskKong = Callable[[], KongReport | None]
"""Asks the running control what would be done at Kong; None: none runs."""

_NAME: Final = "kong"


def look_at_kong(settings: Settings, find: Ask, ask_plan: AskKong) -> Iterator[Check]:
    """Nothing where there is no Kong; else what control says of it, or whether it answers at all."""
    try:
        running = find()
    except JotgateError:
        return  # The doctor has said so.
    aims = None if settings.config is None else compile_kong(settings.config, settings.kong.token, settings.kong.roots)
    of_face = running is not None and any(one.name == "kong-auth" for one in running.faces)
    if aims is None and not of_face:
        return
    if running is None:
        assert aims is not None, "only a running one knows of another"
        yield asyncio.run(_reach(aims))
        return
    try:
        report = ask_plan()
    except JotgateError as error:
        yield Check(_NAME, "fault", error.message, error.hint or "Look at kong.admin_url and at Kong")
        return
    yield Check(_NAME, "unknown", "control has just ended") if report is None else judge(report)


def judge(report: KongReport) -> Check:
    """What a plan means for whoever asks whether all is well."""
    if report.notes:
        fix = "Look at it: jotgate kong plan; jotgate kong migrate takes an older service's over"
        return Check(_NAME, "fault", f"{report.url}: {report.notes[0]}", fix)
    if report.total:
        first = report.changes[0]
        named = f"{first.verb} {first.what} {first.name}"
        text = f"{report.url} differs in {report.total} from what it is to be, such as: {named}"
        return Check(_NAME, "fault", text, "Look at it: jotgate kong plan; mend it: jotgate kong apply")
    if report.strangers:
        text = f"{report.url} has {report.strangers} credentials with our tag of which the store knows nothing"
        return Check(
            _NAME, "unknown", text, "Delete them if no other installation has this tag: jotgate kong apply --prune"
        )
    return Check(_NAME, "ok", f"{report.url} has what it is to have")


async def _reach(aims: KongAims) -> Check:
    admin = KongWeb(lambda: aims.place)
    try:
        found = read_row(await admin.ask(ask("GET", "/")))
    except (KongUnavailable, KongRefused) as fault:
        return Check(_NAME, "fault", fault.message, fault.hint or "Look at kong.admin_url and at Kong")
    finally:
        await admin.close()
    version = found.get("version")
    named = f"Kong {version}" if isinstance(version, str) and version.isprintable() else "Kong"
    return Check(_NAME, "ok", f"{aims.place.url} answers ({named[:40]}); nothing runs that could compare it")

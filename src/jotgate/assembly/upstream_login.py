"""Logs in at an upstream from the command that was typed: over this machine's network, by the upstream's own settings.

No control need run for it, and none is asked; what comes of it is handed to whoever has the store.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.control.loopback import LoopbackListener
from jotgate.control.token_web import TokenWeb
from jotgate.core.coze_login import Redirect, places_of
from jotgate.core.device_login import DeviceCode
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.services import upstream_login
from jotgate.services.upstream_desk import find_login
from jotgate.services.upstream_login import Applicant, Surroundings
from jotgate.stores.dotenv import with_dotenv
from jotgate.stores.reaches import read_reach
from jotgate.stores.settings import Sources, load_settings


class Login(Struct, frozen=True):
    """Who logs in, where, and where its tokens will be got."""

    applicant: Applicant
    client_id: str
    token_url: str


def prepare(sources: Sources, name: str, workspace: str) -> Login:
    """What the settings say of logging in for an upstream; no credential of another one is looked for.

    Raises:
        CommandError: nobody logs in for it, or not by this command.
        ConfigurationError: the settings have a fault, or what they name for the way to it is not there.
    """
    config = load_settings(sources, secrets=False).require()
    entry = find_login(config.upstreams, name)
    texts = {key: text for key, text in asdict(entry).items() if isinstance(text, str) and text}
    base = sources.file.parent if sources.file is not None else Path()
    variables = with_dotenv(sources.environment, sources.dotenv).values
    way = read_reach(f"upstreams.{name}", texts, variables, base)
    if way.faults:
        raise ConfigurationError(list(way.faults))
    grant = compile_grants([entry], {}, {name: way.reach})[name]
    places = places_of(grant.token_url, workspace)
    return Login(Applicant(grant.client_id, places, way.reach), grant.client_id, grant.token_url)


def log_in_by_device(login: Login, tell: Callable[[DeviceCode], None]) -> Secret:
    """The refresh token that comes of the code that `tell` is told. Raises CommandError."""
    return asyncio.run(upstream_login.log_in_by_device(login.applicant, _surroundings(), tell))


def log_in_by_browser(login: Login, redirect: Redirect, tell: Callable[[str], None]) -> Secret:
    """The refresh token that a browser brings the code for; `tell` is told the page to open. Raises CommandError."""
    listener = LoopbackListener()
    return asyncio.run(upstream_login.log_in_by_browser(login.applicant, _surroundings(), listener, redirect, tell))


def _surroundings() -> Surroundings:
    return Surroundings(TokenWeb(), SystemClock(), SystemEntropy(), asyncio.sleep)

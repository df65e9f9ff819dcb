"""Compare Coze's stand-in with the live service, for whoever has an account there: `make live-coze`.

Names and types of members, names of events, statuses and codes are compared and written down, and nothing else: no
token, no ID, no text.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_probes import Account, client, probes
from jotgate.testing.coze_shapes import Shape, differences
from jotgate.testing.coze_told import APP_ID, PAT, WORKSPACE_ID
from jotgate.testing.coze_values import Bot, Workflow

BASE_URL: Final = "https://api.coze.com"
_SAME, _DIFFERS, _NO_ACCOUNT, _UNREACHABLE = range(4)
_APP: Final = ("COZE_JWT_APP_ID", "COZE_JWT_KEY_ID", "COZE_JWT_PRIVATE_KEY")
_HELP: Final = f"""\
live-coze compares Coze's stand-in with the live service, and needs an account there. Set

  COZE_BOT_ID           a bot that is published to the channel "Agent As API"

and either

  COZE_API_KEY          a personal access token

or, which compares the token endpoint too,

  COZE_JWT_APP_ID       an OAuth app of the type "Service"
  COZE_JWT_KEY_ID       the fingerprint of its public key
  COZE_JWT_PRIVATE_KEY  the private key in PEM; "\\n" for the ends of its lines is understood

and, if you like,

  COZE_BASE_URL         {BASE_URL} when it is not set; https://api.coze.cn is the other one
  COZE_JWT_AUD          the host of COZE_BASE_URL when it is not set
  COZE_WORKFLOW_ID      a published workflow whose parameter is "input"; without it workflows are left out
  COZE_SPACE_ID         a workspace; without it the list of bots is left out

It has some chats with the bot and runs the workflow three times, and deletes the conversations that it made.
"""

Say = Callable[[str], object]


def missing(environment: Mapping[str, str]) -> list[str]:
    """The variables without which there is no account to compare with."""
    lacking = [] if environment.get("COZE_BOT_ID") else ["COZE_BOT_ID"]
    app = [name for name in _APP if not environment.get(name)]
    if environment.get("COZE_API_KEY") or not app:
        return lacking
    return [*lacking, *app] if len(app) < len(_APP) else [*lacking, "COZE_API_KEY (or all of " + ", ".join(_APP) + ")"]


def account_of(environment: Mapping[str, str]) -> Account:
    """The account that the variables name; none of `missing` may be missing. The app goes before the token."""
    has_app = all(environment.get(name) for name in _APP)
    return Account(
        base_url=environment.get("COZE_BASE_URL", BASE_URL).rstrip("/"),
        bot_id=environment["COZE_BOT_ID"],
        token=Secret("" if has_app else environment["COZE_API_KEY"]),
        app_id=environment["COZE_JWT_APP_ID"] if has_app else "",
        key_id=environment["COZE_JWT_KEY_ID"] if has_app else "",
        private_key=Secret(environment["COZE_JWT_PRIVATE_KEY"] if has_app else ""),
        audience=environment.get("COZE_JWT_AUD", ""),
        workflow_id=environment.get("COZE_WORKFLOW_ID", ""),
        workspace_id=environment.get("COZE_SPACE_ID", ""),
    )


def standin_account(server: CozeServer, live: Account) -> Account:
    """An account of the same kind at the stand-in, which gets a bot and a workflow by the same IDs."""
    server.bots[live.bot_id] = Bot(bot_id=live.bot_id)
    if live.workflow_id:
        server.workflows[live.workflow_id] = Workflow(workflow_id=live.workflow_id)
    is_app = bool(live.app_id)
    return Account(
        base_url=server.url,
        bot_id=live.bot_id,
        token=Secret("" if is_app else PAT),
        app_id=APP_ID if is_app else "",
        key_id=server.key_id if is_app else "",
        private_key=Secret(server.private_key_pem if is_app else ""),
        workflow_id=live.workflow_id,
        workspace_id=WORKSPACE_ID if live.workspace_id else "",
    )


def compare(live: Account, server: CozeServer, say: Say, *, pace_s: float = 1.0) -> dict[str, tuple[Shape, Shape]]:
    """Ask both, and say where they differ; the shapes by the name of the request, the live one first.

    Raises:
        httpx2.HTTPError: the live service cannot be reached.
        KeyRefused: the account's private key is none.
    """
    found: dict[str, tuple[Shape, Shape]] = {}
    with client() as there, client() as here:
        mine = probes(standin_account(server, live), here, pace_s=0.0)
        for (name, one), (_, other) in zip(probes(live, there, pace_s=pace_s), mine, strict=True):
            found[name] = one, other
            lines = differences(one, other)
            say(f"{name}: {'differs' if lines else 'same'} ({one.status} {one.code})\n")
            for line in lines:
                say(f"  {line}\n")
    return found


def main(environment: Mapping[str, str], arguments: list[str], say: Say) -> int:
    """0: same. 1: they differ. 2: no account. 3: the live service cannot be reached, or the key is none."""
    parser = argparse.ArgumentParser(prog="make live-coze", description="Compare Coze's stand-in with the live service")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the shapes of both to this file, as JSON")
    options = parser.parse_args(arguments)
    lacking = missing(environment)
    if lacking:
        say(f"{_HELP}\nNot set: {', '.join(lacking)}\n")
        return _NO_ACCOUNT
    try:
        with coze_in_thread() as server:
            found = compare(account_of(environment), server, say)
    except (httpx2.HTTPError, KeyRefused) as error:
        say(f"live-coze: {type(error).__name__}: {error}\n")
        return _UNREACHABLE
    if options.record is not None:
        written = {name: {"live": one, "standin": other} for name, (one, other) in found.items()}
        options.record.write_bytes(msgspec.json.format(msgspec.json.encode(written)) + b"\n")
    differing = sum(1 for one, other in found.values() if differences(one, other))
    say(f"{len(found)} answers compared, {differing} differ\n")
    return _DIFFERS if differing else _SAME


if __name__ == "__main__":
    sys.exit(main(os.environ, sys.argv[1:], sys.stdout.write))

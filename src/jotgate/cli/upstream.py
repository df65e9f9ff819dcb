"""`jotgate upstream`: the credentials of upstreams, and logging in where tokens come of a login. No secret is shown."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    data_directory,
    say_next,
    sources,
)
from jotgate.cli.confirming import add_yes_option, confirm
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.records import plain
from jotgate.cli.tables import print_table, time_text
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.assembly.upstream_login import Login
    from jotgate.cli.operator import Offline
    from jotgate.core.device_login import DeviceCode
    from jotgate.core.upstream_orders import LoginView, TokensView, UpstreamAnswer, UpstreamOrder, UpstreamView
    from jotgate.core.values import Secret

_HEAD: Final = ["NAME", "KIND", "CREDENTIAL", "EXPIRES", "LAST EXCHANGE", "STATE"]
_REDIRECT: Final = "http://127.0.0.1:8765/callback"
_MINUTE_S: Final = 60
_OWN: Final = (
    "To log in for it, write an [[upstreams]] of this name into jotgate.toml, which stands in place of a preset's, "
    'with grant = "refresh-token" and the client_id of your app in [upstreams.oauth] (docs/upstream-credentials.md)'
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate upstream` and its actions."""
    noun = commands.add_parser(
        "upstream", help="show what upstreams are sent, log in and out", description="The credentials of upstreams."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list the upstreams and their credentials",
        description="List the upstreams of the settings: what kind of credential each has, when it expires, and how "
        "it went to get it. No secret is shown.",
    )
    _add_json(listing)
    _finish(listing, show)
    telling = actions.add_parser(
        "status",
        help="say how the credentials of upstreams are doing",
        description="Say all that is known of the credential of an upstream, or of those of all. The exit code is 1 if "
        "one is missing or refused. No secret is shown.",
    )
    telling.add_argument("name", nargs="?", default="", metavar="NAME", help="the upstream (default: all of them)")
    _add_json(telling)
    _finish(telling, tell)
    _register_login(actions)
    leaving = actions.add_parser(
        "logout",
        help="erase the refresh token of an upstream",
        description="Erase the refresh token that is kept for an upstream, and stop using what was got by it.",
    )
    leaving.add_argument("name", metavar="NAME", help="the upstream")
    add_yes_option(leaving)
    _finish(leaving, log_out)


def _register_login(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    entering = actions.add_parser(
        "login",
        help="log in at an upstream whose tokens come of a login",
        description="Log in at Coze for an upstream whose [upstreams.oauth] has the grant refresh-token, and keep the "
        "refresh token sealed in the store. A page and a code are printed; they may be used on another device.",
        epilog="example: jotgate upstream login coze",
    )
    entering.add_argument("name", metavar="NAME", help="the upstream")
    entering.add_argument(
        "--pkce",
        action="store_true",
        help="log in with a browser of this machine that comes back to it, in place of a code to type",
    )
    entering.add_argument("--browser", action="store_true", help="open the page in a browser")
    entering.add_argument(
        "--redirect",
        metavar="URL",
        help=f"with --pkce: where the browser comes back to, as the settings of the app name it (default: {_REDIRECT})",
    )
    entering.add_argument("--workspace", default="", metavar="ID", help="the workspace at Coze that it is for")
    _finish(entering, log_in)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def show(arguments: argparse.Namespace) -> int:
    """Print the upstreams, one line each."""
    answer = _ask(arguments)
    if arguments.json:
        _print_json(answer)
    else:
        print_table([_row(one) for one in answer.upstreams], _HEAD)
        sys.stdout.flush()
        say_next("jotgate upstream status", arguments)
    return EXIT_OK


def tell(arguments: argparse.Namespace) -> int:
    """Print what is known of one upstream, or of all."""
    import msgspec

    answer = _ask(arguments)
    if arguments.name:
        answer = msgspec.structs.replace(answer, upstreams=[_find(answer, arguments.name)])
    lacking = [one for one in answer.upstreams if one.lack]
    if arguments.json:
        _print_json(answer)
    else:
        sys.stdout.write("".join(_describe(one, running=answer.running) for one in answer.upstreams))
        sys.stdout.flush()
        for one in lacking:
            if one.credential == "refresh-token" and not one.configured:
                say_next(f"jotgate upstream login {one.name}", arguments)
    return EXIT_FAILED if lacking else EXIT_OK


def log_in(arguments: argparse.Namespace) -> int:
    """Log in, and have the refresh token kept."""
    from jotgate.assembly.upstream_login import log_in_by_browser, log_in_by_device
    from jotgate.core.coze_login import check_workspace, read_redirect
    from jotgate.core.upstream_orders import UpstreamOrder

    if arguments.redirect is not None and not arguments.pkce:
        raise UsageError("--redirect is for a browser that comes back", hint="Add --pkce, or leave --redirect out")
    try:
        redirect = read_redirect(arguments.redirect or _REDIRECT)
        check_workspace(arguments.workspace)
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    login = _prepare(arguments)
    _check_agreed(arguments, login.client_id, login.token_url)
    token: Secret
    if arguments.pkce:
        token = log_in_by_browser(login, redirect, lambda url: _tell_page(url, opens=arguments.browser))
    else:
        token = log_in_by_device(login, lambda code: _tell_code(code, opens=arguments.browser))
    order = UpstreamOrder(
        action="log-in",
        upstream=arguments.name,
        client_id=login.client_id,
        token_url=login.token_url,
        refresh_token=token.reveal(),
    )
    with may_be_done("'jotgate upstream status' shows"):
        answer = _ask(arguments, order)
    instead = ", in place of the one before" if answer.replaced else ""
    sys.stdout.write(f"logged in for the upstream '{arguments.name}': its refresh token is kept sealed{instead}\n")
    sys.stdout.flush()
    say_next(f"jotgate upstream status {arguments.name}" if answer.running else "jotgate up", arguments)
    return EXIT_OK


def log_out(arguments: argparse.Namespace) -> int:
    """Erase the refresh token of an upstream."""
    from jotgate.core.upstream_orders import UpstreamOrder

    name = arguments.name
    found = _ask(arguments).find(name)
    if found is None or found.login is None:
        raise CommandError(
            f"no refresh token is kept for an upstream '{plain(name)}'", hint="Look at 'jotgate upstream list'"
        )
    confirm(arguments, name, _impact(found, found.login))
    with may_be_done("'jotgate upstream list' shows"):
        _ask(arguments, UpstreamOrder(action="log-out", upstream=name))
    sys.stdout.write(f"logged out of the upstream '{name}': its refresh token is erased here\n")
    sys.stdout.flush()
    sys.stderr.write("  note  the upstream was not told; withdraw the app's authorization there to end it there too\n")
    say_next("jotgate upstream list", arguments)
    return EXIT_OK


def _ask(arguments: argparse.Namespace, order: "UpstreamOrder | None" = None) -> "UpstreamAnswer":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder

    def offline() -> "Offline[UpstreamOrder, UpstreamAnswer]":
        from jotgate.assembly.upstreams_offline import order_upstreams

        return order_upstreams

    wanted = order or UpstreamOrder(action="list")
    return carry_out(arguments, "/upstreams", wanted, UpstreamAnswer, offline, begins=True)


def _find(answer: "UpstreamAnswer", name: str) -> "UpstreamView":
    found = answer.find(name)
    if found is None:
        raise CommandError(f"the settings name no upstream '{plain(name)}'", hint="Look at 'jotgate upstream list'")
    return found


def _prepare(arguments: argparse.Namespace) -> "Login":
    """What is needed to log in. Raises CommandError as `prepare`, and with what the running control knows of it."""
    from jotgate.assembly.upstream_login import prepare
    from jotgate.cli.operator import ask_if_running
    from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder
    from jotgate.stores.directory import DataDirectory

    try:
        return prepare(sources(arguments), arguments.name, arguments.workspace)
    except CommandError as refusal:
        directory, listing = DataDirectory(data_directory(arguments)), UpstreamOrder(action="list")
        answer = ask_if_running(directory, "/upstreams", listing, UpstreamAnswer)
        raise (_refusal_of(answer, arguments.name) if answer else None) or refusal from None


def _refusal_of(answer: "UpstreamAnswer", name: str) -> CommandError | None:
    """Why nobody logs in for what the running jotgate has, of a preset perhaps; None: for no such reason."""
    found = answer.find(name)
    if found is None or not found.url:
        return None
    if found.credential != "refresh-token":
        others = [one.name for one in answer.upstreams if one.credential == "refresh-token" and not one.configured]
        used = f"nobody logs in for the upstream '{plain(name)}': its credential is '{found.credential}'"
        return CommandError(used, hint=f"Name one of: {', '.join(map(plain, others))}" if others else _OWN)
    return None if found.configured else _other_settings(name)


def _check_agreed(arguments: argparse.Namespace, client_id: str, token_url: str) -> None:
    """Refuse before anybody logs in what would be refused behind it."""
    answer = _ask(arguments)
    found = answer.find(arguments.name)
    if found is None or (found.client_id, found.token_url) != (client_id, token_url):
        raise _other_settings(arguments.name)


def _other_settings(name: str) -> CommandError:
    return CommandError(
        f"the running jotgate has other settings for the upstream '{plain(name)}' than this command",
        hint="Give this command the same --config; 'jotgate status' says when jotgate has read its own",
    )


def _tell_code(code: "DeviceCode", *, opens: bool) -> None:
    minutes = max(1, round(code.lives_s / _MINUTE_S))
    sys.stderr.write(f"  open  {code.page}\n  code  {code.user_code}\n")
    sys.stderr.write(f"  note  it counts for {minutes} min; waiting for you to use it\n")
    _open(code.whole_page, opens=opens)


def _tell_page(url: str, *, opens: bool) -> None:
    sys.stderr.write(f"  open  {url}\n  note  in a browser of this machine; waiting for it to come back\n")
    _open(url, opens=opens)


def _open(url: str, *, opens: bool) -> None:
    sys.stderr.flush()
    if opens:
        import webbrowser

        if not webbrowser.open(url):
            sys.stderr.write("  note  no browser could be opened; open the page yourself\n")


def _impact(found: "UpstreamView", login: "LoginView") -> str:
    what = f"the refresh token of the upstream '{found.name}', got {time_text(login.obtained_at_s)}, would be erased"
    if login.configured:
        return f"{what}; the one that the settings name is dead by now, so a new one has to be named there"
    return f"{what}; calls get 503 until somebody logs in again" if found.url else what


def _print_json(answer: "UpstreamAnswer") -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def _row(one: "UpstreamView") -> list[str]:
    return [plain(one.name), one.kind or "-", one.credential, _expiry(one), _last_exchange(one), _state(one)]


def _state(one: "UpstreamView") -> str:
    if one.lack:
        return plain(one.lack)
    if one.login is not None and one.login.fault:
        return plain(one.login.fault)
    if one.tokens is not None and one.tokens.fault:
        return f"good still; {plain(one.tokens.fault)}"
    return "no credential" if one.credential == "none" else "good"


def _expiry(one: "UpstreamView") -> str:
    """That of the refresh token where there is one, since access tokens are renewed by themselves."""
    if one.login is not None and one.login.ends_at_s is not None:
        return time_text(one.login.ends_at_s)
    if one.tokens is not None and one.tokens.expires_in_s is not None:
        return time_text(int(time.time()) + one.tokens.expires_in_s)
    return "-"


def _last_exchange(one: "UpstreamView") -> str:
    if one.tokens is not None and one.tokens.fault:
        return f"failing since {time_text(one.tokens.failing_since_s)}"
    obtained_s = max(one.tokens.last_obtained_s if one.tokens else 0, one.login.obtained_at_s if one.login else 0)
    return time_text(obtained_s) if obtained_s else "-"


def _describe(one: "UpstreamView", *, running: bool) -> str:
    rows: list[tuple[str, str]] = [("credential", one.credential)]
    if one.client_id:
        rows.append(("client", plain(one.client_id)))
    if one.token_url:
        rows.append(("endpoint", plain(one.token_url)))
    if one.login is not None:
        rows += _login_rows(one.login)
    if one.tokens is not None:
        rows += _token_rows(one.tokens)
    elif one.token_url and not running:
        rows.append(("token", "unknown: no jotgate runs here"))
    rows.append(("state", _state(one)))
    head = "  ".join(filter(None, (plain(one.name), one.kind, plain(one.url))))
    return f"{head}\n" + "".join(f"  {name:<12}{value}\n" for name, value in rows)


def _login_rows(login: "LoginView") -> list[tuple[str, str]]:
    origin = "the one that the settings name" if login.configured else "a login"
    until = "" if login.ends_at_s is None else f", good until about {time_text(login.ends_at_s)} unless it is used"
    rows = [
        ("refresh", f"of {origin}, since {time_text(login.begun_at_s)}"),
        ("", f"this one since {time_text(login.obtained_at_s)}{until}"),
    ]
    if login.under_way_s is not None:
        rows.append(("", f"sent {time_text(login.under_way_s)}, and nothing has come of it yet"))
    return rows


def _token_rows(tokens: "TokensView") -> list[tuple[str, str]]:
    now_s = int(time.time())
    if tokens.expires_in_s is not None:
        rows = [("token", f"{'good' if tokens.is_valid else 'over'}, ends {time_text(now_s + tokens.expires_in_s)}")]
    else:
        rows = [("token", "none yet: one is got with the next call")]
    if tokens.sessions > 1:
        rows.append(("sessions", str(tokens.sessions)))
    if tokens.key_id:
        rows.append(("key", f"{plain(tokens.key_id)}{', the second one' if tokens.second else ''}"))
    last = f", last {time_text(tokens.last_obtained_s)}" if tokens.last_obtained_s else ""
    rows.append(("exchanges", f"{tokens.obtained} done{last}, {tokens.failed} failed"))
    if tokens.fault:
        rows.append(("fault", f"since {time_text(tokens.failing_since_s)}: {plain(tokens.fault)}"))
    return rows

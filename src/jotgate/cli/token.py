"""`jotgate token`: creates access tokens, checks them, shows what is in them; narrows, lists and revokes them."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from jotgate.cli import policy_question, token_ledger, token_narrow
from jotgate.cli.accounts import add_tool_option
from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
    sources,
)
from jotgate.cli.limit_options import add_limit_options, limits_of
from jotgate.cli.token_text import add_argv_trap, read_scopes, read_token
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.principals import Principal


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate token` and its actions."""
    noun = commands.add_parser(
        "token", help="create, check, narrow, list and revoke access tokens", description="Access tokens."
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_create(actions)
    token_narrow.register(actions)
    token_ledger.register(actions)

    check = actions.add_parser(
        "verify",
        help="check a token as the gateway would",
        description="Check the token on stdin or in JOTGATE_TOKEN as the gateway would. Exit status 0: it is good; "
        "1: it is not, for the reason given.",
    )
    add_argv_trap(check)
    add_data_option(check)
    add_config_option(check)
    check.set_defaults(run=verify)

    policy_question.register(actions)

    show = actions.add_parser(
        "inspect",
        help="show what is in a token, unchecked",
        description="Print header and claims of the token on stdin or in JOTGATE_TOKEN as JSON. Nothing is checked.",
    )
    add_argv_trap(show)
    show.add_argument("--insecure", action="store_true", help="required: you know that what is shown may be forged")
    add_data_option(show)
    show.set_defaults(run=inspect)


def _register_create(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create_parser = actions.add_parser(
        "create",
        help="create an access token",
        description="Create an access token (RFC 9068) and print it, and nothing else, on stdout.",
        epilog='example: export OPENAI_API_KEY="$(jotgate token create --subject me --ttl 8h --model echo)"',
    )
    create_parser.add_argument("--subject", required=True, metavar="NAME", help="whom it is for (claim sub)")
    create_parser.add_argument(
        "--ttl",
        default="1h",
        metavar="TIME",
        help="how long it lives: 90s, 30m, 24h, 7d, 4w; at most 365d (default: 1h)",
    )
    create_parser.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="what it may do; repeat it, or write several with spaces (default: ai, which is all)",
    )
    create_parser.add_argument(
        "--model", action="append", metavar="MODEL", help="a model it may use; repeat it (default: every model)"
    )
    create_parser.add_argument(
        "--audience", action="append", default=[], metavar="URL", help="who should accept it (default: this gateway)"
    )
    add_tool_option(create_parser)
    add_limit_options(create_parser)
    add_data_option(create_parser)
    add_config_option(create_parser)
    create_parser.set_defaults(run=create)


def create(arguments: argparse.Namespace) -> int:
    """Print a new token."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.claims import Issued, TokenRequest
    from jotgate.core.values import parse_duration_s

    if arguments.tool:
        raise UsageError("a token has no tools: tools are scopes, such as mcp:files:read_file", hint="Use --scope")
    try:
        request = TokenRequest(
            subject=arguments.subject,
            ttl_s=parse_duration_s(arguments.ttl),
            scopes=read_scopes(arguments.scope),
            models=tuple(arguments.model) if arguments.model else None,
            audiences=tuple(arguments.audience),
            limits=limits_of(arguments),
        )
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None

    def offline() -> "Offline[TokenRequest, Issued]":
        from jotgate.assembly.offline import issue

        return issue

    issued = carry_out(arguments, "/tokens", request, Issued, offline, begins=True)
    sys.stdout.write(issued.token + "\n")
    sys.stdout.flush()
    say_next("jotgate token verify", arguments, ", which reads the token from stdin or from JOTGATE_TOKEN")
    return EXIT_OK


def verify(arguments: argparse.Namespace) -> int:
    """Check a token, and say whom it speaks for."""
    from jotgate.cli.operator import ask_control, ask_or_open, find_directory
    from jotgate.core.claims import TokenText
    from jotgate.core.opaque import Mark
    from jotgate.core.principals import LAST_S, Verified

    token = read_token(arguments)
    directory = find_directory(arguments)

    def open_data() -> Verified:
        from jotgate.assembly.offline import verify
        from jotgate.assembly.personal_offline import verify_personal

        judge = verify_personal if token.startswith(Mark.PERSONAL) else verify
        return Verified(judge(directory, sources(arguments), token.encode("utf-8", "replace")))

    found = ask_or_open(
        directory, lambda: ask_control(directory, "/tokens/verify", TokenText(token), Verified), open_data
    )
    sys.stdout.write(_describe(found.principal, found.face))
    sys.stdout.flush()
    if found.principal.expires_at_s >= LAST_S:
        sys.stderr.write("  note  it never expires: it counts until it is revoked, or its key or secret is changed\n")
    say_next("jotgate audit tail", arguments, " shows the calls that are made with it", without=("config",))
    return EXIT_OK


def inspect(arguments: argparse.Namespace) -> int:
    """Print header and claims, unchecked."""
    import json

    from jotgate.jose.jwt import peek_unverified

    token = read_token(arguments)
    if not arguments.insecure:
        raise UsageError(
            "what 'inspect' shows is not checked, and anybody can have written it",
            hint="Check the token with 'jotgate token verify', or say that you know with --insecure",
        )
    header, claims = peek_unverified(token.encode("utf-8", "replace"))
    sys.stdout.write(json.dumps({"verified": False, "header": header, "claims": claims}, indent=2) + "\n")
    sys.stdout.flush()
    say_next("jotgate token verify", arguments, " checks what is shown here")
    return EXIT_OK


def _describe(principal: "Principal", face: str) -> str:
    from jotgate.core.principals import LAST_S
    from jotgate.core.token_limits import limit_lines

    until = "never"
    if principal.expires_at_s < LAST_S:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(principal.expires_at_s))
        until = f"{when} (in {int(principal.expires_at_s - time.time())} s)"
    models = "all" if principal.models is None else " ".join(sorted(principal.models)) or "none"
    rows = {
        "subject": principal.subject,
        "scopes": " ".join(sorted(principal.scopes)) or "none",
        "models": models,
        "expires": until,
        "issuer": principal.issuer,
        "client": principal.client_id or "none",
        "id": principal.token_id,
        "key": principal.kid or "none",
    }
    if face:
        rows["at"] = f"the face {face}, and nowhere else"
    if principal.tenant:
        rows["tenant"] = principal.tenant
    if principal.roles:
        rows["roles"] = " ".join(sorted(principal.roles))
    if principal.audiences:
        rows["for"] = " ".join(sorted(principal.audiences))
    if principal.limits:
        rows["limits"] = "; ".join(limit_lines(principal.limits, principal.issuer))
    if principal.family:
        rows["family"] = principal.family
    if principal.actors:
        rows["acts"] = " < ".join(one.subject for one in principal.actors)
    if principal.may_act is not None:
        rows["may act"] = principal.may_act.subject
    if principal.ancestors:
        rows["from"] = " < ".join(reversed(principal.ancestors))
    return "the token is good\n" + "".join(f"  {name:<9}{value}\n" for name, value in rows.items())

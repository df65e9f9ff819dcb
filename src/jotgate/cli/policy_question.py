"""What would be decided of a call: `jotgate policy test` of one that is described, `jotgate token can` of a token."""

import argparse
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.records import plain
from jotgate.cli.token_text import add_argv_trap, read_scopes, read_token
from jotgate.codes import Code
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.policy_orders import PolicyFinding, PolicyQuestion


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `can` to the actions of `jotgate token`."""
    parser = actions.add_parser(
        "can",
        help="say whether a token may make a call, and which policy decides",
        description="Say whether the token on stdin or in JOTGATE_TOKEN may make a call now, and which policy decides. "
        "Exit status 0: it may; 1: it may not, for the reason that its caller would be told.",
        epilog="example: jotgate token can chat.completions --model small < token",
    )
    parser.add_argument("operation", metavar="OPERATION", help="such as chat.completions; docs/operations.md has all")
    add_argv_trap(parser)
    _add_named(parser)
    parser.add_argument("--address", default="127.0.0.1", metavar="ADDRESS", help="where it comes from")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=ask_token)


def add_question_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a principal and a call."""
    parser.add_argument("--subject", required=True, metavar="NAME", help="whom the token speaks for")
    parser.add_argument("--operation", required=True, metavar="OPERATION", help="such as chat.completions")
    _add_named(parser)
    parser.add_argument("--client", default="", metavar="NAME", help="the client that the token was issued to")
    parser.add_argument("--tenant", default="", metavar="NAME", help="its tenant (default: default)")
    parser.add_argument("--role", action="append", default=[], metavar="NAME", help="a role that it has; repeat it")
    parser.add_argument("--issuer", default="", metavar="ISS", help="its issuer (default: this installation)")
    parser.add_argument("--actor", default="", metavar="NAME", help="who acts by it")
    parser.add_argument(
        "--scope", action="append", metavar="SCOPE", help="a scope that it has; repeat it (default: ai)"
    )
    parser.add_argument(
        "--may-use", action="append", metavar="MODEL", help="a model that it names; repeat it (default: every model)"
    )
    parser.add_argument(
        "--binding", default="none", choices=("none", "dpop", "mtls"), metavar="KIND", help="none, dpop or mtls"
    )
    parser.add_argument(
        "--age", default="", metavar="TIME", help="how long ago it was issued: 90s, 30m, 24h (default: now)"
    )
    parser.add_argument("--address", default="127.0.0.1", metavar="ADDRESS", help="where the call comes from")
    parser.add_argument("--at", default="", metavar="TIME", help="when it comes: 2027-01-31T08:00:00Z (default: now)")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def _add_named(parser: argparse.ArgumentParser) -> None:
    """Add what a call names: both are one thing of the question, and an operation takes one of them."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--model", default="", metavar="MODEL", help="the model that the call names")
    named.add_argument(
        "--tool",
        dest="model",
        default="",
        metavar="SERVER[:TOOL]",
        help="the MCP server that is asked, or the tool that is called",
    )


def ask_question(arguments: argparse.Namespace) -> int:
    """Say what would be decided of the call that the options describe."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.policy_orders import PolicyFinding

    question = _read_question(arguments)

    def offline() -> "Offline[PolicyQuestion, PolicyFinding]":
        from jotgate.assembly.policies_offline import try_call

        return try_call

    found = carry_out(arguments, "/policies/test", question, PolicyFinding, offline, begins=True)
    return _tell(arguments, found)


def ask_token(arguments: argparse.Namespace) -> int:
    """Say what would be decided of a call with a token."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.policy_orders import PolicyFinding, TokenQuestion

    token = read_token(arguments)
    question = TokenQuestion(
        token=token, operation=arguments.operation, model=arguments.model, address=arguments.address
    )

    def offline() -> "Offline[TokenQuestion, PolicyFinding]":
        from jotgate.assembly.policies_offline import ask_token

        return ask_token

    found = carry_out(arguments, "/tokens/can", question, PolicyFinding, offline)
    return _tell(arguments, found)


def _read_question(arguments: argparse.Namespace) -> "PolicyQuestion":
    from jotgate.core.policy_orders import AGE_MAX_S, PolicyQuestion
    from jotgate.core.values import parse_duration_s

    try:
        age_s = parse_duration_s(arguments.age) if arguments.age else 0
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    if age_s > AGE_MAX_S:
        raise UsageError(f"no token is as old as {arguments.age}", hint="Write an --age of at most 36500d")
    return PolicyQuestion(
        subject=arguments.subject,
        operation=arguments.operation,
        model=arguments.model,
        client_id=arguments.client,
        tenant=arguments.tenant,
        roles=tuple(arguments.role),
        issuer=arguments.issuer,
        actor=arguments.actor,
        scopes=read_scopes(arguments.scope) or ("ai",),
        models=None if arguments.may_use is None else tuple(arguments.may_use),
        binding=arguments.binding,
        address=arguments.address,
        age_s=age_s,
        at_s=_read_time(arguments.at),
    )


def _read_time(text: str) -> float | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(f"'{text}' is no time with its zone", hint="Write one such as 2027-01-31T08:00:00Z")
    at_s = found.timestamp()
    if at_s < 0:
        raise UsageError(f"'{text}' lies before 1970", hint="Write a later time, such as 2027-01-31T08:00:00Z")
    return at_s


def _tell(arguments: argparse.Namespace, found: "PolicyFinding") -> int:
    if arguments.json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found)))
    sys.stdout.flush()
    say_next("jotgate policy list", arguments)
    return EXIT_OK if found.allowed else EXIT_FAILED


def _lines(found: "PolicyFinding") -> list[str]:
    what = f"{found.operation} of '{found.model}'" if found.model else found.operation
    if found.allowed:
        lines = [f"{plain(found.subject)} may: {plain(what)}"]
    else:
        lines = [f"{plain(found.subject)} may not: {plain(what)}", f"  {'told':<9}{found.code}: {plain(found.message)}"]
    if found.allowed or found.code == Code.POLICY_DENIED:  # Else no policy was asked, or it is not what decides.
        by = f"{found.policy} ({found.origin})" if found.policy else "none"
        lines.append(f"  {'policy':<9}{by}")
    if found.ended_tokens is not None:
        lines.append(f"  {'ending':<9}{found.ended_tokens}, when the token ends while it runs")
    if found.stale:
        lines.append(f"  {'stale':<9}it goes on while revocations are not known")
    if found.payloads:
        lines.append(f"  {'payloads':<9}the audit log has the beginnings of its arguments and its result")
    return lines

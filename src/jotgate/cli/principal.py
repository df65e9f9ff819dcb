"""`jotgate principal`: the users, services and agents that tokens speak for."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from jotgate.cli.accounts import add_rights_options, ask, finish, print_changed, register_common, rights_of

_HEAD: Final = ("NAME", "SCOPES", "MODELS", "TENANT", "STATE")
_NAME: Final = "the 'sub' of its tokens; ISSUER/SUB for one of an issuer of the configuration"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate principal` and its actions."""
    noun = commands.add_parser(
        "principal",
        help="create, list and change those that tokens speak for",
        description="Principals: the users, services and agents that tokens speak for.",
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    creating = actions.add_parser(
        "create",
        help="create a principal",
        description="Create a principal: a user, service or agent that tokens speak for.",
        epilog="example: jotgate principal create ann --scope ai --model echo",
    )
    creating.add_argument("name", metavar="NAME", help=_NAME)
    add_rights_options(creating, fresh=True)
    finish(creating, create)
    setting = actions.add_parser(
        "set", help="change a principal", description="Change what is given of a principal, and leave the rest."
    )
    setting.add_argument("name", metavar="NAME", help=_NAME)
    add_rights_options(setting, fresh=False)
    finish(setting, change)
    register_common(actions, "principal", _row, _HEAD)


def create(arguments: argparse.Namespace) -> int:
    """Create a principal."""
    return _order(arguments, "is created")


def change(arguments: argparse.Namespace) -> int:
    """Change a principal."""
    return _order(arguments, "is changed")


def _order(arguments: argparse.Namespace, what: str) -> int:
    from jotgate.core.account_orders import AccountOrder
    from jotgate.core.account_values import PrincipalValues

    values = PrincipalValues(**rights_of(arguments))
    order = AccountOrder(noun="principal", action=arguments.action, name=arguments.name, principal=values)
    return print_changed(arguments, "principal", ask(arguments, order), what)


def _row(principal: Mapping[str, Any]) -> list[str]:
    scopes = [*principal["scopes"], *(f"role {role}" for role in principal["roles"])]
    return [
        principal["name"],
        " ".join(scopes),
        "all" if principal["models"] is None else " ".join(principal["models"]),
        principal["tenant"],
        "enabled" if principal["enabled"] else "disabled",
    ]

"""`jotgate tenant`: tenants, and the roles that they define for their principals and clients."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from jotgate.cli.accounts import add_later_options, ask, finish, later_of, print_changed, register_common, words
from jotgate.cli.common import UsageError

_HEAD: Final = ("NAME", "ROLES", "STATE")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate tenant` and its actions."""
    noun = commands.add_parser(
        "tenant",
        help="create and list tenants, and define their roles",
        description="Tenants, whose roles say what their principals and clients may do.",
    )
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    creating = actions.add_parser(
        "create", help="create a tenant", description="Create a tenant. There is 'default' without that."
    )
    creating.add_argument("name", metavar="NAME", help="its name")
    creating.add_argument("--title", metavar="TEXT", help="what people call it")
    add_later_options(creating)
    finish(creating, create)
    defining = actions.add_parser(
        "role",
        help="define a role of a tenant, or drop one",
        description="Define what whoever has a role may do, in place of what it said before; or drop it. It counts "
        "from the next token on.",
        epilog="example: jotgate tenant role default reader --scope models",
    )
    defining.add_argument("name", metavar="TENANT", help="the tenant's name")
    defining.add_argument("role", metavar="ROLE", help="the role's name")
    defining.add_argument(
        "--scope", action="append", metavar="SCOPE", help="what it lets do; repeat it, or write several with spaces"
    )
    defining.add_argument(
        "--model", action="append", metavar="MODEL", help="a model it lets use; repeat it (default: every model)"
    )
    defining.add_argument("--drop", action="store_true", help="drop the role: it gives nothing any more")
    finish(defining, define)
    register_common(actions, "tenant", _row, _HEAD)


def create(arguments: argparse.Namespace) -> int:
    """Create a tenant."""
    from jotgate.core.account_orders import AccountOrder
    from jotgate.core.account_values import TenantValues

    title = {} if arguments.title is None else {"title": arguments.title}
    values = TenantValues(**title, **later_of(arguments))
    order = AccountOrder(noun="tenant", action="create", name=arguments.name, tenant=values)
    return print_changed(arguments, "tenant", ask(arguments, order), "is created")


def define(arguments: argparse.Namespace) -> int:
    """Define or drop a role."""
    from jotgate.core.account_orders import AccountOrder
    from jotgate.core.accounts import Role

    if arguments.drop and (arguments.scope or arguments.model):
        raise UsageError("a role that is dropped has neither scopes nor models", hint="Leave --scope and --model out")
    models = None if arguments.model is None else tuple(filter(None, arguments.model))
    role = Role(arguments.role, words(arguments.scope or []), models)
    order = AccountOrder(
        noun="tenant", action="drop-role" if arguments.drop else "define-role", name=arguments.name, role=role
    )
    answer = ask(arguments, order)
    what = f"has no role {arguments.role} any more" if arguments.drop else f"has the role {arguments.role}"
    return print_changed(arguments, "tenant", answer, what)


def _row(tenant: Mapping[str, Any]) -> list[str]:
    return [
        tenant["name"],
        " ".join(role["name"] for role in tenant["roles"]),
        "enabled" if tenant["enabled"] else "disabled",
    ]

"""`jotgate client`: the OAuth clients that may ask for tokens, and their secrets, which are shown once."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jotgate.cli.accounts import (
    accounts,
    add_rights_options,
    ask,
    finish,
    print_changed,
    print_json,
    register_common,
    rights_of,
    say_shown,
    seconds,
)
from jotgate.cli.common import EXIT_OK, UsageError, say_next
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.core.account_orders import AccountAnswer
    from jotgate.core.account_values import ClientValues

_JWKS_BYTES_MAX: Final = 65_536
_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none")
_CERTIFICATE_NAMES: Final = ("tls_subject_dn", "tls_san_dns", "tls_san_uri")
_BINDINGS: Final = ("required-dpop", "required-mtls", "none")
_HEAD: Final = ("CLIENT_ID", "AUTHENTICATION", "GRANTS", "SCOPES", "TENANT", "STATE")
_GRANTS: Final = "client_credentials, refresh_token, token_exchange, jwt_bearer or login"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate client` and its actions."""
    noun = commands.add_parser("client", help="create, list and change OAuth clients", description="OAuth clients.")
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    creating = actions.add_parser(
        "create",
        help="create a client",
        description="Create a client, and print its client_id and its secret, which is shown this once. Where it "
        "authenticates with keys of its own, there is no secret.",
        epilog="example: jotgate client create ci --grant client_credentials --scope ai",
    )
    creating.add_argument("name", nargs="?", default="", metavar="NAME", help="its client_id (default: one is made)")
    _add_options(creating, fresh=True)
    finish(creating, create)
    setting = actions.add_parser(
        "set", help="change a client", description="Change what is given of a client, and leave the rest."
    )
    setting.add_argument("name", metavar="NAME", help="its client_id")
    _add_options(setting, fresh=False)
    finish(setting, change)
    rotating = actions.add_parser(
        "rotate-secret",
        help="give a client a new secret",
        description="Give a client a new secret, and print it this once. The one before it ends now, or counts beside "
        "it for a while; at most two count at a time.",
    )
    rotating.add_argument("name", metavar="NAME", help="its client_id")
    rotating.add_argument(
        "--overlap", metavar="TIME", help="how long the secret before it counts: 10m, 24h; at most 30d (default: not)"
    )
    finish(rotating, rotate)
    register_common(actions, "client", _row, _HEAD)


def _add_options(parser: argparse.ArgumentParser, *, fresh: bool) -> None:
    before = "" if fresh else " instead of those before"
    parser.add_argument(
        "--grant", action="append", required=fresh, metavar="GRANT", help=f"a grant it may use: {_GRANTS}{before}"
    )
    parser.add_argument(
        "--auth",
        choices=_METHODS,
        metavar="METHOD",
        help="how it authenticates: client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or none "
        "(default: client_secret_basic, or what --jwks or a --tls option is for)",
    )
    parser.add_argument("--jwks", metavar="FILE", help="its public keys, a JWK Set or one JWK")
    parser.add_argument("--tls-subject-dn", metavar="DN", help="the subject of its certificate: CN=robot,O=Example")
    parser.add_argument("--tls-san-dns", metavar="NAME", help="a DNS name that its certificate has: robot.example")
    parser.add_argument("--tls-san-uri", metavar="URI", help="a URI that its certificate has: spiffe://example/robot")
    parser.add_argument(
        "--binding",
        choices=_BINDINGS,
        metavar="BINDING",
        help="what its tokens must be bound to: required-dpop (a key), required-mtls (its certificate), none (default)",
    )
    parser.add_argument(
        "--audience",
        action="append",
        metavar="URL",
        help=f"a resource it may ask tokens for; repeat it{before} (default: this gateway alone)",
    )
    parser.add_argument("--access-ttl", metavar="TIME", help="how long its tokens live; at most 24h (default: 1h)")
    add_rights_options(parser, fresh=fresh)


def create(arguments: argparse.Namespace) -> int:
    """Create a client, and print what it needs."""
    from jotgate.core.account_orders import AccountOrder

    answer = ask(
        arguments, AccountOrder(noun="client", action="create", name=arguments.name, client=_values(arguments))
    )
    return _print_secret(arguments, answer)


def change(arguments: argparse.Namespace) -> int:
    """Change a client."""
    from jotgate.core.account_orders import AccountOrder

    answer = ask(arguments, AccountOrder(noun="client", action="set", name=arguments.name, client=_values(arguments)))
    (client,) = accounts(answer)
    if client["authentication"].startswith("client_secret") and not client["secrets"]:
        sys.stderr.write("  note  it has no secret: jotgate client rotate-secret makes one\n")
    return print_changed(arguments, "client", answer, "is changed")


def rotate(arguments: argparse.Namespace) -> int:
    """Give a client a new secret, and print it."""
    from jotgate.core.account_orders import AccountOrder

    overlap_s = 0 if arguments.overlap is None else seconds(arguments.overlap)
    order = AccountOrder(noun="client", action="rotate-secret", name=arguments.name, overlap_s=overlap_s)
    return _print_secret(arguments, ask(arguments, order))


def _values(arguments: argparse.Namespace) -> "ClientValues":
    from jotgate.core.account_values import ClientValues
    from jotgate.core.grants import GRANT_TYPES

    found = rights_of(arguments)
    if arguments.grant is not None:
        found["grants"] = tuple(GRANT_TYPES.get(name, name.replace("-", "_")) for name in arguments.grant)
    if arguments.audience is not None:
        found["audiences"] = tuple(filter(None, arguments.audience))
    if arguments.access_ttl is not None:
        found["access_ttl_s"] = seconds(arguments.access_ttl)
    if arguments.jwks is not None:
        found["jwks"] = _read_jwks(arguments.jwks)
        found["authentication"] = "private_key_jwt"
    for name in _CERTIFICATE_NAMES:
        if getattr(arguments, name) is not None:
            found[name] = getattr(arguments, name)
            found["authentication"] = "tls_client_auth"
    if arguments.binding is not None:
        found["binding"] = "" if arguments.binding == "none" else arguments.binding
    if arguments.auth is not None:
        found["authentication"] = arguments.auth
    return ClientValues(**found)


def _read_jwks(name: str) -> Any:
    """The JWK Set in a file; one key alone becomes a set of one."""
    from msgspec import Raw

    try:
        with Path(name).open("rb") as file:
            content = file.read(_JWKS_BYTES_MAX + 1)
        document = json.loads(content)
    except OSError as error:
        raise CommandError(f"'{name}' cannot be read: {error.strerror}", hint="Name a file with a JWK Set") from None
    except (ValueError, RecursionError):
        raise UsageError(f"'{name}' is no JWK Set", hint='A JWK Set is JSON: {"keys": [...]}') from None
    if isinstance(document, dict) and "keys" not in document:
        content = b'{"keys":[' + content + b"]}"
    return Raw(content)


def _print_secret(arguments: argparse.Namespace, answer: "AccountAnswer") -> int:
    (client,) = accounts(answer)
    name, secret = client["name"], answer.secret
    if arguments.json:
        print_json({"client_id": name, **({"client_secret": secret} if secret else {}), "client": client})
    else:
        sys.stdout.write(f"client_id={name}\n" + (f"client_secret={secret}\n" if secret else ""))
    sys.stdout.flush()
    if secret:
        sys.stderr.write("  note  the secret is shown this once, and nobody can look it up\n")
    if not answer.running:
        say_next("jotgate up", arguments)
    elif client["authentication"] == "client_secret_basic" and "client_credentials" in client["grants"]:
        url = f"{_reach(arguments, answer.issuer)}/oauth/token"
        sys.stderr.write(f'  next  curl -u "$client_id:$client_secret" -d grant_type=client_credentials {url}\n')
    else:
        say_shown(arguments, "client", name)
    return EXIT_OK


def _reach(arguments: argparse.Namespace, issuer: str) -> str:
    """The URL at which it can be called from here: its name, unless it listens elsewhere on this machine."""
    from jotgate.cli.operator import ask_status, find_directory
    from jotgate.core.status import is_elsewhere

    url = ask_status(find_directory(arguments)).url
    return url if is_elsewhere(issuer, url) else issuer


def _row(client: Mapping[str, Any]) -> list[str]:
    scopes = [*client["scopes"], *(f"role {role}" for role in client["roles"])]
    return [
        client["name"],
        client["authentication"],
        " ".join(client["grants"]),
        " ".join(scopes),
        client["tenant"],
        "enabled" if client["enabled"] else "disabled",
    ]

"""What planes are told of this installation, and the configuration that is printed for them."""

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from jotgate.core.config import Config, seconds
from jotgate.core.decision_entries import DecisionsEntry, compile_decisions
from jotgate.core.decision_questions import EXT_AUTHZ, FORWARD_AUTH, NGINX
from jotgate.core.decisions import IDENTITY_FIELDS, PathRule
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.metadata import KEYS_PATH
from jotgate.core.operations import DECIDE
from jotgate.core.status import Status
from jotgate.errors import CommandError
from jotgate.jose.keys import verification_key_from_jwk, verification_key_to_pem
from jotgate.planes.facts import GateFacts, Printed, PublicKey, Wish
from jotgate.planes.printing import print_plane
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.installation import read_installation

AskKeys = Callable[[KeyOrder], KeyAnswer]

_VERIFIES: Final = frozenset({"pending", "active", "retired"})
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nothing is bound here


def print_for(plane: str, facts: GateFacts, wish: Wish) -> Printed:
    """The configuration of a plane. Raises CommandError for what cannot be had of it."""
    try:
        return print_plane(plane, facts, wish)
    except ValueError as error:
        raise CommandError(
            str(error), hint=f"jotgate plane --help, and docs/planes.md, say what {plane} can do"
        ) from None


def find_facts(
    directory: DataDirectory, config: Config, running: Status | None, wish: Wish, keys: Iterable[PublicKey]
) -> GateFacts:
    """What the installation is: as it runs, or else as it would by its settings.

    Raises:
        CommandError: it has no name yet.
        DirectoryRefused: DATA cannot be used.
    """
    decisions = config.decisions
    rules = compile_decisions(decisions)
    rule = rules.paths[0] if rules is not None and len(rules.paths) == 1 else None
    issuer = _name(directory, config, running)
    gate = wish.gate or _reached(config, running)
    return GateFacts(
        gate=gate,
        issuer=issuer,
        audiences=_audiences(decisions, rule, issuer),
        scopes=(DECIDE,) if rule is None else rule.scopes,
        jwks_path=KEYS_PATH,
        forward_path=FORWARD_AUTH.decode("ascii"),
        nginx_path=f"{FORWARD_AUTH.decode('ascii')}?{NGINX.decode('ascii')}",
        prefix=EXT_AUTHZ.decode("ascii"),
        grpc=_asked_by_grpc(decisions.grpc, gate),
        identity=IDENTITY_FIELDS,
        leeway_s=seconds(config.issuer.leeway),
        keys=tuple(keys),
    )


def find_keys(ask: AskKeys, *, whole: bool) -> list[PublicKey]:
    """The keys that verify, the oldest first; `whole`: with what they are, and not by name alone."""
    found: list[PublicKey] = []
    for key in ask(KeyOrder(action="list")).keys:
        if key.state in _VERIFIES:
            pem = _pem(ask(KeyOrder(action="export", kid=key.kid)).text) if whole else ""
            found.append(PublicKey(key.kid, key.algorithm, pem))
    return found


def _pem(jwk: str) -> str:
    return verification_key_to_pem(verification_key_from_jwk(msgspec.json.decode(jwk, type=dict[str, object]))).decode()


def _name(directory: DataDirectory, config: Config, running: Status | None) -> str:
    if running is not None:
        return running.issuer
    installation = read_installation(PrivateFiles(directory.path)) if directory.path.exists() else None
    name = config.server.public_url if installation is None else installation.issuer
    if not name:
        raise CommandError(
            "this installation has no name yet, which its tokens would have",
            hint="Start it once with 'jotgate up', or set server.public_url",
        )
    return name


def _reached(config: Config, running: Status | None) -> str:
    """The origin at which a program of this machine reaches it."""
    server = config.server
    url = f"{'https' if config.tls.cert else 'http'}://{_bracketed(server.host)}:{server.port}"
    parts = urlsplit(url if running is None else running.url)
    host = _EVERYWHERE.get(parts.hostname or "")
    return f"{parts.scheme}://{host}:{parts.port}" if host else parts.geturl()


def _asked_by_grpc(listen: str, gate: str) -> str:
    """Where decisions are asked by gRPC; empty: nowhere. What listens everywhere is reached where the gate is."""
    parts = urlsplit(f"//{listen}")
    if not listen or parts.hostname not in _EVERYWHERE:
        return listen
    return f"{_bracketed(urlsplit(gate).hostname or '')}:{parts.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _audiences(decisions: DecisionsEntry, rule: PathRule | None, issuer: str) -> tuple[str, ...]:
    """What tokens are demanded to be for, where one rule says it for all; else none can be told from here."""
    own = (issuer, decisions.public_url.rstrip("/")) if decisions.public_url else (issuer,)
    if rule is None:
        return () if decisions.paths else own
    if rule.path != "/" or rule.hosts or rule.methods or rule.public:
        return ()
    return tuple(sorted(rule.expects.audiences)) if rule.expects is not None and rule.expects.audiences else own

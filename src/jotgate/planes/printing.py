"""Prints the configuration of a plane by its name, of what can be had there."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Final

from jotgate.core.listen_texts import read_listen
from jotgate.planes.caddy import print_caddy
from jotgate.planes.envoy import print_envoy
from jotgate.planes.facts import GateFacts, Printed, Wish, endpoint
from jotgate.planes.haproxy import print_haproxy
from jotgate.planes.nginx import print_nginx
from jotgate.planes.stamps import stamp
from jotgate.planes.traefik import print_traefik

PRINTERS: Final[Mapping[str, Callable[[GateFacts, Wish], Printed]]] = {
    "envoy": print_envoy,
    "nginx": print_nginx,
    "caddy": print_caddy,
    "traefik": print_traefik,
    "haproxy": print_haproxy,
}
"""By the name of the plane, which is its program's."""

_OPTIONS: Final = {"jwt": ("envoy",), "grpc": ("envoy",), "offline": ("envoy", "haproxy")}
_IN_FOLDER: Final = ("haproxy",)
_BY_NAME: Final = ("nginx", "haproxy")
_PATH: Final = re.compile(r"/[^\"'\\{}$;#\s]*")


def print_plane(plane: str, facts: GateFacts, wish: Wish) -> Printed:
    """The files, with the comment by which they are known again.

    Raises:
        ValueError: what is wished for cannot be had of this plane; its text says why, as a whole sentence.
    """
    _check(plane, facts, wish)
    return stamp(plane, command_of(plane, wish), facts, wish, PRINTERS[plane](facts, wish))


def verifies_tokens(plane: str, wish: Wish) -> bool:
    """Whether the plane looks at tokens itself, by its own clock."""
    return wish.jwt or wish.offline or plane in _IN_FOLDER


def command_of(plane: str, wish: Wish) -> str:
    """The command that prints such a configuration."""
    words = ["jotgate", "plane", plane, "print", "--upstream", wish.upstream, "--listen", wish.listen]
    words += ["--gate", wish.gate] if wish.gate else []
    words += ["--roots", wish.roots] if wish.roots else []
    words += [f"--{name.replace('_', '-')}" for name in ("jwt", "offline", "grpc", "keep_token") if getattr(wish, name)]
    words += ["--out", wish.folder] if wish.folder else []
    return shlex.join(words)


def _check(plane: str, facts: GateFacts, wish: Wish) -> None:
    for name, planes in _OPTIONS.items():
        if getattr(wish, name) and plane not in planes:
            raise ValueError(f"--{name} is for {' and '.join(planes)}")
    if wish.offline and (wish.grpc or wish.jwt):
        raise ValueError("--offline asks nobody; leave out --grpc and --jwt")
    if wish.offline and not facts.audiences:
        raise ValueError("paths have rules of their own (decisions.paths), which nobody looks at offline")
    if wish.grpc and not facts.grpc:
        raise ValueError("decisions are not served by gRPC; set decisions.grpc")
    if plane in _IN_FOLDER and not wish.folder:
        raise ValueError(f"{plane} takes keys and more from files; name a directory with --out")
    for name, text in (("upstream", wish.upstream), ("listen", wish.listen), ("gate", facts.gate)):
        try:
            where = endpoint(text)
            if name == "listen":
                read_listen(text)
        except ValueError as error:
            raise ValueError(f"--{name}, '{text}': {error}") from None
        if plane in _BY_NAME and where.tls and not where.is_named:
            raise ValueError(f"{plane} holds certificates to names; give --{name} the name that the certificate has")
    for name, path in (("roots", wish.roots), ("out", wish.folder)):
        if path and not _PATH.fullmatch(path):
            raise ValueError(f"--{name} '{path}' is no absolute path without spaces, quotes and brackets")

"""How a running jotgate is doing: what control answers to `jotgate status`."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.core.key_fetches import KeyStanding
from jotgate.core.upstream_tokens import TokenStanding

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Settlement(Struct, frozen=True):
    """The snapshot that a worker's new calls see, and the longest time that taking it held up its loop, in CPU ms."""

    slot: int
    snapshot: int
    block_ms: float


class IssuerState(Struct, frozen=True):
    """How one of the issuers beside this installation stands.

    `issuer` is its `iss`, `origin` "file" or "store", `way` the way to its keys, both empty where that is not known.
    `faults` say why an enabled one does not count.
    """

    name: str
    issuer: str
    origin: str
    enabled: bool
    way: str
    profile: str
    faults: list[str]


class FaceState(Struct, frozen=True):
    """A face: where it is reached on this machine, and what is not set without which a part of it answers 503."""

    name: str
    url: str
    missing: list[str] = []


def iss_by_name(states: Iterable[IssuerState]) -> dict[str, str]:
    """How the handles of revocations call issuers, by their names here: by their `iss`, or by that name without one."""
    return {one.name: one.issuer or one.name for one in states}


class Status(Struct, frozen=True):
    """The body of GET /status.

    `url` is where the gateway listens. `workers` counts those connected to the bus, `metrics` are the URLs without a
    token. `snapshot` is the one in effect, `settled` what each worker said of its own. `read_at_s` is when the settings
    were last read, and `faults` why they were not put into effect then. `pending` changed, and waits for the next
    start. `clock_step_s` is how far the civil clock has gone its own way since control started. `issuers` are those
    beside this installation, `issuer_keys` the keys of those of them whose keys are fetched. `upstream_tokens` is how
    the tokens are doing that control gets for upstreams. `faces` are the listeners beside that at `url`.
    """

    version: str
    pid: int
    url: str
    issuer: str
    kid: str
    workers: int
    snapshot: int
    metrics: list[str]
    settled: list[Settlement]
    read_at_s: float
    faults: list[str]
    pending: list[str]
    clock_step_s: float
    issuers: list[IssuerState] = []
    issuer_keys: list[KeyStanding] = []
    upstream_tokens: list[TokenStanding] = []
    faces: list[FaceState] = []


def is_elsewhere(issuer: str, url: str) -> bool:
    """Whether an installation's name is an address of this machine other than the one at which it listens."""
    return issuer != url and urlsplit(issuer).hostname in _HERE


def elsewhere(issuer: str, url: str) -> str:
    """What that means, and what to do, in two sentences."""
    return (
        f"This installation is {issuer}, as all its tokens and documents say, and it listens at {url}: who follows "
        f"them finds nothing there. Start it with --port {urlsplit(issuer).port or 80}, or set server.public_url to "
        "that URL if something passes on what comes there."
    )

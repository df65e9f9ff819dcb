"""What Kong's stand-in has been told and what it has seen: the part of it that tests touch."""

import time
from typing import Final

from msgspec.structs import replace

from jotgate.testing.kong_entities import ENTITIES
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_values import AdminAsk, KongFault, Reached, Row

DOCUMENT_CONFIG: Final[Row] = {
    "uri_param_names": ["jwt"],
    "cookie_names": ["jwt"],
    "key_claim_name": "kid",
    "secret_is_base64": True,
    "claims_to_verify": ["exp"],
    "anonymous": None,
    "run_on_preflight": True,
    "maximum_expiration": 31_536_000,
    "header_names": ["authorization"],
}
"""The configuration of the jwt plugin as document 002 has it."""
SERVICE: Final = "llm"
"""The service, and the route to it, that are there from the start."""
ROUTE_PATH: Final = "/llm"
MODEL: Final = "sharif-qwen/qwen3-14b"
CHAT_PATH: Final = "/llm/v1/chat/completions"


class KongTold:
    """What the stand-in has, how it behaves and what it saw. Everything may be set at any time, from any thread.

    What it has: `store`, all entities. `models` that its upstream knows. How it behaves: `faults` are the next bad
    answers of the Admin API, the first that fits. `admin_header`: without this header (name, value) the Admin API
    refuses everybody. `skew_s` goes before: Kong's clock is so much ahead of this machine's. What it saw: `asks` of the
    Admin API and `reached`, the requests that got to the upstream, both in order.
    """

    def __init__(self) -> None:
        self.skew_s = 0.0
        self.store = KongStore(self.now_s)
        self.models = {MODEL}
        self.faults: list[KongFault] = []
        self.admin_header: tuple[str, str] | None = None
        self.asks: list[AdminAsk] = []
        self.reached: list[Reached] = []

    def now_s(self) -> float:
        """The time at Kong, seconds since 1970."""
        return time.time() + self.skew_s

    def advance(self, span_s: float) -> None:
        """Let time pass at Kong."""
        self.skew_s += span_s

    # What it has

    @property
    def consumers(self) -> list[Row]:
        """The consumers, by ID."""
        return self.store.rows("consumers")

    @property
    def credentials(self) -> list[Row]:
        """The credentials of the jwt plugin, with their secrets, by ID."""
        return self.store.rows("jwt_secrets")

    @property
    def plugins(self) -> list[Row]:
        """The plugins, by ID."""
        return self.store.rows("plugins")

    def add(self, entity: str, /, **members: object) -> Row:
        """Another row of an entity (`consumers`, `jwt_secrets`, `plugins` and so on). Raises KongRefused."""
        return self.store.insert(ENTITIES[entity], dict(members))

    def protect(self, **config: object) -> Row:
        """Put the jwt plugin before everything, as the document has it but for this. Raises KongRefused."""
        return self.add("plugins", name="jwt", config={**DOCUMENT_CONFIG, **config})

    # What it saw

    def count(self, method: str, start: str = "/") -> int:
        """How often the Admin API was asked for this, below such a path."""
        return sum(1 for ask in tuple(self.asks) if ask.method == method and ask.path.startswith(start))

    @property
    def changes(self) -> int:
        """How many requests to the Admin API were made to change something, carried out or not."""
        return sum(1 for ask in tuple(self.asks) if ask.method not in ("GET", "HEAD"))

    def ill(self, method: str, path: str) -> KongFault | None:
        """The fault that meets this request of the Admin API, which is spent by this."""
        for place, fault in enumerate(self.faults):
            if not fault.fits(method, path):
                continue
            if fault.skip:
                self.faults[place] = replace(fault, skip=fault.skip - 1)
                continue
            left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
            self.faults[place : place + 1] = left
            return fault
        return None

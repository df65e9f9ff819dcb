"""What the steps of a chain are done with, and who hears how they go."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from jotgate.core.chain_answers import Said
from jotgate.core.chains import Retries
from jotgate.errors import UpstreamError
from jotgate.gateway.world import Place, Turns
from jotgate.ports import Clock, Entropy


class StepOwner(Protocol):
    """What hears how a step goes: the chain's run. After `said`, `streamed` or `failed` a step is silent."""

    def said(self, said: Said, place: Place) -> None:
        """The whole answer is here; `repair` asks again."""

    def told(self, choices: Sequence[Raw]) -> None:
        """A piece of a streamed answer."""

    def streamed(self) -> None:
        """The streamed answer is complete."""

    def failed(self, error: UpstreamError) -> None:
        """It cannot be done."""


class Means(Struct, frozen=True):
    """What steps are done with. `lines` are header lines for upstreams, `tenant` is whose call it is."""

    places: Mapping[str, Place]
    turns: Turns
    clock: Clock
    entropy: Entropy
    retries: Retries
    lines: bytes
    tenant: str

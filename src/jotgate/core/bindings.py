"""What a request for tokens proves beside who its client is, and what its tokens are bound to by that."""

from typing import Final

from msgspec import Struct

from jotgate.core.lineage import Confirmation
from jotgate.core.proof_times import Sight


class Binding(Struct, frozen=True):
    """What a request proves. `confirmation` is what its tokens are bound to; None: to nothing.

    `proven` is all that it proves, by which bound tokens that are presented with it count. `sight` is the proof of a
    key, which is not used yet.
    """

    confirmation: Confirmation | None = None
    proven: tuple[Confirmation, ...] = ()
    sight: Sight | None = None

    def covers(self, wanted: Confirmation | None) -> bool:
        """Whether a token that is bound so may be presented with this request."""
        return wanted is None or wanted in self.proven


UNBOUND: Final = Binding()

"""The issuers of faces whose tokens are this installation's too, for who looks at tokens in control."""

from collections.abc import Sequence

from jotgate.assembly.reload import Reloader
from jotgate.core.issuers import Issuer
from jotgate.services.federation import Federation, TrustedIssuer, carry_over


class FaceIssuers:
    """The issuers of faces whose tokens are this installation's too. Mutable: those of the snapshot seen last."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader
        self._contents: tuple[Issuer, ...] = ()
        self._federation: Federation | None = None

    def __call__(self) -> Sequence[TrustedIssuer]:
        """Them, as their tokens are verified."""
        snapshot = self._reloader.effect.snapshot
        contents = tuple(one for face in snapshot.faces for one in face.issuers if one.installation)
        if contents != self._contents or self._federation is None:
            self._federation = carry_over(contents, self._federation)
            self._contents = contents
        return self._federation.issuers

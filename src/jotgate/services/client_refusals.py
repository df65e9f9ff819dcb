"""Records whom the token service refused: who is not known to be a client, and what a client may not have."""

from typing import Final

from jotgate.errors import OAuthRefused
from jotgate.ports import Clock
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RefusalLog

_CHARS_MAX: Final = 256


class ClientRefusals:
    """Takes note of refusals. Its logs bound how many are recorded; see `RefusalLog`."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._clients = RefusalLog(recorder, clock, "client.refused")
        self._grants = RefusalLog(recorder, clock, "token.refused")

    def note(self, client_id: str, method: str, peer: str) -> None:
        """Record that a request did not prove to be of the client that it names. Raises AuditUnavailable."""
        self._clients.note(client_id[:_CHARS_MAX], {"method": method, "peer": peer})

    def note_grant(self, refusal: OAuthRefused, peer: str, *, client_id: str = "", grant: str = "") -> None:
        """Record that a request for tokens was refused, without a word of what it held that nobody vouches for.

        `client_id` is the client that it is known to be of, `grant` the grant that there is; empty: none yet.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        details: dict[str, str | int] = {"error": refusal.error, "code": refusal.code, "peer": peer}
        if grant:
            details["grant"] = grant
        details |= {name: text[:_CHARS_MAX] for name, text in refusal.presented.items()}
        self._grants.note(client_id, details, key=client_id)

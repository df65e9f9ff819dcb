"""What a worker asks control of DPoP proofs, on the worker's side."""

from jotgate.core.proof_times import Sight
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.waits import Soon
from jotgate.processes.link import Link
from jotgate.processes.messages import ProofJudged, ProofShown


class ProofLink:
    """Shows proofs to control, and takes what it says of them. Immutable."""

    def __init__(self, gateway: Gateway, link: Link, soon: Soon) -> None:
        self._link = link
        self._waits = gateway.judge_proofs_by(self._show, soon)
        self.ask_again = self._waits.ask_again

    def hear(self, message: ProofJudged) -> None:
        """Take what control says."""
        self._waits.answered(message.number, message.verdict)

    def _show(self, number: int, sight: Sight) -> None:
        self._link.send(ProofShown(number, sight))  # If there is nobody to ask now, it is asked when there is.

"""Finds out what the tokens of a request are to be bound to: a key that a DPoP proof proves, or a certificate."""

from typing import Final, Protocol

from jotgate.core.accounts import ClientRecord
from jotgate.core.bindings import Binding
from jotgate.core.dpop import Proof, Target, read_proof
from jotgate.core.lineage import Confirmation
from jotgate.core.metadata import TOKEN_PATH
from jotgate.core.possession import certificate_hash, holder_of
from jotgate.core.proof_times import Sight, Verdict
from jotgate.core.senders import Sender
from jotgate.errors import BindingRequired, DpopNonceWanted, DpopRefused, ProofRefused, StoreUnavailable
from jotgate.ports import Entropy

_ASKER_BYTES: Final = 12


class ProofJudge(Protocol):
    """Who remembers used proofs; see `services.proof_desk.ProofDesk`."""

    async def look(self, sight: Sight) -> Verdict:
        """What would become of a proof, which is not used by that."""

    async def judge(self, sight: Sight) -> Verdict:
        """What becomes of a proof; "fresh" is said once."""


class Binder:
    """Reads what a request proves, and uses its proof up; `issuer` is our name."""

    def __init__(self, issuer: str, proofs: ProofJudge, entropy: Entropy) -> None:
        self._issuer = issuer
        self._target = Target("POST", issuer + TOKEN_PATH)
        self._proofs = proofs
        self._entropy = entropy

    async def bind(self, client: ClientRecord, sender: Sender) -> Binding:
        """What a request of this client proves, which is as much as the client must.

        1. There is at most one proof, and it is good in itself and of this request (RFC 9449 s4.3).
        2. The proof is in its time, and was not used as far as is known here; it is not used yet.
        3. What the client's tokens must be bound to is proven (s5.2 `dpop_bound_access_tokens`, RFC 8705 s3.4).
        4. They are bound to the proof's key; without one, to the certificate that the client is known by.

        Raises:
            DpopRefused, DpopNonceWanted: the proof is refused.
            BindingRequired: the client must prove what it does not.
            StoreUnavailable: whether the proof was used cannot be known.
        """
        proof = self._read(sender.proofs) if sender.proofs else None
        sight = None if proof is None else self._sight(proof, holder_of(self._issuer, client.name))
        if sight is not None:
            _raise_for(await self._proofs.look(sight))
        key = None if proof is None else Confirmation("jkt", proof.jkt)
        certificate = Confirmation("x5t#S256", certificate_hash(sender.certificate)) if sender.certificate else None
        _require(client, key, certificate)
        proven = tuple(one for one in (key, certificate) if one is not None)
        by_certificate = client.binding == "required-mtls" or client.authentication == "tls_client_auth"
        return Binding(key or (certificate if by_certificate else None), proven, sight)

    async def use(self, binding: Binding) -> None:
        """Use up the proof of a request that nothing else stands against: it gets one answer (RFC 9449 s11.1).

        Raises:
            DpopRefused, DpopNonceWanted, StoreUnavailable: as `bind`.
        """
        if binding.sight is not None:
            _raise_for(await self._proofs.judge(binding.sight))

    def _read(self, proofs: tuple[str, ...]) -> Proof:
        try:
            return read_proof(", ".join(proofs).encode("latin-1", "replace"), self._target)
        except ProofRefused as refusal:
            raise DpopRefused(refusal.message, hint=refusal.hint) from None

    def _sight(self, proof: Proof, holder: str) -> Sight:
        return Sight(proof.handle, proof.iat, proof.nonce, self._entropy.random_bytes(_ASKER_BYTES), holder)


def _require(client: ClientRecord, key: Confirmation | None, certificate: Confirmation | None) -> None:
    if client.binding == "required-dpop" and key is None:
        raise BindingRequired("this client's tokens must be bound to a key", hint="Send a DPoP proof")
    if client.binding != "required-mtls":
        return
    if certificate is None:
        raise BindingRequired(
            "this client's tokens must be bound to a certificate", hint="Connect with the client's certificate"
        )
    if key is not None:
        raise BindingRequired("this client's tokens are bound to its certificate", hint="Leave out the DPoP proof")


def _raise_for(verdict: Verdict) -> None:
    match verdict.word:
        case "used":
            raise DpopRefused("the DPoP proof was used before", hint="Make one for each request")
        case "late":
            raise DpopRefused("the DPoP proof's 'iat' is more than five minutes from now", hint="Set the clock")
        case "nonce":
            raise DpopNonceWanted(
                verdict.nonce,
                "the DPoP proof must have the nonce that goes with this answer",
                hint="Send the request again, with a new proof whose 'nonce' is that of the field DPoP-Nonce",
            )
        case "crowded":
            raise StoreUnavailable(
                "so many DPoP proofs of this client were used in the last minutes that no further can be remembered",
                hint="Try again in a few minutes, with a new proof",
            )
        case "unknown":
            raise StoreUnavailable("whether the DPoP proof was used before cannot be known now")

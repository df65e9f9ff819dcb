"""Signs with a private key that is in this process: the usual adapter of the signer port."""

from jotgate.jose.keys import SigningKey, VerificationKey


class LocalSigner:
    """One private key (ports.Signer)."""

    def __init__(self, private: SigningKey) -> None:
        self._private = private

    @property
    def key(self) -> VerificationKey:
        """The public part."""
        return self._private.verification_key

    @property
    def local(self) -> bool:
        """It is here."""
        return True

    async def sign(self, signing_input: bytes) -> bytes:
        """The signature, made here and now: an RSA key takes a millisecond, others a tenth of that."""
        return self._private.sign(signing_input)

"""Which secrets others can guess: those that are printed for all to read, and those that people make up."""

from hashlib import sha256
from typing import Final

from jotgate.core.values import Secret
from jotgate.jose.strength import weakness

PRINTED: Final = frozenset(
    {
        "048af2438891a89a3536ac09cc96ccbd34a1714e88cf8fdb63e6186dcc3ff89d",
        "05cc4b8163ad773524c8185e196f63ad4dd57b0c1705fe75a2d53e7080c82f5c",
        "319ad9c1deaa076998580c852cc324f4486a98c2782974a06c50257a84d2de02",
        "c4b445b46e5d63e72d6d6eda6198c50350f7ded74186365bcb22d7f617f1cc16",
        "d4d910bd16fb395d83dc89130ae1260c4aec815d4b8e604fe990e00b4af4ba75",
    }
)
"""SHA-256 of the secrets, in small letters, that are printed in the documents of systems whose tokens are taken."""


def guessable(secret: Secret) -> str | None:
    """Why a secret is none where others can guess: it is printed somewhere, or a person made it up; None: it is one."""
    text = secret.reveal()
    if sha256(text.strip().lower().encode()).hexdigest() in PRINTED:
        return "it is printed in a document that everybody can read"
    return weakness(text.encode())

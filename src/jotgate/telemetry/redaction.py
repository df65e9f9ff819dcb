"""Takes secrets out of text that is going to be read by somebody: by their looks, and by knowing them."""

from collections.abc import Iterable
from typing import Final

from jotgate.core.redaction import redact

_LEARNT_MIN: Final = 6
_LEARNT_MAX: Final = 10_000
_KNOWN: Final = "(secret)"


class Redactor:
    """Redacts text. Mutable: the secrets that it was told of, which go whatever they look like."""

    def __init__(self) -> None:
        self._learnt: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these secrets too. One shorter than six characters would take pieces out of words, and is left."""
        fresh = {secret for secret in secrets if len(secret) >= _LEARNT_MIN}.difference(self._learnt)
        if fresh:
            newest = (*self._learnt, *fresh)[-_LEARNT_MAX:]
            # The longest first: one may be part of another.
            self._learnt = tuple(sorted(newest, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._learnt:
            text = text.replace(secret, _KNOWN)
        return redact(text)

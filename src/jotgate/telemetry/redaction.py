"""Takes secrets out of text that is going to be read by somebody: by their looks, and by knowing them."""

import re
from collections.abc import Iterable
from typing import Final

_LEARNT_MIN: Final = 6
_LEARNT_MAX: Final = 10_000
_KNOWN: Final = "(secret)"
_VALUE: Final = r"[A-Za-z0-9._~+/=-]"
# By their looks, in this order: what stands behind a telling name goes whole, whatever it is.
_LOOKS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), "(key)"),
    (
        re.compile(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api-key)(['\"]?\s*[:=,]\s*)(?:b?['\"])?[^\r\n'\"]+",
            re.IGNORECASE,
        ),
        r"\1\2(redacted)",
    ),
    (re.compile(rf"\b(bearer|basic|dpop)\s+{_VALUE}{{16,}}", re.IGNORECASE), r"\1 (redacted)"),
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*", re.ASCII), "(token)"),
    (re.compile(r"\b(?:sk|jot|pk|rk)[-_][A-Za-z0-9_-]{8,}", re.ASCII), "(key)"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE), r"\1(redacted)@"),
    (
        re.compile(r"\b((?:access_|refresh_|id_)?token|api_key|client_secret|password)=[^&\s]+", re.IGNORECASE),
        r"\1=(redacted)",
    ),
)


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
        for pattern, instead in _LOOKS:
            text = pattern.sub(instead, text)
        return text

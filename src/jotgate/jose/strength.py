"""Whether a shared secret looks like something that a person made up (RFC 8725 s3.5).

An HMAC key that can be guessed lets anybody sign, and whoever holds one token can guess at leisure. The strength of a
text cannot be computed; what is looked for is what people write: words, placeholders, repetitions. A secret from a
generator, in any usual encoding, passes.
"""

import re
from typing import Final

BITS_MIN: Final = 85.0
_BITS_OF_A_WORDY_CHARACTER: Final = 3.6  # generators reach 3.9 and more
_REPEATED: Final = 6  # characters that stand there a second time in the same order

_HEXADECIMAL_DIGIT: Final = 4.0
_DIGIT: Final = 3.3
_OTHER: Final = 4.7
_PREDICTABLE: Final = 1.0
_IN_A_WORD: Final = 1.5
# The commonest pairs of letters in English and in secrets: two thirds of a phrase, a tenth of random letters.
_PAIRED: Final = (
    "thheineranreonatenndtiesorteofedisitalarsttontngsehaasouiolevecomedehiriroicneearacelichllbemasiomur"
    "passwordkeeyusacctsucrprwhoweleeetnootutholatrgeup"
)
_PAIRS: Final = frozenset(_PAIRED[place : place + 2] for place in range(0, len(_PAIRED), 2))
_SEPARATORS: Final = frozenset(" -_.")
_TELLTALE: Final = re.compile(
    "^<.*>$|change|replace|insert|placeholder|example|default|secret|passw|phrase|minimum|characters|production|sample|qwerty"
    "|letmein|[-_ <](key|jwt|your|here|token|test|demo)|(your|my|jwt)[-_ ]"
)
_HEXADECIMAL: Final = re.compile("[0-9a-f-]+|[0-9A-F-]+")


def weakness(secret: bytes) -> str | None:
    """What is wrong with a secret, to be said to whoever configured it; None if nothing is seen.

    The text names a reason and nothing of the secret. Bytes that are no printable ASCII are taken for random ones.
    """
    if not secret.isascii() or not (text := secret.decode()).isprintable():
        return None
    bits = _bits(text)
    if bits < BITS_MIN:
        return "it is made of words, rows of digits or repetitions, and can be guessed"
    if bits < _BITS_OF_A_WORDY_CHARACTER * len(text) and _TELLTALE.search(text.lower()):
        return "it is a phrase or a placeholder, and can be guessed"
    return None


def _bits(text: str) -> float:
    """A cautious guess at how many bits of chance there are in a text."""
    other = _HEXADECIMAL_DIGIT if _HEXADECIMAL.fullmatch(text) else None
    bits, seen = 0.0, set[str]()
    for end, character in enumerate(text, 1):
        piece = text[max(0, end - _REPEATED) : end]
        if piece not in seen:
            bits += _bits_of(piece[-2:-1], character, other)
        if len(piece) == _REPEATED:
            seen.add(piece)
    return bits


def _bits_of(before: str, character: str, hexadecimal: float | None) -> float:
    if before and abs(ord(before) - ord(character)) <= 1:
        return _PREDICTABLE
    if character in _SEPARATORS:
        return _PREDICTABLE
    if hexadecimal is not None:
        return hexadecimal
    if character.isdigit():
        return _DIGIT
    return _IN_A_WORD if (before + character).lower() in _PAIRS else _OTHER

"""Knows the RSA moduli of a generator whose primes give themselves away (CVE-2017-15361, called ROCA).

That generator makes each prime as k·M + (65537^a mod M), where M is the product of the first small primes (M. Nemec and
others, The Return of Coppersmith's Attack, CCS 2017). So modulo each of those small primes the modulus is a power of
65537. Of other moduli less than one in 2^100 is that modulo all of them.
"""

from collections.abc import Iterator
from typing import Final

_BASE: Final = 65_537
_LARGEST: Final = 167  # the 39th prime: M has these at every length of a key, and more at the longer ones


def is_of_flawed_generator(modulus: int) -> bool:
    """Whether the modulus has the mark of the generator, so that its factors can be computed."""
    return all(modulus % prime in powers for prime, powers in _POWERS)


def _odd_primes() -> Iterator[int]:
    for number in range(3, _LARGEST + 1, 2):
        if all(number % divisor for divisor in range(3, int(number**0.5) + 1, 2)):
            yield number


def _powers_modulo(prime: int) -> frozenset[int]:
    found: list[int] = []
    power = 1
    while power not in found:
        found.append(power)
        power = power * _BASE % prime
    return frozenset(found)


_POWERS: Final = tuple((prime, _powers_modulo(prime)) for prime in _odd_primes())

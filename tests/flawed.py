"""An RSA key as the generator of CVE-2017-15361 makes them, for whoever must refuse it."""

import secrets
from functools import cache
from math import gcd, prod
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

_E: Final = 65_537
_PRIMES: Final = [number for number in range(2, 168) if all(number % divisor for divisor in range(2, number))]
_M: Final = prod(_PRIMES)
_BITS: Final = 1_024


@cache
def flawed_key() -> rsa.RSAPrivateKey:
    """A key of 2048 bits, the same for the whole test run."""
    p, q = _prime(), _prime()
    d = pow(_E, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(_E, p * q),
    )
    return numbers.private_key()


def _prime() -> int:
    """k·M + (65537^a mod M), with its two highest bits set."""
    while True:
        least = 3 << (_BITS - 2)
        k = (least + secrets.randbits(_BITS - 2)) // _M
        number = k * _M + pow(_E, secrets.randbelow(_M), _M)
        if number.bit_length() == _BITS and pow(2, number - 1, number) == 1 and gcd(number - 1, _E) == 1:
            return number

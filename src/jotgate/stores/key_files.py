"""Reads a JWK Set from a file, where an issuer's keys are put there by somebody else."""

import asyncio
import os
from pathlib import Path
from stat import S_ISREG
from typing import Final

from jotgate.core.key_fetches import Failed, Get, Got, Unchanged
from jotgate.core.reach import Way

_BYTES_MAX: Final = 262_144
_HERE: Final = Way("loopback", secure=True)


class KeyFiles:
    """Files as issuers' keys are fetched from them (ports.KeyFetch): the look of one stands for its ETag."""

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        """Read a file, unless it looks as it did."""
        try:
            async with asyncio.timeout(get.timeout_s):
                return await asyncio.to_thread(_read, Path(get.location), get.etag)
        except TimeoutError:
            return Failed(f"the file '{get.location}' could not be read within {get.timeout_s:.3g} s")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return Failed(f"the file '{get.location}' cannot be read: {reason}")


def _read(path: Path, etag: str) -> Got | Unchanged | Failed:
    # Without blocking: a FIFO in the place of the file would keep the thread for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        found = os.fstat(file.fileno())
        if not S_ISREG(found.st_mode):
            return Failed(f"'{path}' is no file")
        look = f"{found.st_mtime_ns}-{found.st_ino}-{found.st_size}"
        if look == etag:
            return Unchanged()
        body = file.read(_BYTES_MAX + 1)
    if len(body) > _BYTES_MAX:
        return Failed(f"the file '{path}' has more than {_BYTES_MAX} bytes")
    return Got(body, _HERE, look)

"""What worker and control tell one another over the bus, a Unix stream socket in DATA.

A frame is a four-byte big-endian length and one MessagePack map with its kind under `type`. The worker speaks first
(`Hello`); control answers with `World` and again with each new snapshot, and with a `Beat` each second. A worker keeps
an `AuditBatch` until `AuditWritten` names it, and sends it again to the next control process: a row is never lost with
control, and one that stands twice is known by its (worker, row).
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from jotgate.core.figures import Counts, Gauges
from jotgate.core.snapshot import Snapshot
from jotgate.core.values import Secret

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
BEAT_INTERVAL_S: Final = 1.0


class Hello(Struct, frozen=True, tag="hello"):
    """A worker's first words: its slot and the random name of this process instance."""

    slot: int
    instance: str


class AuditBatch(Struct, frozen=True, tag="audit"):
    """Encoded audit records, one JSON object a line, joined by line feeds; `number` counts up from 1 per instance."""

    number: int
    text: bytes


class Settled(Struct, frozen=True, tag="settled"):
    """The worker's new calls see the snapshot of this version.

    `block_s` is the longest time for which taking it held up the event loop at one go, in CPU seconds of its thread.
    """

    version: int
    block_s: float


class Figures(Struct, frozen=True, tag="figures"):
    """What the worker has counted since its start, and what stands where now: told with each beat."""

    counts: Counts
    gauges: Gauges


class World(Struct, frozen=True, tag="world"):
    """The snapshot to swap to."""

    snapshot: Snapshot


class AuditWritten(Struct, frozen=True, tag="audit_written"):
    """All batches up to this number are in the segment file (written, not yet fsynced)."""

    number: int


class Beat(Struct, frozen=True, tag="beat"):
    """Control lives. `age_s` is the age in seconds of its picture of the store, of which snapshots are made."""

    age_s: float = 0.0


class KeysWanted(Struct, frozen=True, tag="keys_wanted"):
    """A token names a key that is not held of this issuer. A worker asks once for each issuer at a time."""

    issuer: str


class KeysAnswered(Struct, frozen=True, tag="keys_answered"):
    """What became of it. A snapshot with the keys that were fetched has gone before.

    `reached` and `useless_s` are those of `core.key_fetches.KeysOutcome`.
    """

    issuer: str
    reached: bool
    useless_s: float


FromWorker = Hello | AuditBatch | Settled | Figures | KeysWanted
FromControl = World | AuditWritten | Beat | KeysAnswered


def _reveal(value: object) -> str:
    # The bus is the one place where a secret may be written out: the socket is 0600 and its ends are ours.
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))


def _conceal(kind: type, value: Any) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_reveal)
_from_worker: Final = msgspec.msgpack.Decoder(FromWorker, dec_hook=_conceal)
_from_control: Final = msgspec.msgpack.Decoder(FromControl, dec_hook=_conceal)


def frame(message: FromWorker | FromControl) -> bytes:
    """The message as one frame."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(4, "big") + payload


def read_from_worker(payload: bytes) -> FromWorker:
    """Decode the payload of one frame sent by a worker. Raises msgspec.DecodeError."""
    message: FromWorker = _from_worker.decode(payload)
    return message


def read_from_control(payload: bytes) -> FromControl:
    """Decode the payload of one frame sent by control. Raises msgspec.DecodeError."""
    message: FromControl = _from_control.decode(payload)
    return message

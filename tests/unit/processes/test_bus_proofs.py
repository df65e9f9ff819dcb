"""DPoP proofs over the bus: each question is answered by its number, and without a desk nothing is known."""

import asyncio
import socket
from pathlib import Path

from jotgate.assembly.system import SystemClock
from jotgate.core.proof_times import Sight, Verdict
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import Hello, ProofJudged, ProofShown, World, frame
from jotgate.telemetry.census import Census
from tests.unit.processes.test_bus import _SNAPSHOT, ScriptedLog, Worker


def sight(number: int) -> Sight:
    return Sight(b"handle", 1_790_000_000.5, "a nonce", b"worker:%d" % number)


async def ask(bus: BusServer, path: str, *numbers: int) -> list[ProofJudged]:
    """What a worker hears that shows a proof under each of these numbers."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    await bus.start(listener)
    worker = Worker(*await asyncio.open_unix_connection(path))
    worker.send(Hello(0, "a" * 12))
    assert isinstance(await worker.receive(), World)
    worker.writer.write(b"".join(frame(ProofShown(number, sight(number))) for number in numbers))
    heard = [await worker.receive() for _ in numbers]
    worker.writer.close()
    bus.stop()
    return [one for one in heard if isinstance(one, ProofJudged)]


def test_each_proof_is_judged_by_itself_also_when_two_are_the_same(tmp_path: Path) -> None:
    seen: list[Sight] = []

    async def judge(shown: Sight) -> Verdict:
        seen.append(shown)
        return Verdict("fresh" if len(seen) == 1 else "used", "the next nonce")

    bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
    bus.answers.serve_proofs(judge)
    heard = asyncio.run(asyncio.wait_for(ask(bus, str(tmp_path / "bus.sock"), 1, 2, 3), 20))
    assert {one.number: one.verdict.word for one in heard} == {1: "fresh", 2: "used", 3: "used"}
    assert seen == [sight(1), sight(2), sight(3)]
    assert heard[0].verdict.nonce == "the next nonce"


def test_without_anybody_who_remembers_nothing_is_known(tmp_path: Path) -> None:
    bus = BusServer(_SNAPSHOT, ScriptedLog(), Census(SystemClock()))
    heard = asyncio.run(asyncio.wait_for(ask(bus, str(tmp_path / "bus.sock"), 7), 20))
    assert heard == [ProofJudged(7, Verdict("unknown"))]

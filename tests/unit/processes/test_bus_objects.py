"""Workers give orders about owned objects over the bus, and hear what came of each."""

from pathlib import Path

from jotgate.core.owned_objects import FindObject, ObjectAnswer, ObjectKey, ObjectOrder, PutObject
from jotgate.processes.bus import BusServer
from jotgate.processes.messages import ObjectAnswered, ObjectAsked
from tests.unit.processes.test_bus_records import Desk, Talk, talk

KEY = ObjectKey("conversation", "coze", "ann", "label")


async def greeted(worker: Talk) -> None:
    for _ in range(2):
        await worker.receive()


def test_each_order_is_answered_by_its_number(tmp_path: Path) -> None:
    orders: list[ObjectOrder] = [FindObject(KEY, 3), PutObject(KEY, b"\x00\xff", 5)]
    heard: list[ObjectOrder] = []

    async def carry_out(order: ObjectOrder) -> ObjectAnswer | None:
        heard.append(order)
        return ObjectAnswer(True) if isinstance(order, PutObject) else None

    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        bus.answers.serve_objects(carry_out)
        await greeted(worker)
        for number, order in enumerate(orders):
            worker.send(ObjectAsked(number, order))
        answers = [await worker.receive(), await worker.receive()]
        assert answers == [ObjectAnswered(0, None), ObjectAnswered(1, ObjectAnswer(True))]
        assert heard == orders

    talk(tmp_path, script)


def test_where_nobody_keeps_any_it_is_not_known(tmp_path: Path) -> None:
    async def script(bus: BusServer, desk: Desk, worker: Talk) -> None:
        await greeted(worker)
        worker.send(ObjectAsked(4, FindObject(KEY)))
        assert await worker.receive() == ObjectAnswered(4, None)

    talk(tmp_path, script)

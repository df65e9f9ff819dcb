"""Takes down what an upstream says."""

from jotgate.core.calls import ResponseHead
from jotgate.errors import UpstreamError
from tests.loops import until


class Ear:
    """An ear (ports.UpstreamEvents) that fails the test when it is told anything after the end."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.complete = False
        self.error: UpstreamError | None = None
        self.written: bool | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def over(self) -> bool:
        return self.complete or self.error is not None

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        assert not self.over, "told after the end"
        assert (head is None) == (self.head is not None), "the head comes once, first"
        self.head = self.head or head
        self.pieces.append(piece)
        self.complete = complete

    def failed(self, error: UpstreamError, written: bool) -> None:
        assert not self.over, "told after the end"
        self.error, self.written = error, written

    async def until_over(self) -> None:
        await until(lambda: self.over)

    async def until_body(self, body: bytes) -> None:
        await until(lambda: self.body == body)
        assert not self.over

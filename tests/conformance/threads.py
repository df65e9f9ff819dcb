"""Several threads that begin together."""

import threading
from collections.abc import Callable
from typing import Final

THREADS: Final = 8


def in_parallel(work: Callable[[int], object]) -> list[object]:
    """What `work` returns to each of several threads that begin together; None where it raised."""
    results: list[object] = [None] * THREADS
    together = threading.Barrier(THREADS)

    def one(index: int) -> None:
        together.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results

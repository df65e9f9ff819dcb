"""A process that writes an audit log as it is told on stdin, so that a test can kill it at a known moment.

Lines: `append COUNT`, `flush`, `sync`, `close`, each answered with the number of the last row appended; `run`
appends and flushes without end, and writes the number of the last row after each flush.
"""

import sys
from pathlib import Path

from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import StillClock, call_lines

RUN_BATCH = 50


def main(directory: str, instance: str) -> None:
    writer = SegmentWriter(Path(directory), instance, StillClock(), segment_bytes_max=100_000)
    row = 0
    print(row, flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "append":
            writer.append(call_lines(row + 1, row + int(arguments[0])))
            row += int(arguments[0])
        elif command == "run":
            run(writer, row)
        else:
            {"flush": writer.flush, "sync": writer.sync, "close": writer.close}[command]()
        print(row, flush=True)


def run(writer: SegmentWriter, row: int) -> None:
    while True:
        writer.append(call_lines(row + 1, row + RUN_BATCH))
        writer.flush()
        row += RUN_BATCH
        print(row, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

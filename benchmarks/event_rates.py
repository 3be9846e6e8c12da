"""How many events a second of processor time each format is read at, on one core.

Files of a stated size are generated in a temporary folder (a moving camera: rows with short runs of
events), read with `open_events` as `dmtrack` reads them, and timed. Processor time is taken, so that other
programs do not count. Recordings of your own can be named:

    python benchmarks/event_rates.py
    python benchmarks/event_rates.py recording.raw other.es --repeat 5
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_reader import open_events
from dmtrack.video.events.event_source import visevent_picture

WIDTH, HEIGHT = 1280, 720


def moving_scene(events: int, seed: int = 7) -> EventBatch:
    """Return events as a moving camera gives them: one row at a time, in runs of 1 to 8 neighbours."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=events // 4)
    runs = np.repeat(np.arange(len(lengths)), lengths)[:events]
    within = np.arange(len(runs)) - np.searchsorted(runs, runs)
    row_change = np.cumsum(rng.random(len(lengths)) < 0.5)
    t = (row_change // 4)[runs] + 10_000
    y = (row_change * 37 % HEIGHT)[runs]
    x = np.minimum(rng.integers(0, WIDTH - 8, size=len(lengths))[runs] + within, WIDTH - 1)
    p = (rng.random(len(lengths)) < 0.5)[runs]
    return EventBatch(t.astype(np.int64), x.astype(np.uint16), y.astype(np.uint16), p)


def evt3(e: EventBatch) -> bytes:
    """Encode with vector words for runs of three and more, as cameras do."""
    header = f"% format EVT3;height={HEIGHT};width={WIDTH}\n% end\n".encode()
    joins = (np.diff(e.x.astype(int)) == 1) & (np.diff(e.t) == 0) & (np.diff(e.y.astype(int)) == 0)
    joins &= e.p[1:] == e.p[:-1]
    starts = np.flatnonzero(np.concatenate(([True], ~joins)))
    lengths = np.diff(np.append(starts, len(e)))
    words: list[int] = []
    high = low = row = -1
    columns = (e.t[starts].tolist(), e.x[starts].tolist(), e.y[starts].tolist(), e.p[starts].tolist())
    for t, x, y, p, length in zip(*columns, lengths.tolist(), strict=True):
        if t >> 12 != high:
            high, low = t >> 12, -1
            words.append(0x8000 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6000 | low)
        if y != row:
            row = y
            words.append(row)
        if length > 2:
            words += [0x3000 | p << 11 | x, 0x4000 | (1 << length) - 1]
        else:
            words += [0x2000 | p << 11 | x + step for step in range(length)]
    return header + np.array(words, dtype="<u2").tobytes()


def evt2(e: EventBatch) -> bytes:
    """Encode one word an event, and one for each 64 microseconds."""
    header = f"% format EVT2;height={HEIGHT};width={WIDTH}\n% end\n".encode()
    words = e.p.astype(np.uint32) << 28 | (e.t & 63).astype(np.uint32) << 22
    words |= e.x.astype(np.uint32) << 11 | e.y.astype(np.uint32)
    ticks = np.flatnonzero(np.diff(e.t >> 6, prepend=-1))
    highs = (np.uint32(8) << 28) | (e.t[ticks] >> 6).astype(np.uint32)
    return header + np.insert(words, ticks, highs).astype("<u4").tobytes()


def dat(e: EventBatch) -> bytes:
    """Encode records of 8 bytes."""
    header = f"% Data file containing CD events\n% Version 2\n% Width {WIDTH}\n% Height {HEIGHT}\n".encode()
    address = e.p.astype(np.uint32) << 28 | e.y.astype(np.uint32) << 14 | e.x.astype(np.uint32)
    return header + b"\x0c\x08" + np.stack([e.t.astype("<u4"), address], axis=1).astype("<u4").tobytes()


def event_stream(e: EventBatch) -> bytes:
    """Encode five bytes an event; no time step here is long enough for an overflow byte."""
    records = np.zeros(len(e), dtype=[("head", "u1"), ("x", "<u2"), ("y", "<u2")])
    steps = np.diff(e.t, prepend=e.t[0])
    records["head"] = np.minimum(steps, 126) << 1 | e.p
    records["x"], records["y"] = e.x, HEIGHT - 1 - e.y
    size = np.array([WIDTH, HEIGHT], dtype="<u2").tobytes()
    return b"Event Stream\x02\x00\x00\x01" + size + records.tobytes()


def csv(e: EventBatch) -> bytes:
    """Encode a line an event."""
    rows = np.stack([e.t, e.x, e.y, e.p], axis=1)
    return b"t,x,y,p\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist()).encode() + b"\n"


ENCODERS: dict[str, tuple[Callable[[EventBatch], bytes], int]] = {
    "evt3.raw": (evt3, 1),
    "evt2.raw": (evt2, 1),
    "cd.dat": (dat, 1),
    "dvs.es": (event_stream, 1),
    "events.csv": (csv, 20),
}


def timed(path: Path, repeat: int) -> tuple[str, int, float]:
    """Return format, number of events, and the best time of reading them all, in seconds."""
    best, count, name = float("inf"), 0, ""
    for _ in range(repeat):
        begin = time.process_time()
        with open_events(path) as reader:
            count = sum(len(batch) for batch in reader)
            name = reader.format
        best = min(best, time.process_time() - begin)
    return name, count, best


def drawing_rate(scene: EventBatch, window: int = 100_000) -> float:
    """Return million events a second drawn in pictures of `window` events."""
    begin = time.process_time()
    for start in range(0, len(scene), window):
        visevent_picture(scene[start : start + window], (WIDTH, HEIGHT))
    return len(scene) / (time.process_time() - begin) / 1e6


def main() -> None:
    """Measure, and print a line a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="recordings; default: generated files")
    parser.add_argument("--events", type=int, default=4_000_000, help="events in a generated file")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many readings counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = options.files
        scene = moving_scene(options.events)
        if not paths:
            for name, (encode, share) in ENCODERS.items():
                path = Path(folder) / name
                path.write_bytes(encode(scene[: len(scene) // share]))
                paths.append(path)
        for path in paths:
            name, count, seconds = timed(path, options.repeat)
            size = path.stat().st_size / 1e6
            line = (
                f"{name:20} {count:>11} events {size:8.1f} MB {count / seconds / 1e6:8.1f} million events/s"
            )
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    rate = drawing_rate(scene)
    sys.stdout.write(f"drawing {rate:52.1f} million events/s, pictures of 100 thousand\n")


if __name__ == "__main__":
    main()

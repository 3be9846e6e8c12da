"""How accurate `dmtrack align --time` is: known shifts of pairs, at their own and at other rates.

    python benchmarks/time_offset_accuracy.py [--data ../shared/data]

The clock of the second stream is moved by a seeded offset and its beginning is cut off by another, as if
that camera had been started later; then frames are dropped down to a third of the rate. Wrong pairs take the
second stream of another recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from alignment_accuracy import RECORDINGS, recording_paths

from dmtrack.alignment.time_offset import (
    LEAST_CONFIDENCE,
    MotionSignal,
    TimeOffset,
    motion_signal,
    propose_offset,
)
from dmtrack.video.frame import Frame, Modality
from dmtrack.video.matching import shifted
from dmtrack.video.modality import find_modality
from dmtrack.video.stream_files import open_streams
from dmtrack.video.streams import PairingOptions

ROOT = Path(__file__).parents[1]
EVERY = (1, 2, 3)
SHIFTS = 8


def changed(frames: Iterable[Frame], late_s: Fraction, offset_s: Fraction, every: int) -> Iterator[Frame]:
    """Yield every n-th frame after the first `late_s` seconds, on a clock that is `offset_s` behind."""
    kept = [frame for frame in frames if frame.time_s >= late_s]
    for frame in kept[::every]:
        yield shifted(frame, -offset_s)


def signals(data: Path, name: str) -> tuple[MotionSignal, list[Frame], Modality]:
    """Return the motion of the first stream, and the frames of the second."""
    rgb, aux = recording_paths(name, data)
    modality = find_modality(aux).modality
    with open_streams(rgb, aux, PairingOptions()) as streams:
        return motion_signal(streams.rgb, None), list(streams.aux), modality


def late_starts(frames: list[Frame]) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield by how much the second camera starts late, and how far its clock is off."""
    generator = np.random.default_rng(0)
    length = float(frames[-1].time_s - frames[0].time_s)
    for _ in range(SHIFTS):
        late = Fraction(generator.uniform(0, 0.25 * length)).limit_denominator(1000)
        yield frames[0].time_s + late, late + Fraction(generator.uniform(-0.3, 0.3)).limit_denominator(1000)


def accepted(found: TimeOffset | None) -> bool:
    """Return whether `dmtrack align --time` would have named it."""
    return found is not None and found.confidence >= LEAST_CONFIDENCE


def main() -> None:
    """Run all trials and print both tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    read = {name: signals(options.data, name) for name in RECORDINGS}
    print("| recording | frames kept | trials | accepted | median ms | worst ms | worse than 50 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, every in product(read, EVERY):
        rgb, frames, modality = read[name]
        errors = []
        for late_s, offset_s in late_starts(frames):
            moved = motion_signal(changed(frames, late_s, offset_s, every), modality)
            found = propose_offset(rgb, moved)
            if found is not None and accepted(found):
                errors.append(abs(found.offset_s - float(offset_s)) * 1000)
        shown = errors or [np.nan]
        bad = sum(error > 50 for error in errors)
        print(
            f"| {name} | every {every} | {SHIFTS} | {len(errors)} | {np.median(shown):.1f} | "
            f"{max(shown):.1f} | {bad} |",
            flush=True,
        )
    wrong = [
        propose_offset(read[name][0], motion_signal(read[other][1][::every], read[other][2]))
        for name, other, every in product(read, read, EVERY)
        if name != other
    ]
    highest = max((found.confidence for found in wrong if found is not None), default=0.0)
    refused = sum(not accepted(found) for found in wrong)
    print(f"\nwrong pairs: {refused} of {len(wrong)} refused, highest confidence {highest:.2f}")


if __name__ == "__main__":
    main()

"""What `--align` costs a frame, beside the step of the tiny network: one warp of a 640x480 picture.

python benchmarks/warp_cost.py [--steps 60] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch

from dmtrack.geometry.box import Box
from dmtrack.geometry.homography import Homography
from dmtrack.run.pipeline import load_tracker
from dmtrack.video.frame import Frame, FramePair, Modality
from dmtrack.video.second.grid import HomographyGrid, resize_to_grid

SIZE = (640, 480)
WARM_UP = 5


def milliseconds(call: Callable[[], object], steps: int) -> float:
    """Return the median time of a call."""
    times = []
    for step in range(WARM_UP + steps):
        start = perf_counter()
        call()
        if step >= WARM_UP:
            times.append((perf_counter() - start) * 1000)
    return median(times)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    generator = np.random.default_rng(0)
    image = generator.integers(0, 255, (SIZE[1], SIZE[0], 6), np.uint8)
    tracker = load_tracker("tiny", Modality.THERMAL, device="cpu")
    frame = Frame(0, 0, Fraction(1, 30), np.ascontiguousarray(image[..., :3]))
    pair = FramePair(frame, frame, Modality.THERMAL, image)
    tracker.initialize(pair, [Box(300, 200, 60, 80)])
    step = milliseconds(lambda: tracker.update(pair), options.steps)
    print(f"tiny network, one target, {options.threads} threads: {step:.2f} ms a frame\n")
    print("| second picture | modality | warp ms | share of the network | plain resize ms |")
    print("| --- | --- | --- | --- | --- |")
    for aux_size in ((640, 480), (640, 512), (320, 240), (1280, 960)):
        picture = np.asarray(cv2.resize(image[..., :3], aux_size), np.uint8)
        base = Homography.stretch(aux_size, SIZE).matrix
        tilt = np.array([[1.02, 0.03, 8], [-0.03, 1.01, -6], [1e-5, 2e-5, 1]])
        warp = HomographyGrid(Homography.of(tilt @ base, aux_size, SIZE))
        for modality in (Modality.THERMAL, Modality.DEPTH):
            cost = milliseconds(lambda: warp(picture, SIZE, modality), options.steps)  # noqa: B023
            plain = milliseconds(lambda: resize_to_grid(picture, SIZE, modality), options.steps)  # noqa: B023
            print(
                f"| {aux_size[0]}x{aux_size[1]} | {modality} | {cost:.2f} | {cost / step:.1%} | {plain:.2f} |"
            )


if __name__ == "__main__":
    main()

"""How long `dmtrack review` takes to show a frame far away that nobody looked at before.

python benchmarks/far_jump.py [--frames 10000] [--keep FOLDER] [--decode]
"""

from __future__ import annotations

import argparse
import resource
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import av
import cv2
import numpy as np

from dmtrack.run.inputs import drawing_scene, first_pair, open_inputs
from dmtrack.run.request import TrackRequest
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.review.frames import FrameShelf

WIDTH, HEIGHT, RATE = 640, 480, Fraction(30)


def written(path: Path, frames: int, *, grey: bool) -> Path:
    """Write a video of a field of blocks that moves, in H.264 with B-frames and a key frame every 250."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    field = np.asarray(cv2.resize(noise, (960, 720), interpolation=cv2.INTER_NEAREST), np.uint8)
    if grey:
        field[:] = field[..., :1]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            top, left = number // 2 % 240, number % 320
            shown = np.ascontiguousarray(field[top : top + HEIGHT, left : left + WIDTH])
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="write the videos here, or take those that are there")
    parser.add_argument("--decode", action="store_true", help="as it was before frames were sought")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rgb, thermal = folder / "rgb.mp4", folder / "thermal.mkv"
        for path in (rgb, thermal):
            if not path.exists():
                written(path, options.frames, grey=path is thermal)
        pairing = PairingOptions(trusts_packets=not options.decode)
        request = TrackRequest(rgb, thermal, pairing=pairing)
        with open_inputs(request) as pairs:
            first, _ = first_pair(pairs)
            scene = drawing_scene(request, pairs, first, (1,), 0)
        shelf = FrameShelf(scene)
        print("| to frame | seconds | of the processor |\n| --- | --- | --- |")
        for share in (0.9, 0.5, 0.25, 0.75, 1, 0):
            index = min(round(share * options.frames), options.frames - 1)
            start, busy = perf_counter(), process_time()
            shown = shelf.frame(index).index
            print(f"| {shown} | {perf_counter() - start:.2f} | {process_time() - busy:.2f} |", flush=True)
        shelf.close()
    print(f"\nmost memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()

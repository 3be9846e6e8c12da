"""Makes the clips of this folder again, bit for bit.

    python sample_data/make_samples.py --out DIR [--only CLIP ...] [--jobs N]

Nothing is downloaded or read: every picture is computed by `render/` from the scenes in `scenes/`. Frames do
not depend on each other, so the number of jobs changes nothing. The same versions of numpy, OpenCV and PyAV
on the same kind of processor give the same bytes; `SHA256SUMS` holds the sums of the files shipped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from render.files import VideoFile, write_boxes, write_png
from scenes import desk_depth, night_street, road_event

_H264 = {"preset": "slow", "profile": "high"}
_FFV1 = {"level": "3", "coder": "1", "context": "0", "g": "25", "slices": "4", "slicecrc": "1"}
_Result = TypeVar("_Result")


def _ordered(pool: Executor, work: Callable[[int], _Result], count: int) -> Iterator[_Result]:
    """Yield `work(0) .. work(count - 1)` in order, a few frames ahead of the consumer."""
    ahead = 6
    waiting = [pool.submit(work, i) for i in range(min(ahead, count))]
    for i in range(count):
        yield waiting.pop(0).result()
        if i + ahead < count:
            waiting.append(pool.submit(work, i + ahead))


def _describe(folder: Path, target: str, streams: dict[str, dict[str, object]]) -> None:
    """Write `clip.json`: what the streams are, and where the target starts."""
    start = (folder / "groundtruth.txt").read_text(encoding="ascii").splitlines()[0]
    facts = {"target": target, "start_box_xywh": [float(v) for v in start.split(",")], "streams": streams}
    (folder / "clip.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="ascii")


def make_night_street(folder: Path, pool: Executor) -> None:
    """Write RGB (30 frames/s) and 16-bit thermal (15 frames/s, 12 ms late) of a street at night."""
    count = int(night_street.DURATION_S * night_street.RGB_RATE)
    with VideoFile(folder / "rgb.mp4", "rgb", night_street.RGB_RATE, crf="27", **_H264) as video:
        for picture in _ordered(pool, night_street.colour_frame, count):
            video.write(picture)
    thermal_count = int(night_street.DURATION_S * night_street.THERMAL_RATE)
    rate, start_s = night_street.THERMAL_RATE, night_street.THERMAL_START_S
    with VideoFile(folder / "thermal.mkv", "gray16", rate, start_s=start_s, **_FFV1) as video:
        for heat in _ordered(pool, night_street.thermal_frame, thermal_count):
            video.write(heat)
    write_boxes(folder / "groundtruth.txt", list(_ordered(pool, night_street.box, count)))
    _describe(folder, "pedestrian in a red jacket", {
        "rgb.mp4": {"modality": "rgb", "size": [640, 360], "rate": "30", "frames": count, "bits": 8},
        "thermal.mkv": {"modality": "thermal", "size": [320, 180], "rate": "15", "frames": thermal_count,
                        "bits": 16, "unit": "0.01 K", "start_s": 0.012},
    })  # fmt: skip


def make_desk_depth(folder: Path, pool: Executor) -> None:
    """Write RGB and a folder of 16-bit depth pictures, both 30 frames/s, of a hand moving a carton."""
    count = int(desk_depth.DURATION_S * desk_depth.RATE)
    with VideoFile(folder / "rgb.mp4", "rgb", desk_depth.RATE, crf="22", **_H264) as video:
        for picture in _ordered(pool, desk_depth.colour_frame, count):
            video.write(picture)
    for i, depth in enumerate(_ordered(pool, desk_depth.depth_frame, count), start=1):
        write_png(folder / "depth" / f"{i:08d}.png", depth)
    write_boxes(folder / "groundtruth.txt", list(_ordered(pool, desk_depth.box, count)))
    _describe(folder, "red tea carton in the hand", {
        "rgb.mp4": {"modality": "rgb", "size": [480, 360], "rate": "30", "frames": count, "bits": 8},
        "depth": {"modality": "depth", "size": [480, 360], "rate": "30", "frames": count,
                  "bits": 16, "unit": "mm"},
    })  # fmt: skip


def make_road_event(folder: Path, pool: Executor) -> None:
    """Write RGB and event pictures, both 25 frames/s, of a drive through an underpass."""
    count, rate = road_event.frame_count(), road_event.RATE
    events = road_event.event_camera()
    with (
        VideoFile(folder / "rgb.mp4", "rgb", rate, crf="20", **_H264) as colour,
        VideoFile(folder / "event.mp4", "flat", rate, compression_level="9") as event,
    ):
        for frame, steps in enumerate(_ordered(pool, road_event.radiances, count)):
            colour.write(road_event.colour_frame_of(steps, frame))
            for radiance in steps:
                events.see(radiance)
            event.write(events.picture())
    write_boxes(folder / "groundtruth.txt", list(_ordered(pool, road_event.box, count)))
    _describe(folder, "grey hatchback ahead", {
        "rgb.mp4": {"modality": "rgb", "size": [346, 260], "rate": "25", "frames": count, "bits": 8},
        "event.mp4": {"modality": "event", "size": [346, 260], "rate": "25", "frames": count, "bits": 8},
    })  # fmt: skip


CLIPS = {"night_street": make_night_street, "desk_depth": make_desk_depth, "road_event": make_road_event}


def sums(root: Path, clips: Iterable[str]) -> str:
    """Return a line `sha256  path` for every file of the clips."""
    files = sorted(path for clip in clips for path in (root / clip).rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(root).as_posix()}\n" for f in files
    )


def main() -> int:
    """Read the arguments, make the clips, write their sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--only", nargs="+", choices=sorted(CLIPS), help="make only these clips")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="frames computed at once")
    args = parser.parse_args()
    chosen = args.only or sorted(CLIPS)
    with ProcessPoolExecutor(args.jobs, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        cv2.setNumThreads(1)
        for name in chosen:
            print(name, file=sys.stderr)
            CLIPS[name](args.out / name, pool)
    (args.out / "SHA256SUMS").write_text(
        sums(args.out, [c for c in sorted(CLIPS) if (args.out / c).is_dir()]), encoding="ascii"
    )
    print(f"made {', '.join(chosen)} with numpy {np.__version__}, OpenCV {cv2.__version__}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

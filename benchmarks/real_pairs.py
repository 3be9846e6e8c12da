"""Write the real pairs of `../shared/data/train` as annotated sequences of two streams.

    python benchmarks/real_pairs.py TRAIN runs/pairs

`thermal`: of every still up to three warm things, each as a sequence of one picture repeated. `depth`: the
kitchen, one sequence a target. `event`: clips of `video` with the simulated events, in the look of VisEvent.
`thermal_motion` and `depth_motion`: the clips of `video` that are not kept back, with a second stream that
is made up: grey in another light, or a ground that the target does not stand out from.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from held_out_clips import HELD_OUT

Picture = npt.NDArray[Any]


def picture_of(path: Path, flags: int = cv2.IMREAD_COLOR) -> Picture:
    """Read a picture; a file that cannot be read ends the program."""
    picture = cv2.imread(str(path), flags)
    assert picture is not None, path
    return picture


#: Grey levels of one count in the simulated events.
ONE_EVENT = 40
#: A sequence needs so many frames.
REPEATS = 8


def sequence(
    folder: Path, modality: str, frames: Iterable[tuple[Path, Path | Picture, Sequence[float]]]
) -> None:
    """Write `(rgb, second, box)` a frame; `second` is a file or a picture."""
    for name in ("rgb", modality):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (rgb, second, box) in enumerate(frames, 1):
        (folder / "rgb" / f"{number:06d}{rgb.suffix}").symlink_to(rgb.resolve())
        if isinstance(second, Path):
            (folder / modality / f"{number:06d}{second.suffix}").symlink_to(second.resolve())
        else:
            cv2.imwrite(str(folder / modality / f"{number:06d}.png"), second)
        rows.append(",".join(f"{value:.2f}" for value in box))
    (folder / "groundtruth.txt").write_text("\n".join(rows) + "\n")


def warm_like(rng: np.random.Generator) -> Callable[[Picture], Picture]:
    """Return what makes thermal-like pictures of the colour pictures of one clip."""
    gains = rng.dirichlet((1.0, 1.0, 1.0))
    knots = np.cumsum(rng.exponential(1.0, 6))
    table = np.interp(np.arange(256), np.linspace(0, 255, 6), 20 + 215 * (knots - knots[0]) / np.ptp(knots))
    if rng.random() < 0.4:
        table = table[::-1]
    blur, noise = rng.uniform(0.3, 1.6), rng.uniform(1, 6)

    def made(rgb: Picture) -> Picture:
        grey = (rgb @ gains).clip(0, 255).astype(np.uint8)
        seen = cv2.GaussianBlur(table[grey].astype(np.float32), (0, 0), blur)
        return np.asarray((seen + rng.normal(0, noise, seen.shape)).clip(0, 255), np.uint8)

    return made


def plain_ground(rng: np.random.Generator) -> Callable[[Picture], Picture]:
    """Return what makes depth pictures in mm of a clip whose target does not stand out from the ground."""
    far, near = rng.uniform(4000, 12000), rng.uniform(800, 3000)
    bumps = cv2.resize(
        rng.normal(0, 0.12, (5, 7)).astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC
    )

    def made(rgb: Picture) -> Picture:
        height, width = rgb.shape[:2]
        rows = np.linspace(far, near, height)[:, None] * np.ones((1, width))
        depth = rows * np.exp(cv2.resize(bumps, (width, height)))
        depth[rng.random((height, width)) < 0.01] = 0
        return np.asarray((depth + rng.normal(0, 8, depth.shape)).clip(0, 65535), np.uint16)

    return made


def in_the_look_of_visevent(events: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture of brightening (red) and darkening (blue) counts on black as one on white, BGR."""
    seen = cv2.resize(events, size, interpolation=cv2.INTER_AREA).astype(int)
    darker, brighter = seen[..., 0], seen[..., 2]
    made = np.full(seen.shape, 255, np.uint8)
    some = np.maximum(darker, brighter) >= ONE_EVENT / 2
    made[some] = np.where((brighter > darker)[some][:, None], (0, 0, 255), (255, 0, 0))
    return made


source, output = (Path(text) for text in sys.argv[1:])
rng = np.random.default_rng(0)
for video in sorted((source / "video").iterdir()):
    if video.name in HELD_OUT:
        continue
    boxes = np.loadtxt(video / "groundtruth.txt", delimiter=",")
    paths = sorted((video / "rgb").glob("*.jpg"))
    for modality, kind in (("thermal", warm_like), ("depth", plain_ground)):
        second = kind(rng)
        frames = [
            (path, second(picture_of(path)), box)
            for path, box in zip(paths, boxes, strict=True)
            if np.isfinite(box).all()
        ]
        sequence(output / f"{modality}_motion" / video.name, modality, frames)
    simulated = source / "pairs_event" / f"sim_{video.name}" / "event"
    shown = [
        (path, simulated / f"{path.stem}.png", box)
        for path, box in zip(paths, boxes, strict=True)
        if (simulated / f"{path.stem}.png").is_file() and np.isfinite(box).all()
    ]
    if len(shown) >= REPEATS:
        sequence(
            output / "event" / video.name,
            "event",
            [
                (path, in_the_look_of_visevent(picture_of(events), picture_of(path).shape[1::-1]), box)
                for path, events, box in shown
            ],
        )

kitchen = source / "pairs_depth" / "kitchen"
for table in sorted(kitchen.glob("boxes*.csv")):
    found: list[tuple[Path, Path, list[float]]] = []
    for row in csv.DictReader(table.open()):
        rgb = kitchen / "rgb" / row["file"]
        box = [float(row[key]) for key in "xywh"]
        if box[2] > 4 and box[3] > 4 and rgb.is_file():
            found.append((rgb, kitchen / "depth" / f"{rgb.stem}.png", box))
    if len(found) >= REPEATS:
        sequence(output / "depth" / table.stem, "depth", found)

for folder in sorted((source / "pairs_thermal").iterdir()):
    for thermal in sorted((folder / "thermal").glob("*.jpg")):
        picture = picture_of(thermal, cv2.IMREAD_GRAYSCALE)
        height, width = picture.shape
        smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
        around = cv2.blur(smooth, (max(height // 4, 3),) * 2)
        warm = ((smooth.astype(int) - around > 28) & (smooth > 90)).astype(np.uint8)
        outlines = cv2.findContours(warm, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        things: list[tuple[float, tuple[int, int, int, int]]] = []
        for contour in outlines:
            x, y, w, h = cv2.boundingRect(contour)
            filled = cv2.contourArea(contour) / (w * h)
            inside = x > 1 and y > 1 and x + w < width - 1 and y + h < height - 1
            compact = max(w, h) < 4.5 * min(w, h) and filled > 0.4
            if inside and compact and min(w, h) >= 7 and 90 <= w * h < 0.08 * width * height:
                things.append((cv2.contourArea(contour), (x, y, w, h)))
        for number, (_, place) in enumerate(sorted(things, reverse=True)[:3]):
            rgb = folder / "rgb" / thermal.name
            name = f"{folder.name}_{thermal.stem}_{number}"
            sequence(output / "thermal" / name, "thermal", [(rgb, thermal, place)] * REPEATS)

"""How well distance and temperature of a target are measured: on made-up scenes, and on real clips.

    python benchmarks/measure_accuracy.py [--data ../shared/data] [--scenes 600]

Made-up scenes know both. Boxes are drawn as annotators draw them, loose or tight and a pixel off; the cameras
have holes, shadows, noise and misalignment. Beside the measure stands the plain median over the box. Real
clips have no true distance, but a rigid thing that turns little has a size in pixels that falls as its
distance grows: the product of both is as steady as the measure and the annotated boxes are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.geometry.box import Box
from dmtrack.synthetic.casting import CastingConfig, SceneFactory
from dmtrack.synthetic.sample import AnnotationHabit, annotated
from dmtrack.synthetic.scene import Scene, View
from dmtrack.synthetic.sensors import DepthLook
from dmtrack.synthetic.stock import Stock, load_photographs
from dmtrack.video.pairing import open_pair
from dmtrack.video.second.gauge import AuxUnit, CountMeaning, Gauge

Counts = npt.NDArray[np.uint16]
ROOT = Path(__file__).parents[1]
SIDES_PX = (12, 24, 48, 1000)
LEAST_VISIBLE = 0.5
WHOLE = 0.95
HABIT_SHARE = 0.5
KELVIN_A_GREY, NOISE_K, BLUR_PX = 0.2, 0.05, 1.0
METRES = CountMeaning(0.001, 0.0, AuxUnit.METRE)
CELSIUS = CountMeaning(0.01, -273.15, AuxUnit.CELSIUS)
CLIPS = (
    ("val/rgbd_visp", "color", "groundtruth_dragon.txt"),
    ("val/rgbd_visp", "color", "groundtruth_cube.txt"),
    ("val_hard/rgbd_bald", "color", "groundtruth.txt"),
    ("sample_data/desk_depth", "rgb.mp4", "groundtruth.txt"),
)


@dataclass(frozen=True)
class Case:
    """A target in a frame: its size, how much of it is seen, how far off measure and box median are."""

    side_px: float
    visible: float
    depth: tuple[float, float] | None
    kelvin: tuple[float, float] | None


def cases(
    factory: SceneFactory, rng: np.random.Generator, number: int, size: tuple[int, int] | None = None
) -> Iterator[Case]:
    """Yield what is found in `number` frames, one a scene; they have usual sizes, or this one."""
    while number:
        scene = factory.draw(size)
        look = DepthLook.draw(rng, scene)
        t = float(rng.uniform(0, 1)) * scene.duration
        case = case_of(scene, look, t, rng)
        if case is not None:
            number -= 1
            yield case


def case_of(scene: Scene, look: DepthLook, t: float, rng: np.random.Generator) -> Case | None:
    """Return how far off both are in a frame; None where the target is small, hidden or cut by the frame."""
    box, view = scene.target_box(t), View.whole(scene.width, scene.height)
    x1, y1, x2, y2 = box.xyxy
    if min(box.w, box.h) < 4 or min(x1, y1) < 0 or x2 > scene.width or y2 > scene.height:
        return None
    seen = scene.render(t, view, rgb=False, heat=True, depth=True)
    gone = replace(scene, target_gone=True).render(t, view, rgb=False, heat=True, depth=True)
    assert seen.depth_mm is not None and gone.depth_mm is not None and seen.heat is not None  # noqa: PT018
    own = seen.depth_mm != gone.depth_mm
    if seen.visible_share < LEAST_VISIBLE or not own.any():
        return None
    given = annotated(AnnotationHabit.draw(rng, HABIT_SHARE).of(box), rng)
    true_m = float(np.median(seen.depth_mm[own])) / 1000
    true_c = KELVIN_A_GREY * float(np.median(seen.heat[own]))
    depth = off(look.depth_mm(scene, t, view), METRES, given, true_m)
    heat = off(thermal_counts(seen.heat, rng), CELSIUS, given, true_c)
    shares = None if depth is None else (depth[0] / true_m, depth[1] / true_m)
    return Case(np.sqrt(box.area), seen.visible_share, shares, heat)


def thermal_counts(heat: npt.NDArray[np.uint8], rng: np.random.Generator) -> Counts:
    """Return hundredths of a kelvin, blurred and noisy, of a picture of temperatures."""
    celsius = KELVIN_A_GREY * cv2.GaussianBlur(heat.astype(np.float32), (0, 0), BLUR_PX)
    celsius += rng.normal(0, NOISE_K, heat.shape)
    return np.asarray(np.rint((celsius + 273.15) * 100), np.uint16)


def off(counts: Counts, meaning: CountMeaning, box: Box, truth: float) -> tuple[float, float] | None:
    """Return the errors of the measure and of the median over the box; None where nothing is known."""
    measure = Gauge(meaning, (counts.shape[1], counts.shape[0]), np.eye(3)).measure(counts, box)
    x1, y1, x2, y2 = (max(0, round(edge)) for edge in box.xyxy)
    inside = counts[y1 : max(y1 + 1, y2), x1 : max(x1 + 1, x2)]
    if measure is None or not inside.any():
        return None
    plain = float(np.median(inside[inside > 0])) * meaning.per_count + meaning.zero
    return abs(measure.median - truth), abs(plain - truth)


def rows(found: list[Case], what: Callable[[Case], tuple[float, float] | None], scale: float) -> None:
    """Print a row a class of size and visibility."""
    whole = [case for case in found if case.visible >= WHOLE]
    groups = {
        f"{low} px and more, seen whole" if high == SIDES_PX[-1] else f"{low}-{high} px, seen whole": [
            case for case in whole if low <= case.side_px < high
        ]
        for low, high in pairwise(SIDES_PX)
    }
    large = [case for case in found if case.side_px >= SIDES_PX[0]]
    groups["12 px and more, partly hidden"] = [case for case in large if case.visible < WHOLE]
    groups["12 px and more, all"] = large
    for name, chosen in groups.items():
        errors = np.array([error for case in chosen if (error := what(case)) is not None]) * scale
        own, plain = errors[:, 0], errors[:, 1]
        figures = (np.median(own), np.percentile(own, 90), np.median(plain), np.percentile(plain, 90))
        print(f"| {name} | {len(chosen)} | {len(own)} | " + " | ".join(f"{v:.2f}" for v in figures) + " |")


def steadiness(folder: Path, rgb: str, truth: str) -> tuple[float, float, float, float, float]:
    """Return the distances and three spreads in %: of size times distance, by box medians, of size."""
    boxes = read_boxes(folder / truth).boxes
    measured, plain, sizes = [], [], []
    with open_pair(folder / rgb, folder / "depth") as pairs:
        for pair in pairs:
            box = Box(*boxes[pair.rgb.index])
            measure = pair.measure(box)
            if measure is None or pair.aux is None:
                continue
            x1, y1, x2, y2 = (max(0, round(edge)) for edge in box.xyxy)
            inside = pair.aux.pixels[y1:y2, x1:x2]
            measured.append(measure.median)
            plain.append(float(np.median(inside[inside > 0])) / 1000)
            sizes.append(float(np.sqrt(box.area)))

    def spread(values: npt.NDArray[np.float64]) -> float:
        return float(100 * values.std() / values.mean())

    z, box_z, side = (np.array(values) for values in (measured, plain, sizes))
    return z.min(), z.max(), spread(z * side), spread(box_z * side), spread(side)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--scenes", type=int, default=600)
    words = parser.parse_args()
    rng = np.random.default_rng(0)
    coco = words.data / "train" / "coco"
    photographs = load_photographs(coco) if coco.is_dir() else ()
    factory = SceneFactory(CastingConfig(), Stock(rng, photographs, ()), rng)
    found = list(cases(factory, rng, words.scenes))
    head = "| Target | frames | measured | median | 90 % below | box: median | box: 90 % below |"
    for title, what, scale in (
        ("Distance, error in %", lambda c: c.depth, 100.0),
        ("Temperature, error in K", lambda c: c.kelvin, 1.0),
    ):
        print(f"\n{title}\n\n{head}\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        rows(found, what, scale)
    print("\n| Clip | distance in m | measured, % | median over the box, % | size alone, % |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, rgb, truth in CLIPS:
        folder = (ROOT if name.startswith("sample_data") else words.data) / name
        if folder.is_dir():
            low, high, *spreads = steadiness(folder, rgb, truth)
            figures = " | ".join(f"{value:.1f}" for value in spreads)
            print(f"| {name}/{truth} | {low:.2f}-{high:.2f} | {figures} |")


if __name__ == "__main__":
    main()

"""How accurate `dmtrack align` is: known warps of registered pairs recovered, and wrong pairs refused.

    python benchmarks/alignment_accuracy.py [--data ../shared/data] [--warps 8] [--frames 12]

The second stream of each registered recording is warped by seeded homographies (scale 0.7 to 1.4, shift
up to a tenth of the width, up to 5 degrees, mild perspective); the alignment found is compared with the
warp at the corners of the smaller of the two views, in pixels of a picture 640 wide. "Against files"
takes the recording's own registration as the truth, "against itself" what is found without a warp, which
leaves out how well the recording is registered. Wrong pairs take the second stream of another recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dmtrack.alignment.align import spread_pairs
from dmtrack.alignment.automatic import LEAST_CONFIDENCE, Evidence, propose
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography, picture_corners
from dmtrack.video.frame import FramePair, Modality

ROOT = Path(__file__).parents[1]
WIDTH_PX = 640
RECORDINGS = {
    "rgbt_bus1": ("val/rgbt_bus1/rgb", "val/rgbt_bus1/ir"),
    "rgbd_visp": ("val/rgbd_visp/color", "val/rgbd_visp/depth"),
    "night_street": ("night_street/rgb.mp4", "night_street/thermal.mkv"),
    "desk_depth": ("desk_depth/rgb.mp4", "desk_depth/depth"),
    "road_event": ("road_event/rgb.mp4", "road_event/event.mp4"),
}


@dataclass(frozen=True)
class Trial:
    """One warp, or one wrong pair."""

    name: str
    confidence: float
    error_px: float
    repeat_px: float

    @property
    def accepted(self) -> bool:
        """Whether `dmtrack align` would have written it."""
        return self.confidence >= LEAST_CONFIDENCE


def recording_paths(name: str, data: Path) -> tuple[Path, Path]:
    """Return both streams of a recording of the data folder or of the sample clips."""
    rgb, aux = (data / p if p.startswith("val/") else ROOT / "sample_data" / p for p in RECORDINGS[name])
    return rgb, aux


def load_pairs(name: str, data: Path, count: int) -> list[FramePair]:
    """Read frame pairs spread over a recording."""
    return list(spread_pairs(*recording_paths(name, data), count))


def random_warp(generator: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Return a camera move as a matrix from the old to the new second picture, and its scale."""
    width, height = size
    scale = float(np.exp(generator.uniform(np.log(0.7), np.log(1.4))))
    turn = np.radians(generator.uniform(-5, 5))
    shift = generator.uniform(-0.1, 0.1, 2) * width
    tilt = generator.uniform(-0.02, 0.02, 2)  # moves a corner by up to 2 % of the half width
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    normal = np.array([[2 / width, 0, -1], [0, 2 / width, -height / width], [0, 0, 1]])
    middle = np.array(
        [[cos, -sin, 2 * shift[0] / width], [sin, cos, 2 * shift[1] / width], [tilt[0], tilt[1], 1]]
    )
    return np.linalg.inv(normal) @ middle @ normal, scale


def warped(pairs: list[FramePair], matrix: np.ndarray) -> Iterator[FramePair]:
    """Yield the pairs as if the second camera had moved."""
    for pair in pairs:
        aux = pair.aux
        assert aux is not None
        flags = cv2.INTER_LINEAR if pair.modality is Modality.THERMAL else cv2.INTER_NEAREST
        border = cv2.BORDER_REPLICATE if pair.modality is Modality.THERMAL else cv2.BORDER_CONSTANT
        blank = 255 if pair.modality is Modality.EVENT else 0
        pixels: Any = cv2.warpPerspective(  # of the same type
            aux.pixels,
            matrix,
            (aux.width, aux.height),
            flags=flags,
            borderMode=border,
            borderValue=(blank,) * 3,
        )
        yield replace(pair, aux=replace(aux, pixels=pixels))


def view_error_px(found: Homography, truth: Homography) -> float:
    """Return the mean distance at the corners of the smaller view, in pixels of a picture 640 wide."""
    corners = picture_corners(truth.aux_size)
    if abs(np.linalg.det(truth.matrix[:2, :2])) * np.prod(truth.aux_size) > np.prod(truth.rgb_size):
        back = np.linalg.inv(truth.matrix)
        corners = cv2.perspectiveTransform(picture_corners(truth.rgb_size)[None], back)[0]
    distance = np.linalg.norm(found.map_points(corners) - truth.map_points(corners), axis=1).mean()
    return float(distance) * WIDTH_PX / truth.rgb_size[0]


def recovered(name: str, pairs: list[FramePair], warps: int) -> Iterator[Trial]:
    """Yield one trial a warp."""
    plain = propose(pairs)
    first = pairs[0]
    assert first.aux is not None
    aux_size, rgb_size = (first.aux.width, first.aux.height), (first.rgb.width, first.rgb.height)
    base = Homography.stretch(aux_size, rgb_size)
    itself = base if plain is None else plain[0].homography
    for seed in range(warps):
        matrix, _ = random_warp(np.random.default_rng(seed), aux_size)
        back = np.linalg.inv(matrix)
        found = propose(warped(pairs, matrix))
        if found is None:
            yield Trial(name, 0.0, np.inf, np.inf)
            continue
        homography = found[0].homography
        truth, repeat = (Homography.of(h.matrix @ back, aux_size, rgb_size) for h in (base, itself))
        trial = Trial(
            name, confidence(found), view_error_px(homography, truth), view_error_px(homography, repeat)
        )
        e = found[1]
        print(
            f"  {name} warp {seed}: error {trial.error_px:.2f} px, against itself {trial.repeat_px:.2f} px, "
            f"ratio {e.ratio:.2f}, halves {e.spread_px:.1f} px, agree {e.agreement:.2f}, "
            f"confidence {e.confidence:.2f}",
            flush=True,
        )
        yield trial


def confidence(found: tuple[Alignment, Evidence] | None) -> float:
    """Return the confidence of a proposal, 0 for none."""
    return 0.0 if found is None else found[1].confidence


def wrong_pairs(clips: dict[str, list[FramePair]]) -> Iterator[Trial]:
    """Yield one trial for each RGB stream with each second stream of another recording."""
    for name, first in clips.items():
        for other, second in clips.items():
            if name == other:
                continue
            mixed = (
                FramePair(a.rgb, b.aux, b.modality, a.image) for a, b in zip(first, second, strict=False)
            )
            found = propose(mixed)
            print(f"  {name} with {other}: confidence {confidence(found):.3f}", flush=True)
            yield Trial(f"{name}+{other}", confidence(found), np.inf, np.inf)


def print_table(trials: list[Trial], wrong: list[Trial]) -> None:
    """Print both tables in Markdown."""
    print("| recording | warps | accepted | median px | worst px | against itself px | worse than 10 px |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    names = [*dict.fromkeys(trial.name for trial in trials), "all"]
    for name in names:
        mine = [t for t in trials if name in (t.name, "all")]
        good = [t for t in mine if t.accepted]
        errors = [t.error_px for t in good] or [np.nan]
        repeats = [t.repeat_px for t in good] or [np.nan]
        bad = sum(t.error_px > 10 for t in good)
        print(
            f"| {name} | {len(mine)} | {len(good)} | {np.median(errors):.2f} | {max(errors):.2f} | "
            f"{np.median(repeats):.2f} | {bad} |"
        )
    refused = sum(not t.accepted for t in wrong)
    highest = max((t.confidence for t in wrong), default=0.0)
    print(f"\nwrong pairs: {refused} of {len(wrong)} refused, highest confidence {highest:.2f}")


def main() -> None:
    """Run all trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--warps", type=int, default=8)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=list(RECORDINGS))
    parser.add_argument("--no-wrong", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clips = {name: load_pairs(name, options.data, options.frames) for name in options.only}
    trials = [trial for name, pairs in clips.items() for trial in recovered(name, pairs, options.warps)]
    wrong = [] if options.no_wrong else list(islice(wrong_pairs(clips), 100))
    print_table(trials, wrong)


if __name__ == "__main__":
    main()

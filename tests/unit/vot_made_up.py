"""Made-up VOT sequences and results: written the same way for the official toolkit and for our own tests.

Run as a program, `python vot_made_up.py FOLDER` writes two workspaces of the VOT toolkit, `multistart` and
`longterm`; `vot analysis --workspace FOLDER/multistart made_up` then gives the numbers that
`vot_toolkit_facts.json` records.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE = (320, 240)
#: Frames, and anchors: positive frames start forwards, negative ones backwards.
MULTISTART = {
    "walk": (400, (0, 50, -399)),
    "drift": (830, (0, 200, -600, -829)),
    "hidden": (160, (0, -159)),
    "edge": (140, (0, 70, -139)),
}
LONGTERM = {"street_indoor": 150, "ball_wild": 90, "toy_wild": 40, "edge_indoor": 60}


@dataclass(frozen=True)
class Run:
    """One run of the tracker over a sequence: rows in the order in which frames were shown."""

    start: int
    boxes: np.ndarray
    confidence: np.ndarray


def truth(name: str, frames: int) -> np.ndarray:
    """`(frames, 4)` x, y, w, h.

    In `hidden` and `*_wild` the target is away for a while (NaN), in `edge*` partly outside of the picture.
    """
    rng = np.random.default_rng(sum(map(ord, name)))
    centre = np.cumsum(rng.normal(0, 1.5, (frames, 2)), axis=0) % (SIZE[0] - 180, SIZE[1] - 120) + (70, 40)
    if name.startswith("edge"):
        centre -= (78, 44)
    size = rng.uniform(24, 48, 2) + 4 * np.sin(np.arange(frames)[:, None] / 30)
    boxes = np.round(np.hstack((centre - size / 2, size)), 2)
    if name == "hidden" or name.endswith("_wild"):
        boxes[frames // 3 : frames // 3 + 12] = np.nan
    return boxes


def run(name: str, true: np.ndarray, start: int, *, backwards: bool = False) -> Run:
    """A tracker that errs more and more, loses the target in some runs, and finds it again in others."""
    rng = np.random.default_rng((sum(map(ord, name)), start, backwards))
    shown = true[start::-1] if backwards else true[start:]
    filled = shown.copy()
    for row in range(1, len(filled)):
        if np.isnan(filled[row]).any():
            filled[row] = filled[row - 1]
    error = np.cumsum(rng.normal(0, 0.9, (len(shown), 2)), axis=0)
    lost = rng.integers(20, len(shown))
    for_frames = int(rng.choice([4, 9, 10, 11, 25]))
    error[lost : lost + for_frames] += 90
    error[min(lost + for_frames, len(shown)) :] *= 0.1
    boxes = np.hstack((filled[:, :2] + error, filled[:, 2:] * rng.uniform(0.8, 1.2)))
    confidence = np.clip(1 - np.abs(error).sum(axis=1) / 60 + rng.normal(0, 0.1, len(shown)), 0, 1)
    boxes = np.round(boxes, 3)
    boxes[::7] = np.floor(boxes[::7]) + 0.5  # where ways of rounding differ
    return Run(start, boxes, np.round(confidence, 4))


def multistart_runs(name: str) -> list[tuple[Run, bool]]:
    frames, anchors = MULTISTART[name]
    true = truth(name, frames)
    return [(run(name, true, abs(a), backwards=a < 0), a < 0) for a in anchors]


def rows(boxes: np.ndarray) -> str:
    return "".join(",".join(f"{value:.6g}" for value in row) + "\n" for row in boxes)


def write_sequence(folder: Path, true: np.ndarray, anchors: tuple[int, ...] = ()) -> None:
    folder.mkdir(parents=True)
    folder.joinpath("groundtruth.txt").write_text(rows(true))
    folder.joinpath("sequence").write_text(
        f"fps=30\nname={folder.name}\nwidth={SIZE[0]}\nheight={SIZE[1]}\nlength={len(true)}\n"
        "channels.color=color/%08d.jpg\nchannel.default=color\n"
    )
    if anchors:
        signs = np.zeros(len(true), int)
        for anchor in anchors:
            signs[abs(anchor)] = -1 if anchor < 0 else 1
        folder.joinpath("anchor.value").write_text("".join(f"{sign}\n" for sign in signs))


def write_run(folder: Path, stem: str, made: Run, *, with_confidence: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath(f"{stem}.txt").write_text("1\n" + rows(made.boxes[1:]))
    folder.joinpath(f"{stem}_time.value").write_text("0.01\n" * len(made.boxes))
    if with_confidence:
        lines = ["\n", *(f"{value}\n" for value in made.confidence[1:])]
        folder.joinpath(f"{stem}_confidence.value").write_text("".join(lines))


def write_multistart(root: Path) -> None:
    """A workspace: `sequences/NAME/` and `results/made_up/baseline/NAME/NAME_00000050.txt`."""
    for name, (frames, anchors) in MULTISTART.items():
        write_sequence(root / "sequences" / name, truth(name, frames), anchors)
        for made, _ in multistart_runs(name):
            folder = root / "results" / "made_up" / "baseline" / name
            write_run(folder, f"{name}_{made.start:08d}", made, with_confidence=False)
    (root / "sequences" / "list.txt").write_text("".join(f"{name}\n" for name in MULTISTART))


def write_longterm(root: Path) -> None:
    """A workspace: one run a sequence, with confidences."""
    for name, frames in LONGTERM.items():
        true = truth(name, frames)
        write_sequence(root / "sequences" / name, true)
        folder = root / "results" / "made_up" / "rgbd-unsupervised" / name
        write_run(folder, f"{name}_001", run(name, true, 0), with_confidence=True)
    (root / "sequences" / "list.txt").write_text("".join(f"{name}\n" for name in LONGTERM))


def _as_workspace(root: Path, stack: str) -> None:
    import cv2

    (root / "config.yaml").write_text(
        f"registry:\n- ./trackers.ini\nsequences: ./sequences\nstack: {stack}\n"
    )
    (root / "trackers.ini").write_text("[made_up]\nlabel = made_up\nprotocol = trax\ncommand = true\n")
    picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for folder in (path for path in (root / "sequences").iterdir() if path.is_dir()):
        (folder / "color").mkdir()
        for number in range(len(folder.joinpath("groundtruth.txt").read_text().splitlines())):
            cv2.imwrite(str(folder / "color" / f"{number + 1:08d}.jpg"), picture)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_multistart(target / "multistart")
    _as_workspace(target / "multistart", "vot2022/rgbd")
    write_longterm(target / "longterm")
    _as_workspace(target / "longterm", "vot2021/rgbd")

"""Where the start boxes come from: the command line, a file, a window, or ground truth beside the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmtrack.datasets.ground_truth import box_at, find_ground_truth, first_box
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import FramePair
from dmtrack_cli.arguments import PICK

_WAYS = "give --box x,y,w,h in pixels, or --box-file FILE, or a bare --box to draw it"


@dataclass(frozen=True, slots=True)
class StartBoxes:
    """The boxes of the first frame, one a target, and in words where they come from."""

    boxes: tuple[Box, ...]
    origin: str


def choose_boxes(
    texts: Sequence[str],
    files: Sequence[Path],
    rgb: Path,
    first: FramePair,
    draw: Callable[[FramePair], Box],
) -> StartBoxes:
    """Gather the start boxes and make sure that they lie in the first frame.

    Args:
        texts: What was given with `--box`; `PICK` stands for drawing one.
        files: What was given with `--box-file`; the first row of each counts.
        rgb: The RGB stream, beside which ground truth is looked for when nothing was given.
        first: The first frame.
        draw: Lets the person draw a box.

    Raises:
        BoxError: There is no box, or one is malformed or lies outside the frame.
        FormatError: A ground-truth file cannot be read.
    """
    if texts or files:
        boxes = [draw(first) if text.strip() == PICK else Box.parse(text) for text in texts]
        boxes += [first_box(path) for path in files]
        found = StartBoxes(tuple(boxes), _origin(texts, files))
    else:
        found = _beside(rgb, first.rgb.index)
    for box in found.boxes:
        box.require_inside(first.rgb.width, first.rgb.height)
    return found


def _origin(texts: Sequence[str], files: Sequence[Path]) -> str:
    drawn = sum(text.strip() == PICK for text in texts)
    said = ["--box"] if len(texts) > drawn else []
    said += ["drawn"] if drawn else []
    return ", ".join([*said, *(str(path) for path in files)])


def _beside(rgb: Path, frame_index: int) -> StartBoxes:
    paths = find_ground_truth(rgb)
    if not paths:
        raise BoxError("where is the target? No ground truth lies beside this input", where=rgb, hint=_WAYS)
    boxes = tuple(box_at(path, frame_index) for path in paths)
    row = f"row {frame_index + 1} of {', '.join(path.name for path in paths)}"
    return StartBoxes(boxes, f"{row}, found beside the input")

"""Pictures of the sequences in which the best tracker does worst, with all boxes drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.drawing.draw import PALETTE
from dmtrack.errors import FormatError
from dmtrack.evaluation.metric import track_boxes
from dmtrack.evaluation.multistart import MultiStart
from dmtrack.evaluation.overlap import Floats, iou_per_frame, is_box
from dmtrack.evaluation.scoring import TrackerScore
from dmtrack.evaluation.tracker_files import RowOrder, read_track

if TYPE_CHECKING:
    from dmtrack.evaluation.evaluation import Evaluation

_WIDTH_PX: Final = 360
_QUALITY: Final = 82
_WHITE: Final = (255, 255, 255)
_DARK: Final = (16, 16, 16)
_MOST_TRACKERS: Final = len(PALETTE)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame with the boxes of truth and trackers, as JPEG."""

    caption: str
    jpeg: bytes


@dataclass(frozen=True, slots=True, eq=False)
class WorstSequence:
    """A sequence in which the best tracker does badly: its start, its worst frame and its end."""

    name: str
    figure: float
    shots: tuple[Shot, ...]


def worst_sequences(
    evaluation: Evaluation, count: int, order: RowOrder = RowOrder.XYWH
) -> tuple[WorstSequence, ...]:
    """Return the sequences in which the first tracker does worst, of those whose pictures are there.

    Args:
        evaluation: The trackers; the first of them chooses.
        count: How many sequences.
        order: What the numbers of result rows are.
    """
    if isinstance(evaluation.benchmark.metric, MultiStart):
        return ()
    best = evaluation.trackers[0]
    column = evaluation.ranking_column
    by_name = {one.name: one for one in evaluation.data.sequences}
    found: list[WorstSequence] = []
    for score in sorted(best.sequences, key=lambda score: np.nan_to_num(score.figures[column])):
        if len(found) == count:
            break
        shots = _shots(by_name[score.name], evaluation.trackers[:_MOST_TRACKERS], order)
        if shots:
            found.append(WorstSequence(score.name, score.figures[column], shots))
    return tuple(found)


def _shots(annotation: Annotation, trackers: Sequence[TrackerScore], order: RowOrder) -> tuple[Shot, ...]:
    pictures = annotation.pictures()
    if pictures is None:
        return ()
    boxes = [_boxes(tracker, annotation, order) for tracker in trackers]
    truth = annotation.truth
    step = max(1, round(len(pictures) / len(truth)))
    ious = iou_per_frame(boxes[0], truth) if boxes[0] is not None else np.full(len(truth), np.nan)
    shots = []
    for frame in _chosen(ious, is_box(truth)):
        if frame * step < len(pictures):
            drawn = _drawn(pictures[frame * step], truth[frame], [_row(one, frame) for one in boxes])
            if drawn is not None:
                overlap = "" if np.isnan(ious[frame]) else f", overlap {ious[frame]:.2f}"
                shots.append(Shot(f"frame {frame * step}{overlap}", drawn))
    return tuple(shots)


def _chosen(ious: Floats, known: npt.NDArray[np.bool_]) -> list[int]:
    """Return the first frame with a true box, the one with the least overlap, and the last."""
    frames = np.flatnonzero(known)
    if not len(frames):
        return []
    worst = int(frames[np.argmin(np.nan_to_num(ious[frames], nan=1.0))])
    return sorted({int(frames[0]), worst, int(frames[-1])})


def _boxes(tracker: TrackerScore, annotation: Annotation, order: RowOrder) -> Floats | None:
    """Return `(T, 4)` boxes of a tracker in the frames of the truth, NaN where it has none."""
    score = next((one for one in tracker.sequences if one.name == annotation.name), None)
    if score is None:
        return None
    try:
        track = read_track(score.files[0], order)
    except FormatError:
        return None
    rows = track_boxes(track, annotation.truth)
    frames = len(annotation)
    if len(rows) >= 2 * frames:
        rows = rows[:: round(len(rows) / frames)]
    flags = annotation.present
    begin = int(np.argmax(flags)) if flags is not None and flags.any() and len(rows) < frames else 0
    whole = np.full((frames, 4), np.nan)
    taken = rows[: frames - begin]
    whole[begin : begin + len(taken)] = taken
    return whole


def _row(boxes: Floats | None, frame: int) -> Floats:
    return np.full(4, np.nan) if boxes is None else boxes[frame]


def _drawn(path: object, truth: Floats, boxes: Sequence[Floats]) -> bytes | None:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    scale = _WIDTH_PX / pixels.shape[1]
    height = max(1, round(pixels.shape[0] * scale))
    picture = np.asarray(cv2.resize(pixels, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)
    _rectangle(picture, truth * scale, _WHITE)
    for colour, box in zip(PALETTE, boxes, strict=False):
        _rectangle(picture, box * scale, colour)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes() if done else None


def _rectangle(picture: npt.NDArray[np.uint8], box: Floats, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(box).all():
        return
    x, y, w, h = (round(float(np.clip(value, -4000, 4000))) for value in box)
    for shade, width in ((_DARK, 3), (colour[::-1], 1)):
        cv2.rectangle(picture, (x, y), (x + w, y + h), shade, width, cv2.LINE_AA)

"""Boxes in the picture of the second camera: mapped from pixels of RGB to pixels of the second stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from dmtrack.boxes.results import AbsentTarget, PictureSize, RecordingResults
from dmtrack.errors import FormatError, translated
from dmtrack.geometry.box import Box
from dmtrack.geometry.homography import Homography
from dmtrack.output.record import RECORD
from dmtrack.video.second.gauge import mapped_box
from dmtrack.video.second.grid import Fit, rgb_to_aux

_LEAST_PX = 1.0


class BoxStream(StrEnum):
    """The stream in whose pixels boxes are given."""

    RGB = "rgb"
    AUX = "aux"


@dataclass(frozen=True, slots=True)
class AuxBoxes:
    """Results in pixels of the second stream."""

    results: RecordingResults
    clipped: int  # number of boxes cut at the edge of the second picture
    outside: int  # number of boxes outside it, which are left out
    has_other_rate: bool  # its frame rate is not that of RGB, by whose frames boxes are counted


def in_aux_pixels(results: RecordingResults, record: Mapping[str, Any], folder: Path) -> AuxBoxes:
    """Return results in pixels of the second stream, with upright boxes around the mapped corners.

    `record` is `run.json`, which holds how the streams were aligned. `FormatError`: it does not hold that, or
    has no second stream.
    """
    with translated(FormatError, "does not say how the two streams are aligned", where=folder / RECORD):
        videos = {item["role"]: item["video"] for item in record["inputs"]}
        if "aux" not in videos:
            raise FormatError("has only one stream", hint="--stream aux needs a second one")
        size, rgb_size = (_size(videos[role]) for role in ("aux", "rgb"))
        clocks = record["clocks"]
        align, fit = clocks.get("align"), Fit(clocks.get("fit", Fit.RESIZE))
        known = None if align is None else Homography.of(align["homography"]["rows"], size, rgb_size)
        view = rgb_to_aux(known, fit, size, rgb_size)
        rates = {videos[role].get("frame_rate") for role in ("aux", "rgb")}
    clipped = outside = 0
    frames = []
    for frame in results.frames:
        targets, absent = [], list(frame.absent)
        for row in frame.targets:
            whole = mapped_box(view, row.box)
            box = None if whole is None else _cut(whole, *size)
            if box is None:
                outside += 1
                absent.append(AbsentTarget(row.target_id, row.score, row.state))
            else:
                clipped += box != whole
                targets.append(replace(row, box=box))
        frames.append(replace(frame, targets=tuple(targets), absent=tuple(absent)))
    mapped = replace(results, frames=tuple(frames), size=PictureSize(*size))
    return AuxBoxes(mapped, clipped, outside, len(rates) > 1)


def _size(video: Mapping[str, Any]) -> tuple[int, int]:
    return int(video["width"]), int(video["height"])


def _cut(box: Box, width: int, height: int) -> Box | None:
    """Return the part of a box inside the picture; None if that is less than a pixel wide or high."""
    x1, y1, x2, y2 = box.xyxy
    left, top, right, below = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
    if right - left < _LEAST_PX or below - top < _LEAST_PX:
        return None
    is_whole = (left, top, right, below) == (x1, y1, x2, y2)
    return box if is_whole else Box(left, top, right - left, below - top)

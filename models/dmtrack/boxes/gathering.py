"""Puts rows that come in any order together to `RecordingResults`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dmtrack.boxes.recording import (
    FrameBoxes,
    PictureSize,
    RecordingResults,
    TargetBox,
    TargetLabel,
)
from dmtrack.errors import FormatError


@dataclass(slots=True)
class ResultsGatherer:
    """Collects frames and the targets in them.

    Attributes:
        size: Of the pictures, where the file says it.
    """

    size: PictureSize | None = None
    _frames: dict[int, FrameBoxes] = field(default_factory=dict)
    _targets: dict[int, dict[int, TargetBox]] = field(default_factory=dict)
    _labels: dict[int, str] = field(default_factory=dict)

    def add_frame(self, frame: FrameBoxes) -> None:
        """Note a frame and its targets; what an earlier row said about the frame itself stands."""
        known = self._frames.get(frame.frame_index)
        self._frames[frame.frame_index] = frame if known is None else _completed(known, frame)
        for target in frame.targets:
            self.add_target(frame.frame_index, target)

    def add_target(self, frame_index: int, target: TargetBox) -> None:
        """Note a target in a frame.

        Raises:
            FormatError: The frame holds this target already, or its index is negative.
        """
        self._frames.setdefault(frame_index, FrameBoxes(frame_index))
        targets = self._targets.setdefault(frame_index, {})
        if target.target_id in targets:
            raise FormatError(f"target {target.target_id} is in frame {frame_index} already")
        targets[target.target_id] = target

    def add_label(self, target_id: int, label: str) -> None:
        """Note what kind of thing a target is."""
        self._labels[target_id] = label

    def results(self, name: str) -> RecordingResults:
        """Return everything, in order.

        Raises:
            FormatError: There is nothing.
        """
        frames = tuple(
            replace(self._frames[index], targets=self._sorted_targets(index))
            for index in sorted(self._frames)
        )
        labels = tuple(TargetLabel(number, self._labels[number]) for number in sorted(self._labels))
        return RecordingResults(name, frames, self.size, labels)

    def _sorted_targets(self, frame_index: int) -> tuple[TargetBox, ...]:
        targets = self._targets.get(frame_index, {})
        return tuple(targets[number] for number in sorted(targets))


def _completed(known: FrameBoxes, other: FrameBoxes) -> FrameBoxes:
    """Return what is known of a frame, and of the rest what `other` says."""
    if None not in (known.time_s, known.aux, known.infer_ms):
        return known
    return replace(
        known,
        time_s=other.time_s if known.time_s is None else known.time_s,
        aux=known.aux or other.aux,
        infer_ms=other.infer_ms if known.infer_ms is None else known.infer_ms,
    )

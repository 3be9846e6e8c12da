"""What is lost when results are written in a format that cannot hold all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dmtrack.boxes.formats import HOLDS, Content, ResultFormat
from dmtrack.boxes.results import RecordingResults
from dmtrack.tracking.result import TrackState

_COUNTED: Final = {
    Content.SEVERAL_TARGETS: "targets",
    Content.SCORES: "boxes with a score",
    Content.STATES: "boxes with a state",
    Content.START_BOXES: "boxes",
    Content.LABELS: "targets with a label",
    Content.TIMES: "frames",
    Content.PAIRING: "frames",
    Content.NETWORK_TIME: "frames",
    Content.EMPTY_FRAMES: "frames",
    Content.GAPS: "frames",
}

_WHY: Final = {
    (ResultFormat.VOT, Content.SEVERAL_TARGETS): "one target a file: a file each is written",
    (ResultFormat.LASHER, Content.SEVERAL_TARGETS): "one target a file: a file each is written",
    (ResultFormat.VOT, Content.START_BOXES): "the code 1 stands in their place",
    (ResultFormat.VOT, Content.GAPS): "they read like frames without a box",
    (ResultFormat.LASHER, Content.GAPS): "they read like frames without a box",
    (ResultFormat.MOT, Content.EMPTY_FRAMES): "no line is written for them",
    (ResultFormat.CVAT, Content.EMPTY_FRAMES): "no line is written for them",
    (ResultFormat.CVAT, Content.STATES): "lost targets get visibility 0, which CVAT shows as occluded",
}
_NOTHING_TO_SAY: Final = frozenset({(ResultFormat.MOT, Content.GAPS), (ResultFormat.CVAT, Content.GAPS)})
"""No line there either way: that frames without a box have none says it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that a format cannot hold.

    Attributes:
        content: What.
        format: Where it was to be written.
        count: How many there are.
        recordings: In how many recordings.
    """

    content: Content
    format: ResultFormat
    count: int
    recordings: int

    def __str__(self) -> str:
        """Return one line for a person."""
        why = _WHY.get((self.format, self.content))
        where = f" in {self.recordings} recordings" if self.recordings > 1 else ""
        reason = f"; {why}" if why else ""
        counted = f"{self.count} {_COUNTED[self.content]}{where}"
        return f"{self.format} does not hold {self.content} ({counted}){reason}"


def losses(recordings: Iterable[RecordingResults], target: ResultFormat) -> tuple[Loss, ...]:
    """Return what is lost when the recordings are written as `target`, one entry a kind of thing."""
    counts: Counter[Content] = Counter()
    holders: Counter[Content] = Counter()
    for recording in recordings:
        found = +contents(recording)
        counts += found
        holders.update(found.keys())
    missing = [content for content in Content if content not in HOLDS[target]]
    return tuple(
        Loss(content, target, counts[content], holders[content])
        for content in missing
        if counts[content] and (target, content) not in _NOTHING_TO_SAY
    )


def contents(recording: RecordingResults) -> Counter[Content]:
    """Count what a recording holds besides boxes."""
    found: Counter[Content] = Counter()
    for frame in recording.frames:
        found[Content.TIMES] += frame.time_s is not None
        found[Content.PAIRING] += frame.aux_present is not None
        found[Content.NETWORK_TIME] += frame.infer_ms is not None
        found[Content.EMPTY_FRAMES] += not frame.targets
        for entry in frame.entries:
            found[Content.SCORES] += entry.score is not None
            found[Content.STATES] += entry.state is not None
            found[Content.START_BOXES] += entry.state is TrackState.INIT
    targets = len(recording.target_ids)
    found[Content.SEVERAL_TARGETS] = targets if targets > 1 else 0
    found[Content.LABELS] = len(recording.labels)
    found[Content.GAPS] = recording.frames[-1].frame_index + 1 - len(recording.frames)
    return found

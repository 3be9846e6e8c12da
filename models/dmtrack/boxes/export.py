"""Results in another format (`export`), many as one CSV (`merge`), and what a format cannot hold."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dmtrack.atomic import inputs_kept
from dmtrack.boxes.aux_view import BoxStream, in_aux_pixels
from dmtrack.boxes.formats import HOLDS, Content, ResultFormat, format_of_name
from dmtrack.boxes.formats.mot import USUAL, MotOptions
from dmtrack.boxes.formats.table import MergedTable
from dmtrack.boxes.formats.waypoints import EVERY_FRAME, AnnotatorOptions
from dmtrack.boxes.reading import (
    folders_without_results,
    item_id,
    read_all,
    read_results,
    record_beside,
    result_files,
)
from dmtrack.boxes.results import PictureSize, RecordingResults, are_shares
from dmtrack.boxes.writing import result_files_of, write_results
from dmtrack.errors import FormatError, counted
from dmtrack.output.record import RECORD
from dmtrack.tracking.result import TrackedBox, TrackState

_COUNTED: Final = {
    Content.SEVERAL_TARGETS: "target",
    Content.SCORES: "box with a score",
    Content.STATES: "box with a state",
    Content.MEASURES: "box with a measure",
    Content.START_BOXES: "box",
    Content.LOST_BOXES: "box",
    Content.LABELS: "target with a label",
    Content.TIMES: "frame",
    Content.PAIRING: "frame",
    Content.NETWORK_TIME: "frame",
    Content.EMPTY_FRAMES: "frame",
    Content.GAPS: "frame",
}

_BOXES_ALONE: Final = (
    ResultFormat.MOT, ResultFormat.CVAT, ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO,
    ResultFormat.MOTCHALLENGE, ResultFormat.KITTI,
)  # fmt: skip
"""Formats of boxes only, which hold nothing for frames without one."""
_WITH_LINES: Final = (ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO)
"""Formats that interpolate between boxes, also of sparse ground truth."""
_SIZED: Final = frozenset({ResultFormat.COCO, ResultFormat.MOTCHALLENGE})
"""Formats that hold the frame size, if it is known."""

_WHY: Final = {
    (ResultFormat.VOT, Content.SEVERAL_TARGETS): "one target per file: each gets its own file",
    (ResultFormat.LASHER, Content.SEVERAL_TARGETS): "one target per file: each gets its own file",
    **{
        (kind, content): why
        for kind in (ResultFormat.TRACKINGNET, ResultFormat.GOT_10K)
        for content, why in (
            (Content.SEVERAL_TARGETS, "one target per file: each gets its own file"),
            (Content.EMPTY_FRAMES, "scorers need a box: the last known one is repeated"),
            (Content.GAPS, "scorers need a box: the last known one is repeated"),
        )
    },
    (ResultFormat.VOT, Content.START_BOXES): "the code 1 stands in their place",
    (ResultFormat.VOT, Content.GAPS): "they read like frames without a box",
    (ResultFormat.LASHER, Content.GAPS): "they read like frames without a box",
    **{
        (one, Content.LOST_BOXES): "scorers would count them as false positives; --keep-lost writes them"
        for one in (ResultFormat.MOT, ResultFormat.MOTCHALLENGE, ResultFormat.KITTI)
    },
    **{(one, Content.EMPTY_FRAMES): "no box is written for them" for one in _BOXES_ALONE},
    **{(one, Content.GAPS): "they get boxes on straight lines" for one in _WITH_LINES},
    (ResultFormat.CVAT, Content.STATES): "lost targets get visibility 0, which CVAT shows as occluded",
}
_NOTHING_TO_SAY: Final = frozenset((one, Content.GAPS) for one in _BOXES_ALONE)
"""Losses that are not mentioned: the one of frames without a box says the same."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of content that a format cannot hold."""

    content: Content
    format: ResultFormat
    count: int  # number of things lost
    recordings: int  # number of recordings that lose some

    def __str__(self) -> str:
        """Return one line for a person."""
        why = _WHY.get((self.format, self.content))
        where = f" in {self.recordings} recordings" if self.recordings > 1 else ""
        reason = f"; {why}" if why else ""
        noun, blank, which = _COUNTED[self.content].partition(" ")
        said = f"{counted(self.count, noun)}{blank}{which}{where}"
        return f"{self.format} does not hold {self.content} ({said}){reason}"


@dataclass(frozen=True, slots=True)
class Exported:
    """The outcome of an export."""

    files: tuple[Path, ...]  # the files written
    empty: tuple[Path, ...]  # folders among the results that hold none
    losses: tuple[Loss, ...]  # what the format cannot hold
    is_unsized: bool  # the format holds the frame size, but that of some recording is unknown
    format: ResultFormat  # of the files written
    notes: tuple[str, ...] = ()  # for the user, about boxes in pixels of the second stream


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge."""

    items: int  # number of recordings in the table
    empty: tuple[Path, ...]  # folders among the results that hold none
    failures: tuple[FormatError, ...]  # why files were left out


def export(
    results: Sequence[Path],
    output: Path | str,
    target: ResultFormat | None = None,
    *,
    source: ResultFormat | None = None,
    source_origin: int = 0,
    stream: BoxStream = BoxStream.RGB,
    label: str | None = None,
    size: PictureSize | None = None,
    mot: MotOptions = USUAL,
    annotator: AnnotatorOptions = EVERY_FRAME,
    overwrite: bool = False,
) -> Exported:
    """Write results in another format.

    `results` are results folders of runs, folders of such folders, or files in any format (recognised, unless
    `source` is given); `source_origin` is the coordinate of the top left pixel in MOT files. `output` is as
    in `result_files_of`; without `target`, its suffix decides the format. With stream `aux`, only results of
    runs can be read. `label` and `size` replace what the files, or the `run.json` beside them, say.
    `FormatError`: something cannot be read; `ConfigError`: the suffix does not decide the format;
    `OutputError`: a file exists or cannot be written, or several recordings would go into one file.
    """
    target = format_of_name(str(output)) if target is None else target
    recordings = []
    inputs = [file for path in results for file in result_files(path, source)]
    notes: tuple[str, ...] = ()
    if stream is BoxStream.AUX:
        read, notes, size = *_in_aux_pixels(inputs, source, source_origin), None
    else:
        read = read_all(inputs, source, source_origin, size)
    for recording in read:
        if are_shares([row.box for row in recording.rows]):
            what = "its boxes lie within one pixel: are they fractions of the picture?"
            raise FormatError(what, where=recording.name, hint="multiply them by its width and height")
        labels = recording.labels if label is None else dict.fromkeys(recording.target_ids, label)
        recordings.append(replace(recording, labels=labels, size=size or recording.size))
    files = result_files_of(recordings, target, str(output), mot, annotator)
    with inputs_kept(*inputs, *_of_runs(inputs)):
        write_results(files, overwrite=overwrite)
    is_unsized = target in _SIZED and any(one.size is None for one in recordings)
    written = tuple(file.path for file in files if file.data is not None)
    lost = [
        one for one in losses(recordings, target) if not (one.content is Content.LOST_BOXES and mot.keep_lost)
    ]
    return Exported(written, _empty(results), tuple(lost), is_unsized, target, notes)


def _in_aux_pixels(
    files: Sequence[Path], source: ResultFormat | None, source_origin: int
) -> tuple[list[RecordingResults], tuple[str, ...]]:
    pairs = [(one, file) for file in files for one in read_results(file, source, source_origin)]
    done = [in_aux_pixels(one, record_beside(file), file.parent) for one, file in pairs]
    clipped, outside = sum(one.clipped for one in done), sum(one.outside for one in done)
    said = {
        f"boxes cut at the edge of the second picture: {clipped}": clipped,
        f"boxes outside the second picture, left out: {outside}": outside,
        "the second stream has another rate; frames are counted as in RGB": any(
            one.has_other_rate for one in done
        ),
    }
    return [one.results for one in done], tuple(line for line, is_said in said.items() if is_said)


def merge(
    results: Sequence[Path],
    output: Path | str,
    *,
    source: ResultFormat | None = None,
    source_origin: int = 0,
    overwrite: bool = False,
) -> Merged:
    """Write the results of many recordings as one CSV, with the item in the first column.

    Files that cannot be read are left out. The arguments are those of `export`. `FormatError`: none can be
    read; `OutputError`: the file exists or cannot be written, or two recordings have the same name.
    """
    files = [file for path in results for file in result_files(path, source)]
    failures: list[FormatError] = []
    with inputs_kept(*files, *_of_runs(files)), MergedTable(Path(output), overwrite=overwrite) as table:
        for file in files:
            try:
                found = read_results(file, source, source_origin)
            except FormatError as error:
                failures.append(error)
                continue
            for recording in found:
                table.add(item_id(file, recording), recording)
        if failures and not table.items:
            raise failures[0]
    return Merged(len(table.items), _empty(results), tuple(failures))


def _of_runs(files: Iterable[Path]) -> Iterator[Path]:
    """Yield more files that must not be replaced: the records of runs, and the recordings they name."""
    for file in files:
        record = record_beside(file)
        if record:
            yield file.with_name(RECORD)
        with contextlib.suppress(AttributeError, KeyError, TypeError):  # another program wrote the record
            yield from [Path(item["video"]["path"]) for item in record.get("inputs", ())]


def _empty(results: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(folder for path in results for folder in folders_without_results(path))


def losses(recordings: Sequence[RecordingResults], target: ResultFormat) -> tuple[Loss, ...]:
    """Return what is lost when the recordings are written as `target`, one entry per kind."""
    counts: Counter[Content] = Counter()
    holders: Counter[Content] = Counter()
    for recording in recordings:
        found = +contents(recording)
        counts += found
        holders.update(found.keys())
    missing = [content for content in Content if content not in HOLDS[target]]
    has_lines = target in _WITH_LINES and any(one.usual_step > 1 for one in recordings)
    return tuple(
        Loss(content, target, counts[content], holders[content])
        for content in missing
        if counts[content] and (has_lines or (target, content) not in _NOTHING_TO_SAY)
    )


def contents(recording: RecordingResults) -> Counter[Content]:
    """Count what a recording holds besides boxes."""
    found: Counter[Content] = Counter()
    has_aux = any(frame.aux_present for frame in recording.frames)
    for frame in recording.frames:
        found[Content.TIMES] += frame.time_s is not None
        found[Content.PAIRING] += has_aux and frame.aux_present is not None
        found[Content.NETWORK_TIME] += frame.infer_ms is not None
        found[Content.EMPTY_FRAMES] += not frame.targets
        for entry in frame.entries:
            found[Content.SCORES] += entry.score is not None
            found[Content.MEASURES] += isinstance(entry, TrackedBox) and entry.measure is not None
            found[Content.STATES] += entry.state is not None
            found[Content.START_BOXES] += entry.state is TrackState.INIT
            found[Content.LOST_BOXES] += entry.state is TrackState.LOST and entry.box is not None
    targets = len(recording.target_ids)
    found[Content.SEVERAL_TARGETS] = targets if targets > 1 else 0
    found[Content.LABELS] = len(recording.labels)
    found[Content.GAPS] = recording.frames[-1].frame_index + 1 - len(recording.frames)
    return found

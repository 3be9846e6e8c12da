"""The runs that a benchmark wants of a sequence: one pass, or one from every anchor, either way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dmtrack.batch.item import BatchItem
from dmtrack.boxes.formats import ResultFormat
from dmtrack.datasets.annotations import Annotation
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.datasets.sequence import is_recording
from dmtrack.errors import DatasetError
from dmtrack.evaluation.benchmark.benchmarks import BenchmarkName
from dmtrack.evaluation.benchmark.metrics import anchors_of
from dmtrack.output.atomic import os_errors_translated
from dmtrack.video.position import Position

_UNSUPERVISED: Final = "rgbd-unsupervised"
_ANCHORED: Final = "baseline"


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """One run of the tracker, and the file it becomes.

    Attributes:
        item: What is tracked.
        first: Index, among the frames that are read, of the frame that is row 0 of the file.
        file: Below the tracker's folder of results.
        target: Format of the file.
    """

    item: BatchItem
    first: int
    file: Path
    target: ResultFormat


def runs_of(
    sequence: AnnotatedSequence, annotation: Annotation | None, benchmark: BenchmarkName, scratch: Path
) -> Iterator[BenchmarkRun]:
    """Yield the runs of a sequence.

    Args:
        sequence: The recording.
        annotation: Says where the runs of VOT-RGBD2022 start.
        benchmark: Whose files are written.
        scratch: Where backward runs get their pictures in reverse order.

    Raises:
        DatasetError: A run starts where the target is not visible, or goes backwards through a video.
        OutputError: `scratch` cannot be written.
    """
    if benchmark is BenchmarkName.VOT_RGBD22 and annotation is not None:
        for anchor in anchors_of(annotation):
            yield _anchored(sequence, anchor, scratch)
        return
    rgb, aux = sequence.sources()
    first, name = sequence.source_start(), sequence.name
    start = first + sequence.start_frame
    item = BatchItem(
        name,
        rgb,
        aux,
        sequence.modality,
        boxes=(sequence.start_box,),
        start=Position(index=start) if start else None,
        end=Position(index=first + len(sequence)),
    )
    if benchmark is BenchmarkName.DEPTHTRACK:
        yield BenchmarkRun(item, first, Path(_UNSUPERVISED, name, f"{name}_001.txt"), ResultFormat.VOT)
    else:
        yield BenchmarkRun(item, first, Path(f"{name}.txt"), ResultFormat.LASHER)


def _anchored(sequence: AnnotatedSequence, anchor: int, scratch: Path) -> BenchmarkRun:
    """Return the run from an anchor; `~frame` goes backwards."""
    frame, name = max(anchor, ~anchor), f"{sequence.name}_{max(anchor, ~anchor):08d}"
    file = Path(_ANCHORED, sequence.name, f"{name}.txt")
    box = sequence.box(frame)
    if anchor >= 0:
        rgb, aux = sequence.sources()
        start = sequence.source_start() + frame
        position = Position(index=start) if start else None
        item = BatchItem(name, rgb, aux, sequence.modality, boxes=(box,), start=position)
        return BenchmarkRun(item, start, file, ResultFormat.VOT)
    streams = [_reversed(paths, frame, scratch / name / part, name) for part, paths in _streams(sequence)]
    aux = streams[1] if len(streams) > 1 else None
    item = BatchItem(name, streams[0], aux, sequence.modality, boxes=(box,))
    return BenchmarkRun(item, 0, file, ResultFormat.VOT)


def _streams(sequence: AnnotatedSequence) -> Iterator[tuple[str, Sequence[Path]]]:
    yield "rgb", sequence.rgb_paths
    if sequence.aux_paths:
        yield "aux", sequence.aux_paths


def _reversed(paths: Sequence[Path], frame: int, folder: Path, name: str) -> Path:
    """Make a folder in which the pictures from `frame` down to 0 come in this order; links where possible."""
    if is_recording(paths):
        raise DatasetError("a video cannot be tracked backwards", where=name, hint="extract its frames")
    if folder.is_dir() and len(list(folder.iterdir())) == frame + 1:
        return folder  # of the run that is resumed
    with os_errors_translated(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, index in enumerate(range(frame, -1, -1)):
            source = paths[index].resolve()
            target = folder / f"{number:08d}{source.suffix}"
            try:
                target.symlink_to(source)
            except OSError:
                shutil.copyfile(source, target)
    return folder

"""`dmtrack evaluate --run FOLDER -o OUT`: tracks a benchmark, writes results as it wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dmtrack.batch.item import BatchItem, Findings
from dmtrack.batch.local import LocalEngine
from dmtrack.batch.plan import Plan, make_plan
from dmtrack.batch.run import Existing
from dmtrack.batch.slots import SlotOptions, make_slots
from dmtrack.datasets.event_archive import with_event_pictures
from dmtrack.datasets.layouts import find_sequences
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.errors import DatasetError
from dmtrack.evaluation.benchmark.benchmarks import BenchmarkName
from dmtrack.output.atomic import prepare_folder
from dmtrack.results.formats import ResultFormat
from dmtrack.results.locating import TABLE
from dmtrack.results.reading import read_results
from dmtrack.results.recording import RecordingResults
from dmtrack.results.writing import ResultFile, result_files_of, write_results
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position
from dmtrack_cli.batch_item import TrackItem, WeightsDigests
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.options import Network, Picture
from dmtrack_cli.progress import ProgressKind

TRACKED: Final = "tracked"
RESULTS: Final = "results"
_EVENTS: Final = "event_pictures"
_VOT_EXPERIMENT: Final = "rgbd-unsupervised"


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """What is tracked, with what, and where the results go.

    Attributes:
        folder: The data set, in any known layout.
        output: Gets `tracked/` (one folder a sequence, as `dmtrack batch` leaves them) and `results/`.
        weights: A name or a file.
        modality: Only sequences with this second stream; None takes all.
        device: `auto`, `cpu`, `mps` or CUDA devices by number.
        jobs: Processes on a CPU.
        existing: What to do about sequences that are tracked already.
    """

    folder: Path
    output: Path
    weights: str
    modality: Modality | None
    device: str
    jobs: int | None
    existing: Existing


@dataclass(frozen=True, slots=True)
class DatasetResults:
    """Where the results are, and how many sequences failed."""

    folder: Path
    failed: int


def track_dataset(request: DatasetRun, benchmark: BenchmarkName) -> DatasetResults:
    """Track every sequence from its first box, without restarts; write `results/TRACKER/SEQUENCE.txt`.

    DepthTrack wants confidences, so its results are files of the VOT toolkit.

    Raises:
        DatasetError: There is no sequence, or no sequence could be tracked.
        OutputError: The results exist or cannot be written.
    """
    prepare_folder(request.output)
    sequences = list(_sequences(request))
    if not sequences:
        raise DatasetError(f"no annotated clip with {request.modality or 'any stream'}", where=request.folder)
    items = {sequence.name: _item(sequence) for sequence in sequences}
    plan = make_plan(Findings(tuple(items.values()), ()))
    runner = TrackItem(Network(request.weights), Picture(no_video=True))
    runner = runner.with_digests(WeightsDigests.of(request.weights))
    engine = LocalEngine(make_slots(SlotOptions(request.device, request.jobs)))
    tracked = request.output / TRACKED
    outcome = run_plan(plan, tracked, runner, engine, request.existing, ProgressKind.AUTO)
    folder = request.output / RESULTS / Path(request.weights).stem
    files = list(_submission(plan, sequences, tracked, folder, benchmark))
    if not files:
        raise DatasetError("no sequence could be tracked", where=request.folder)
    write_results(files, overwrite=True)
    return DatasetResults(folder, outcome.failed)


def _sequences(request: DatasetRun) -> Iterator[AnnotatedSequence]:
    """Yield the sequences; events of an archive are drawn where a resumed run finds them."""
    for sequence in find_sequences(request.folder):
        if request.modality is None or sequence.modality is request.modality:
            yield with_event_pictures(sequence, request.output / _EVENTS / sequence.name)


def _item(sequence: AnnotatedSequence) -> BatchItem:
    rgb, aux = sequence.sources()
    first = sequence.source_start()
    start, end = first + sequence.start_frame, first + len(sequence)
    return BatchItem(
        sequence.name,
        rgb,
        aux,
        sequence.modality,
        boxes=(sequence.start_box,),
        start=Position(index=start) if start else None,
        end=Position(index=end),
    )


def _submission(
    plan: Plan,
    sequences: Sequence[AnnotatedSequence],
    tracked: Path,
    folder: Path,
    benchmark: BenchmarkName,
) -> Iterator[ResultFile]:
    """Yield the files of the sequences that were tracked, in the format of the benchmark."""
    by_name = {sequence.name: sequence for sequence in sequences}
    for planned in plan.items:
        table = tracked / planned.folder / TABLE
        if not table.is_file():
            continue
        name = planned.item.id
        results = _from_first_frame(replace(read_results(table)[0], name=name), by_name[name].source_start())
        if benchmark is BenchmarkName.DEPTHTRACK:
            path = folder / _VOT_EXPERIMENT / name / f"{name}_001.txt"
            yield from result_files_of([results], ResultFormat.VOT, str(path))
        else:
            yield from result_files_of([results], ResultFormat.LASHER, str(folder / f"{name}.txt"))


def _from_first_frame(results: RecordingResults, first: int) -> RecordingResults:
    """Return the results with frames counted from the first that the data set annotates."""
    if not first:
        return results
    frames = tuple(replace(frame, frame_index=frame.frame_index - first) for frame in results.frames)
    return replace(results, frames=frames)

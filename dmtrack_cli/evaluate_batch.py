"""`dmtrack evaluate --run FOLDER -o OUT`: tracks a benchmark, writes results as it wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dmtrack.batch.item import Findings
from dmtrack.batch.local import LocalEngine
from dmtrack.batch.plan import Plan, make_plan
from dmtrack.batch.slots import SlotOptions, make_slots
from dmtrack.boxes.locating import TABLE
from dmtrack.boxes.reading import read_results
from dmtrack.boxes.recording import RecordingResults
from dmtrack.boxes.writing import ResultFile, result_files_of, write_results
from dmtrack.datasets.annotations import read_annotations
from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import DatasetError
from dmtrack.evaluation.benchmark.benchmarks import BenchmarkName
from dmtrack.output.atomic import prepare_folder
from dmtrack_cli.batch_item import TrackItem, WeightsDigests
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.benchmark_runs import BenchmarkRun, runs_of
from dmtrack_cli.evaluate_options import Running
from dmtrack_cli.options import Network, Picture, PrecisionChoice
from dmtrack_cli.progress import ProgressKind

TRACKED: Final = "tracked"
RESULTS: Final = "results"
_REVERSED: Final = "reversed"


@dataclass(frozen=True, slots=True)
class DatasetResults:
    """Where the results are, and how many sequences failed."""

    folder: Path
    failed: int


def track_dataset(
    folder: Path, output: Path, running: Running, benchmark: BenchmarkName, *, overwrite: bool
) -> DatasetResults:
    """Track every sequence from its first box, without restarts; write the results as the benchmark wants.

    `output` gets `tracked/`, one folder a sequence as `dmtrack batch` leaves them, and
    `results/TRACKER/SEQUENCE.txt`. DepthTrack (which wants confidences) and VOT-RGBD2022 (runs from every
    anchor) get the files of the VOT toolkit.

    Raises:
        DatasetError: There is no sequence, or no sequence could be tracked.
        OutputError: The results exist or cannot be written.
    """
    prepare_folder(output)
    truth = {one.name: one for one in read_annotations(folder).sequences}
    runs = [
        run
        for sequence in find_sequences(folder)
        if running.modality is None or sequence.modality is running.modality
        for run in runs_of(sequence, truth.get(sequence.name), benchmark, output / _REVERSED)
    ]
    if not runs:
        raise DatasetError(f"no annotated clip with {running.modality or 'any stream'}", where=folder)
    plan = make_plan(Findings(tuple(run.item for run in runs), ()))
    network = Network(running.weights, PrecisionChoice.FP32)
    runner = TrackItem(network, Picture(no_video=True), running.losing)
    runner = runner.with_digests(WeightsDigests.of(running.weights))
    engine = LocalEngine(make_slots(SlotOptions(running.device.removeprefix("cuda:"), running.jobs)))
    existing = running.existing(overwrite=overwrite)
    outcome = run_plan(plan, output / TRACKED, runner, engine, existing, ProgressKind.AUTO)
    results = output / RESULTS / Path(running.weights).stem
    files = list(_submission(plan, runs, output / TRACKED, results))
    if not files:
        raise DatasetError("no sequence could be tracked", where=folder)
    write_results(files, overwrite=True)
    return DatasetResults(results, outcome.failed)


def _submission(
    plan: Plan, runs: Sequence[BenchmarkRun], tracked: Path, folder: Path
) -> Iterator[ResultFile]:
    """Yield the files of the runs that were tracked, in the format of the benchmark."""
    folders = {planned.item.id: planned.folder for planned in plan.items}
    for run in runs:
        table = tracked / folders.get(run.item.id, "") / TABLE
        if run.item.id in folders and table.is_file():
            results = _from_first_frame(read_results(table)[0], run.first)
            yield from result_files_of([results], run.target, str(folder / run.file))


def _from_first_frame(results: RecordingResults, first: int) -> RecordingResults:
    """Return the results with frames counted from the first that the data set annotates."""
    if not first:
        return results
    frames = tuple(replace(frame, frame_index=frame.frame_index - first) for frame in results.frames)
    return replace(results, frames=frames)

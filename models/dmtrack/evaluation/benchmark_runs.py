"""Running our tracker over a benchmark: its runs, their result files, and a workspace of vot-toolkit.

Most benchmarks take one pass over each sequence; VOT-RGBD2022 takes one run from every anchor, forward or
backward.

Source: the documentation of vot-toolkit 0.9 (workspaces, `trackers.ini`); the program itself is not used.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from dmtrack.atomic import inputs_kept, os_errors_translated, prepare_folder, reserve, utf8, write_atomically
from dmtrack.batch.item import BatchItem, Findings
from dmtrack.batch.plan import Plan, make_plan
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import Engine
from dmtrack.batch.workers import WorkerOptions
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.reading import TABLE, read_results
from dmtrack.boxes.writing import ResultFile, result_files_of, write_results
from dmtrack.config import PrecisionChoice
from dmtrack.datasets.annotations import Annotation, read_annotations
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.datasets.sequence import is_recording
from dmtrack.errors import ConfigError, DatasetError, OutputError
from dmtrack.evaluation.benchmarks import BenchmarkName, benchmark_for
from dmtrack.evaluation.clips import ClipResult, one_pass
from dmtrack.evaluation.evaluation import Evaluation, evaluate_results
from dmtrack.evaluation.multistart import anchors_of
from dmtrack.evaluation.scoring import ScoringOptions
from dmtrack.options import Option
from dmtrack.output.csv_text import csv_text
from dmtrack.output.record import RECORD, read_run_json
from dmtrack.run.pipeline import load
from dmtrack.run.request import NetworkOptions, OutputOptions, RecoveryChoice, RecoveryOptions, TrackRequest
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position

if TYPE_CHECKING:
    from dmtrack.run.pipeline import LoadedTracker

STACKS: Final = {BenchmarkName.VOT_RGBD22: "vot2022/rgbd", BenchmarkName.DEPTHTRACK: "vot2021/rgbd"}
"""The toolkit's names of the benchmarks that it evaluates."""
_UNSUPERVISED: Final = "rgbd-unsupervised"
_ANCHORED: Final = "baseline"


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """One run of the tracker, and its result file."""

    item: BatchItem
    first: int  # row 0 of the file belongs to this index among the frames read
    file: Path  # relative to the tracker's results folder
    target: ResultFormat  # format of the file


@dataclass(frozen=True, slots=True)
class BenchmarkRunOptions:
    """How our tracker runs over annotated clips: by default as `dmtrack track` does.

    Papers give figures for fp32 without recovery, which are the same on every machine.
    """

    PANEL: ClassVar = "Running the tracker"

    weights: Annotated[
        str, Option("--weights", "Weights: tiny, tiny-open, base, a name in the data folder, or a file.")
    ] = "tiny"
    modality: Annotated[Modality | None, Option("--modality", "Only clips with this second stream.")] = None
    device: Annotated[str, Option("--device", "auto, cpu, cuda:0 or mps.")] = "auto"
    recovery: Annotated[
        RecoveryChoice,
        Option(
            "--recovery",
            "Recovery of lost targets, as in track; for papers: off.",
        ),
    ] = RecoveryChoice.AUTO
    precision: Annotated[
        PrecisionChoice, Option("--precision", "Number format of the network, as in track; for papers: fp32.")
    ] = "auto"
    jobs: Annotated[int | None, Option("--jobs", "With -o: processes on a CPU.", "N", least=1, most=1024)] = (
        None
    )
    workspace: Annotated[
        Path | None,
        Option(
            "--export-vot",
            "With -o: also write the runs into a vot-toolkit workspace.",
            metavar="WORKSPACE",
        ),
    ] = None

    def engine(self) -> Engine:
        """Return the engine that runs the batch.

        `ConfigError`: the device does not exist, or `jobs` cannot be combined with it.
        """
        return WorkerOptions(self.device.removeprefix("cuda:"), self.jobs).engine()

    def loader(self) -> Callable[[Modality | None], LoadedTracker]:
        """Return a function that loads the tracker for a modality, each only once."""
        options = NetworkOptions(self.weights, self.precision, device=self.device)
        return functools.cache(lambda modality: load(options, modality, RecoveryOptions(self.recovery)))

    def runner(self, dataset: Path) -> TrackItem:
        """Return the function that tracks a batch item; `CheckpointError` if there are no such weights."""
        network = NetworkOptions(self.weights, self.precision)
        output, recovery = OutputOptions(no_video=True), RecoveryOptions(self.recovery)
        return TrackItem.of(TrackRequest(dataset, network=network, output=output, recovery=recovery))


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """All runs of one benchmark; `plan` is run as a batch into `tracked`."""

    benchmark: BenchmarkName
    runs: tuple[BenchmarkRun, ...]  # at least one
    plan: Plan  # the runs as a batch
    dataset: Path  # the folder of the data set
    output: Path  # gets `tracked/`, the batch with one folder for each run, and `results/TRACKER/`
    options: BenchmarkRunOptions

    @property
    def tracked(self) -> Path:
        """The folder of the batch."""
        return self.output / "tracked"

    @property
    def results(self) -> Path:
        """The tracker's results folder."""
        return self.output / "results" / Path(self.options.weights).stem

    @property
    def settings(self) -> str:
        """Precision and recovery of the runs, from their records."""
        records = (self.tracked / planned.folder / RECORD for planned in self.plan.items)
        return settings_text(
            (str(known["precision"]), bool(known["configuration"]["tracker"]["recovery"]))
            for known in (read_run_json(path) for path in records if path.is_file())
        )

    def write_results(self, *, overwrite: bool = False) -> Path:
        """Write the results in the benchmark's format, and return the tracker's folder.

        DepthTrack (with confidences) and VOT-RGBD2022 get the files of the VOT toolkit, all others
        `SEQUENCE.txt`. `DatasetError`: no sequence could be tracked; `OutputError`: the results exist in the
        workspace, or cannot be written.
        """
        folder = self.results
        files = list(self._files(folder))
        if not files:
            raise DatasetError("no sequence could be tracked", where=self.tracked)
        write_results(files, overwrite=True)
        workspace = self.options.workspace
        if workspace is not None:
            export_workspace(folder, workspace, self.benchmark, self.dataset, overwrite=overwrite)
        return folder

    def _files(self, folder: Path) -> Iterator[ResultFile]:
        folders = {planned.item.id: planned.folder for planned in self.plan.items}
        for run in self.runs:
            table = self.tracked / folders.get(run.item.id, "") / TABLE
            if run.item.id in folders and table.is_file():
                results = read_results(table)[0].counted_from(run.first)
                yield from result_files_of([results], run.target, str(folder / run.file))


def settings_text(settings: Iterable[tuple[str, bool]]) -> str:
    """Return a text on how runs were tracked, from the precision of each and whether it had recovery."""
    different = sorted(set(settings))
    return "; ".join(f"precision {name}, recovery {'on' if on else 'off'}" for name, on in different)


def plan_benchmark(
    dataset: Path,
    output: Path,
    benchmark: BenchmarkName = BenchmarkName.AUTO,
    options: BenchmarkRunOptions | None = None,
) -> BenchmarkPlan:
    """Plan the runs of a benchmark; nothing is tracked yet.

    The benchmark `auto` is found from the data set. `output` also gets the pictures of backward runs.
    `DatasetError`: there is no such sequence, or a run cannot start; `ConfigError`: a workspace was asked
    for, and the toolkit does not evaluate this benchmark; `OutputError`: `output` cannot be written.
    """
    data = read_annotations(dataset)
    name = benchmark_for(data, benchmark).name
    options = options or BenchmarkRunOptions()
    if options.workspace is not None:
        require_stack(name)
    truth = {one.name: one for one in data.sequences}
    sequences = find_sequences(dataset, options.modality)
    prepare_folder(output)
    runs = tuple(
        run for one in sequences for run in runs_of(one, truth.get(one.name), name, output / "reversed")
    )
    return BenchmarkPlan(
        name, runs, make_plan(Findings(tuple(run.item for run in runs), ())), dataset, output, options
    )


def evaluate_run(
    dataset: Path,
    output: Path,
    options: BenchmarkRunOptions,
    scoring: ScoringOptions,
    carry_out: Callable[[BenchmarkPlan], object],
    *,
    compared: tuple[str, str] | None = None,
    overwrite: bool = False,
) -> tuple[Evaluation, str]:
    """Run the tracker over a benchmark and score its results; also return how the runs were tracked.

    `output` gets `tracked/`, `results/TRACKER/` and the report; `carry_out` runs the batch of the plan into
    its folder. With `overwrite` the tracker's results in the workspace are replaced. `DmtrackError`: see
    `plan_benchmark`, `BenchmarkPlan.write_results` and `evaluate_results`.
    """
    plan = plan_benchmark(dataset, output, scoring.benchmark, options)
    if options.workspace is not None:
        _place_in(options.workspace, plan.results, overwrite=overwrite)
    carry_out(plan)
    written = plan.write_results(overwrite=overwrite)
    scoring = replace(scoring, benchmark=plan.benchmark)
    only = (
        None if options.modality is None else {one.name for one in find_sequences(dataset, options.modality)}
    )
    found = evaluate_results(
        [written], dataset, scoring, compared=compared, output=output, overwrite=True, only=only
    )
    return found, plan.settings


def measure_clips(
    folder: Path,
    options: BenchmarkRunOptions,
    table: Path | None = None,
    on_clip: Callable[[ClipResult], object] = lambda _: None,
    *,
    overwrite: bool = False,
) -> tuple[list[ClipResult], str]:
    """Track every annotated target of a folder once, from its first box; also return how they were tracked.

    `DatasetError`: there is no clip, or one cannot be read; `OutputError`: the table exists or cannot be
    written.
    """
    if table is not None:
        with inputs_kept(folder):
            reserve(table, overwrite=overwrite)
    load = options.loader()
    figures: list[ClipResult] = []
    for clip in find_sequences(folder, options.modality):
        figures.append(one_pass(lambda modality: load(modality).tracker, clip))
        on_clip(figures[-1])
    if table is not None:
        header = ("target", "modality", "frames", "mean_iou", "success_50")
        rows = [
            (c.name, c.modality or "", c.frames, f"{c.mean_iou:.4f}", f"{c.success:.4f}") for c in figures
        ]
        write_atomically(table, utf8(csv_text([header, *rows])))
    loaded = [load(clip.modality) for clip in figures]
    return figures, settings_text((str(one.precision), one.tracker.config.recovery) for one in loaded)


def runs_of(
    sequence: AnnotatedSequence, annotation: Annotation | None, benchmark: BenchmarkName, scratch: Path
) -> Iterator[BenchmarkRun]:
    """Yield the runs of a sequence.

    `annotation` holds the anchors of VOT-RGBD2022; `scratch` gets the pictures of backward runs in reverse
    order. `DatasetError`: a run starts where the target is not visible, or goes backward through a video;
    `OutputError`: `scratch` cannot be written.
    """
    if benchmark is BenchmarkName.VOT_RGBD22 and annotation is not None:
        for anchor in anchors_of(annotation):
            yield _anchored(sequence, anchor, scratch)
        return
    first, name = sequence.source_start, sequence.name
    item = _item(sequence, name, sequence.start_frame)
    item = replace(item, end=Position(index=first + len(sequence)))
    if benchmark is BenchmarkName.DEPTHTRACK:
        yield BenchmarkRun(item, first, Path(_UNSUPERVISED, name, f"{name}_001.txt"), ResultFormat.VOT)
    else:
        yield BenchmarkRun(item, first, Path(f"{name}.txt"), ResultFormat.LASHER)


def _item(sequence: AnnotatedSequence, name: str, frame: int) -> BatchItem:
    """Return the item that tracks from a frame on, starting with its true box."""
    start = sequence.source_start + frame
    position = Position(index=start) if start else None
    return BatchItem(
        name, *sequence.sources(), sequence.modality, boxes=(sequence.box(frame),), start=position
    )


def _anchored(sequence: AnnotatedSequence, anchor: int, scratch: Path) -> BenchmarkRun:
    """Return the run from an anchor; a negative one, `~frame`, goes backward."""
    frame, name = max(anchor, ~anchor), f"{sequence.name}_{max(anchor, ~anchor):08d}"
    file = Path(_ANCHORED, sequence.name, f"{name}.txt")
    item, first = _item(sequence, name, frame), sequence.source_start + frame
    if anchor < 0:
        rgb = _reversed(sequence.rgb_paths, frame, scratch / name / "rgb", name)
        aux_paths = sequence.aux_paths
        aux = _reversed(aux_paths, frame, scratch / name / "second", name) if aux_paths else None
        item, first = replace(item, rgb=rgb, aux=aux, start=None), 0
    return BenchmarkRun(item, first, file, ResultFormat.VOT)


def _reversed(paths: Sequence[Path], frame: int, folder: Path, name: str) -> Path:
    """Make a folder with the pictures from `frame` down to 0 in this order, as links where possible."""
    if is_recording(paths):
        raise DatasetError("a video cannot be tracked backwards", where=name, hint="extract its frames")
    if folder.is_dir() and len(list(folder.iterdir())) == frame + 1:
        return folder  # left by the run that is resumed
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


def require_stack(benchmark: BenchmarkName) -> str:
    """Return the toolkit's name of a benchmark; `ConfigError` if the toolkit does not evaluate it."""
    if benchmark not in STACKS:
        known = " and ".join(STACKS)
        raise ConfigError(f"vot-toolkit does not evaluate {benchmark}", hint=f"--export-vot is for {known}")
    return STACKS[benchmark]


def export_workspace(
    results: Path, workspace: Path, benchmark: BenchmarkName, dataset: Path, *, overwrite: bool
) -> None:
    """Put results into a workspace of vot-toolkit, which is made if need be.

    `results` is the tracker's folder and has its name; it may lie in the workspace. The workspace gets
    `results/TRACKER/`, and `config.yaml` and `trackers.ini` if it has none. `ConfigError`: the toolkit does
    not evaluate this benchmark; `OutputError`: the tracker has results there, or something cannot be written.
    """
    stack = require_stack(benchmark)
    tracker, target = results.name, _place_in(workspace, results, overwrite=overwrite)
    with os_errors_translated(workspace):
        if not (target.exists() and target.samefile(results)):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(results, target)
        config, trackers = workspace / "config.yaml", workspace / "trackers.ini"
        if not config.exists():
            sequences = json.dumps(str(dataset.absolute()), ensure_ascii=False)  # valid YAML, too
            text = f"registry:\n- ./trackers.ini\nstack: {stack}\nsequences: {sequences}\n"
            config.write_text(text, encoding="utf-8")
        listed = trackers.read_text(encoding="utf-8") if trackers.exists() else ""
        if f"[{tracker}]" not in listed:
            entry = f"[{tracker}]\nlabel = {tracker}\nprotocol = none\ncommand = dmtrack\n"
            trackers.write_text(f"{listed}\n{entry}" if listed else entry, encoding="utf-8")


def _place_in(workspace: Path, results: Path, *, overwrite: bool) -> Path:
    """Return the workspace folder for a tracker's results; `OutputError` if it holds other results."""
    target = workspace / "results" / results.name
    with os_errors_translated(workspace):
        is_taken = target.exists() and not (results.exists() and target.samefile(results))
    if is_taken and not overwrite:
        raise OutputError("the workspace has results of this tracker", where=target, hint="--overwrite")
    return target

"""One run of `dmtrack track`: check everything, then track, then say what came out."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from dmtrack.config import ModelConfig, TrackerConfig
from dmtrack.errors import ConfigError, OutputError, PairingError
from dmtrack.output.draw import Layout
from dmtrack.output.mot import MotSink
from dmtrack.output.run_record import (
    InputRecord,
    RunRecord,
    RunRecordSink,
    Versions,
    WeightsRecord,
)
from dmtrack.output.sink import Sink, SinkGroup
from dmtrack.output.table import TableSink
from dmtrack.output.video import VideoSink
from dmtrack.tracking.result import FrameResult, TrackState
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import FramePair, Modality, VideoInfo
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position
from dmtrack.video.streams import OnMissing
from dmtrack_cli import results_folder
from dmtrack_cli.boxes import StartBoxes, choose_boxes, startable
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.pick.choice import PICK_TIMEOUT_S, draw_targets
from dmtrack_cli.pick.drawing import PickKind, Scene
from dmtrack_cli.progress import Reporter

if TYPE_CHECKING:
    from dmtrack.network.store import ResolvedWeights
    from dmtrack.pipeline import PrecisionChoice
    from dmtrack.tracking.tracker import Precision, Tracker


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What is read, and how the streams are paired."""

    rgb: Path
    aux: Path | None = None
    modality: Modality | None = None
    start: Position | None = None
    end: Position | None = None
    offset_s: Fraction = Fraction(0)
    max_skew_s: Fraction | None = None
    on_missing: OnMissing = OnMissing.HOLD
    folder_rate: Fraction = Fraction(30)
    boxes: tuple[str, ...] = ()
    box_files: tuple[Path, ...] = ()
    pick: PickKind = PickKind.AUTO
    pick_timeout_s: float = PICK_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What tracks, and where it runs."""

    weights: str = "tiny"
    device: str = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is written, and where; no layout means no video."""

    folder: Path
    layout: Layout | None = Layout.SIDE
    overwrite: bool = False

    @property
    def names(self) -> list[str]:
        """The files of the run, the record last."""
        video = [] if self.layout is None else [results_folder.VIDEO]
        return [*video, results_folder.MOT, results_folder.TABLE, results_folder.RECORD]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The resolved configuration, as it stands in `run.json`."""

    targets: tuple[TargetStart, ...]
    boxes_from: str
    modality: Modality | None
    modality_from: str | None
    start: str | None
    end: str | None
    layout: Layout | None
    model: ModelConfig
    tracker: TrackerConfig
    weights_files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Clocks:
    """How the times of the two streams were related."""

    sync: str | None
    offset_s: Fraction
    max_skew_s: Fraction | None
    on_missing: OnMissing


@dataclass(slots=True)
class ScoreMean:
    """The mean confidence over the boxes that were found, not given."""

    total: float = 0.0
    boxes: int = 0

    def add(self, result: FrameResult) -> float | None:
        """Take note of a frame and return the mean of its scores; None where there is no target yet."""
        scores = [target.score for target in result.targets]
        found = [target.score for target in result.targets if target.state is not TrackState.INIT]
        self.total += sum(found)
        self.boxes += len(found)
        return sum(scores) / len(scores) if scores else None

    @property
    def value(self) -> float | None:
        """The mean; None if only given boxes were seen."""
        return self.total / self.boxes if self.boxes else None


@dataclass(slots=True)
class TrackRun:
    """A run whose inputs, boxes, weights and outputs have been checked.

    Attributes:
        pairs: The recording.
        first: Its first pair, already read.
        rest: The pairs after it.
        start: The targets, and where they start.
        tracker: Ready to track.
        record: What `run.json` says; once the run is over, also how it went.
        outputs: What is written.
        end: First frame not wanted any more.
        score: Mean confidence so far.
    """

    pairs: PairedSource
    first: FramePair
    rest: Iterator[FramePair]
    start: StartBoxes
    tracker: Tracker
    record: RunRecord
    outputs: OutputOptions
    end: Position | None = None
    score: ScoreMean = field(default_factory=ScoreMean)

    @property
    def expected_frames(self) -> int | None:
        """How many frames are expected, from what the container claims."""
        return expected_frames(self.pairs.rgb_info, self.first, self.end)

    def execute(self, reporter: Reporter) -> None:
        """Track to the end. However it ends, what was tracked is on disk and `record` says how it went.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The recording is damaged beyond use.
            OutputError: A result could not be written.
        """
        from dmtrack.pipeline import run  # imports torch; loaded by now

        folder, overwrite = self.outputs.folder, self.outputs.overwrite
        recorder = RunRecordSink(
            folder / results_folder.RECORD,
            self.record,
            pair_counts=lambda: self.pairs.counts,
            overwrite=overwrite,
        )
        try:
            sinks = SinkGroup(self._sinks(recorder), observers=[recorder])
            with GracefulStop() as stop, sinks, reporter:
                for result in run(chain([self.first], self.rest), self.tracker, self.start.targets):
                    sinks.write(result)
                    reporter.advance(self.score.add(result))
                    stop.check()
        finally:
            self.record = recorder.record

    def _sinks(self, recorder: RunRecordSink) -> list[Sink]:
        folder, overwrite = self.outputs.folder, self.outputs.overwrite
        try:
            sinks: list[Sink] = [
                MotSink(folder / results_folder.MOT, overwrite=overwrite),
                TableSink(folder / results_folder.TABLE, overwrite=overwrite),
            ]
        except OutputError as error:
            recorder.__exit__(type(error), error, error.__traceback__)
            raise
        if self.outputs.layout is not None:
            video = folder / results_folder.VIDEO
            sinks.append(VideoSink(video, self.outputs.layout, overwrite=overwrite))
        return sinks


@contextlib.contextmanager
def prepared_run(inputs: InputOptions, network: NetworkOptions, outputs: OutputOptions) -> Iterator[TrackRun]:
    """Open and check everything a run needs, the quick things first; nothing is tracked yet.

    Raises:
        InputError: A stream, a box or a ground-truth file cannot be used.
        ConfigError: An option is invalid, or the device is not there.
        CheckpointError: The weights are missing, damaged or for something else.
        OutputError: A result exists, or the folder cannot be written to.
        Stopped: The person drew no box.
    """
    with contextlib.ExitStack() as stack:
        pairs = stack.enter_context(_open(inputs))
        first, rest = first_pair(pairs)
        stack.enter_context(
            results_folder.prepared_folder(outputs.folder, outputs.names, overwrite=outputs.overwrite)
        )
        load = functools.cache(lambda: _load(network, pairs.modality))
        draw = _Drawing(inputs, pairs, first, before=load)
        start = choose_boxes(inputs.boxes, inputs.box_files, inputs.rgb, first, draw)
        if start.first_frame != first.rgb.index:
            inputs = replace(inputs, start=Position(index=start.first_frame))
            pairs.close()
            pairs = stack.enter_context(_open(inputs))
            first, rest = first_pair(pairs)
        start = startable(start, pairs.rgb_info, inputs.end)
        tracker, resolved, precision = load()
        configuration = _configuration(inputs, outputs, pairs, start, resolved)
        record = RunRecord(
            command=["dmtrack", *sys.argv[1:]],
            versions=Versions.collect(),
            inputs=_input_records(pairs),
            configuration=configuration,
            weights=WeightsRecord(resolved.name, resolved.files[-1].sha256),
            device=str(tracker.device),
            precision=precision,
            clocks=_clocks(inputs, pairs),
            outputs=outputs.names[:-1],
        )
        yield TrackRun(pairs, first, rest, start, tracker, record, outputs, end=inputs.end)


def expected_frames(info: VideoInfo, first: FramePair, end: Position | None) -> int | None:
    """Return how many frames there are from `first` up to `end`, from what the container claims."""
    last = info.frame_count
    if end is not None and end.index is not None:
        last = end.index if last is None else min(last, end.index)
    elif end is not None and end.time_s is not None and info.frame_rate is not None:
        by_time = -int(-end.time_s * info.frame_rate // 1)
        last = by_time if last is None else min(last, by_time)
    return None if last is None else max(1, last - first.rgb.index)


def first_pair(pairs: PairedSource) -> tuple[FramePair, Iterator[FramePair]]:
    """Return the first pair of a recording, and the pairs after it.

    Raises:
        PairingError: There is none.
    """
    rest = iter(pairs)
    first = next(rest, None)
    if first is None:
        raise PairingError(
            "the first frame has no partner",
            where=pairs.rgb_info.path,
            hint="--on-missing hold goes on without",
        )
    return first, rest


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Lets the person draw on this recording, once everything else that can go wrong has been tried."""

    inputs: InputOptions
    pairs: PairedSource
    first: FramePair
    before: Callable[[], object]

    def __call__(self, ids: tuple[int, ...], lowest_frame: int) -> tuple[TargetStart, ...]:
        self.before()
        inputs, modality = self.inputs, self.pairs.modality
        count = expected_frames(self.pairs.rgb_info, self.first, inputs.end)
        scene = Scene(
            first=self.first,
            open_at=lambda index: _open(replace(inputs, start=Position(index=index), modality=modality)),
            lowest=lowest_frame,
            last=None if count is None else self.first.rgb.index + count - 1,
            ids=ids,
            name=f"{inputs.rgb.absolute().parent.name}/{inputs.rgb.name}",
        )
        return draw_targets(scene, inputs.pick, inputs.pick_timeout_s)


def _open(inputs: InputOptions) -> PairedSource:
    return open_pair(
        inputs.rgb,
        inputs.aux,
        modality=inputs.modality,
        start=inputs.start,
        end=inputs.end,
        offset_s=inputs.offset_s,
        max_skew_s=inputs.max_skew_s,
        on_missing=inputs.on_missing,
        folder_rate=inputs.folder_rate,
    )


def _load(network: NetworkOptions, modality: Modality | None) -> tuple[Tracker, ResolvedWeights, Precision]:
    # Only from here on torch is needed: a wrong path or box was reported without waiting for it.
    import torch

    from dmtrack.network.store import resolve_weights
    from dmtrack.pipeline import tracker_for
    from dmtrack.tracking.device import choose_device, choose_precision

    if network.threads is not None:
        if network.threads < 1:
            raise ConfigError(f"--threads {network.threads} is below 1")
        torch.set_num_threads(network.threads)
    device = choose_device(network.device)
    precision = choose_precision(network.precision, device)
    resolved = resolve_weights(network.weights, modality)
    return tracker_for(resolved, str(device), precision), resolved, precision


def _configuration(
    inputs: InputOptions,
    outputs: OutputOptions,
    pairs: PairedSource,
    start: StartBoxes,
    resolved: ResolvedWeights,
) -> Configuration:
    return Configuration(
        targets=start.targets,
        boxes_from=start.origin,
        modality=pairs.modality,
        modality_from=pairs.modality_reason,
        start=None if inputs.start is None else str(inputs.start),
        end=None if inputs.end is None else str(inputs.end),
        layout=outputs.layout,
        model=resolved.model.config,
        tracker=resolved.tracker_config,
        weights_files=resolved.sha256,
    )


def _input_records(pairs: PairedSource) -> list[InputRecord]:
    records = [InputRecord.of("rgb", pairs.rgb_info)]
    return records if pairs.aux_info is None else [*records, InputRecord.of("aux", pairs.aux_info)]


def _clocks(inputs: InputOptions, pairs: PairedSource) -> Clocks:
    return Clocks(pairs.sync, inputs.offset_s, pairs.max_skew_s, inputs.on_missing)

"""Tracking a recording into a folder: `prepared_run` opens and checks everything, `TrackRun.execute` does it.

The quick checks come first and the network last: a wrong path is reported before it is loaded.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from dmtrack.atomic import inputs_kept, os_errors_translated, part_path, scratch_folder, write_atomically
from dmtrack.boxes.detections import DetectionOptions
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.keyframes import KEYFRAMES, keyframes_text
from dmtrack.boxes.reading import MOT, TABLE
from dmtrack.boxes.writing import BoxSink
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.datasets.survey import DatasetRecording
from dmtrack.drawing.draw import Layout
from dmtrack.drawing.score_plot import ScorePlotSink
from dmtrack.drawing.trajectory import TrajectorySink
from dmtrack.drawing.video import VideoSink
from dmtrack.errors import ConfigError, OutputError
from dmtrack.geometry.box import BoxFormat
from dmtrack.output.record import RECORD, InputRecord, RunRecord, RunRecordSink, Versions, WeightsRecord
from dmtrack.output.sink import BackgroundSink, Sink, SinkGroup
from dmtrack.run.corrections import EarlierRun, Retracking
from dmtrack.run.inputs import (
    drawing_scene,
    expected_frames,
    first_pair,
    open_inputs,
    opener,
    seen_by_detector,
    with_streams,
)
from dmtrack.run.request import DRAWN, TrackRequest
from dmtrack.run.results_folder import SCORES, TRAJECTORY, VIDEO, prepared_folder
from dmtrack.run.retracking import Rows
from dmtrack.run.start_boxes import BoxSources, Draw, DrawingScene, StartBoxes, startable
from dmtrack.tracking.arrivals import Arrivals, Detections
from dmtrack.tracking.result import FrameResult, TrackState
from dmtrack.tracking.start import Keyframe, TargetStart
from dmtrack.tracking.watch import LostWatch
from dmtrack.video.ahead import ReadAhead
from dmtrack.video.frame import FramePair
from dmtrack.video.live.address import hide_password
from dmtrack.video.live.pairs import LivePairs
from dmtrack.video.pairing import PairedSource
from dmtrack.video.position import Position

if TYPE_CHECKING:
    from dmtrack.network.inference import Device
    from dmtrack.run.pipeline import LoadedTracker


_log = logging.getLogger(__name__)

OnFrame = Callable[[FrameResult], object]


@dataclass(slots=True)
class ScoreMean:
    """The mean score of the boxes that were tracked, not given."""

    total: float = 0.0
    boxes: int = 0

    def add(self, result: FrameResult) -> None:
        """Add the boxes of a frame."""
        for target in result.targets:
            if target.score is not None and target.state is not TrackState.INIT:
                self.total += target.score
                self.boxes += 1

    @property
    def value(self) -> float | None:
        """The mean; None if there are only given boxes."""
        return self.total / self.boxes if self.boxes else None


@dataclass(slots=True)
class TrackRun:
    """A run whose inputs, boxes, weights and outputs have been checked.

    Attributes:
        request: The request, with everything filled in that was left open.
        folder: The results folder.
        pairs: The recording.
        first: Its first pair, already read.
        rest: The pairs after it.
        start: The targets, and where they start.
        loaded: The tracker with its weights.
        seen: A detector's boxes; None without one.
        record: The content of `run.json`, complete once the run is over.
        expected_frames: Expected number of frames, from the length that the container claims.
        retracking: The segments to track from keyframe to keyframe before results are written; None: the
            recording is tracked from its start in one pass.
        earlier: Results that are continued; they stay until the new ones are complete.
        score: Mean score so far.
        retracked_s: Seconds spent on tracking from keyframe to keyframe.
    """

    request: TrackRequest
    folder: Path
    pairs: PairedSource
    first: FramePair
    rest: Iterator[FramePair]
    start: StartBoxes
    loaded: LoadedTracker
    record: RunRecord
    expected_frames: int | None
    seen: Detections | None = None
    retracking: Retracking | None = None
    earlier: EarlierRun | None = None
    score: ScoreMean = field(default_factory=ScoreMean)
    retracked_s: float = 0.0

    def execute(
        self,
        on_frame: OnFrame = lambda _: None,
        is_over: Callable[[], bool] = lambda: False,
        viewer: Sink | None = None,
    ) -> None:
        """Track to the end. However it ends, the results so far are on disk and `record` says how it went.

        Args:
            on_frame: Called after each frame.
            is_over: Called after each frame, and while waiting for a live stream; returns whether the person
                wants the run to end. It may raise `KeyboardInterrupt`.
            viewer: Shows the results; they do not depend on it.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The recording is damaged beyond use.
            OutputError: A result could not be written.
        """
        with self._written_to() as folder:
            self._execute(folder, self.retrack(on_frame, is_over), on_frame, is_over, viewer)

    def _execute(
        self,
        folder: Path,
        rows: Rows | None,
        on_frame: OnFrame,
        is_over: Callable[[], bool],
        viewer: Sink | None,
    ) -> None:
        from dmtrack.run.pipeline import track_pairs  # which imports this

        # Live streams have threads of their own, which keep what is fresh and drop the rest.
        ahead = None if isinstance(self.pairs, LivePairs) else ReadAhead(self.pairs, self.rest)
        counted = ahead or self.pairs
        stop_after_s = self.request.recovery.stop_when_lost_s
        watch = LostWatch(stop_after_s, self.start.last_given)
        recorder = RunRecordSink(
            folder / RECORD,
            self.record,
            pair_counts=lambda: counted.counts,
            remarks=lambda: self.pairs.remarks,
            overwrite=self.request.output.overwrite,
            spent_s=self.retracked_s,
        )
        try:
            sinks = SinkGroup(
                self._sinks(folder, recorder), observers=[recorder] if viewer is None else [recorder, viewer]
            )
            with sinks, ahead or nullcontext(self.rest) as rest:
                if isinstance(self.pairs, LivePairs):
                    self.pairs.stop_when(is_over)
                keyframes = keyframes_text(self.start.keyframes)
                if keyframes != self._keyframes_there:
                    write_atomically(folder / KEYFRAMES, keyframes.encode())
                arrivals = self._arrivals(folder, recorder)
                pairs = chain([self.first], rest)
                results = (
                    track_pairs(pairs, self.loaded.tracker, self.start.targets, arrivals)
                    if rows is None
                    else rows.replayed(pairs)
                )
                for result in results:
                    sinks.write(result)
                    self.score.add(result)
                    if rows is None:
                        on_frame(result)
                    if is_over():
                        break
                    if watch.is_over(result):
                        recorder.note(f"every target had been lost for {float(stop_after_s or 0):g} s")
                        break
                if is_over():  # a live stream ends like that, a recording stays unfinished
                    if not isinstance(self.pairs, LivePairs):
                        raise KeyboardInterrupt
                    recorder.note("stopped in the window")
        finally:
            self.record = recorder.record

    def _arrivals(self, folder: Path, recorder: RunRecordSink) -> Arrivals | None:
        """Return what starts targets from detections; their keyframes are written to the folder at once."""
        if self.seen is None:
            return None

        def note(found: Sequence[Keyframe]) -> None:
            keyframes = (*self.start.keyframes, *found)
            write_atomically(folder / KEYFRAMES, keyframes_text(keyframes).encode(), durable=False)
            recorder.configure(targets=keyframes)

        return Arrivals(self.seen, [target.target_id for target in self.start.targets], note)

    def retrack(self, on_frame: OnFrame, is_over: Callable[[], bool] = lambda: False) -> Rows | None:
        """Track from keyframe to keyframe, once; nothing is written.

        Returns:
            All rows; None if the run tracks the recording in one pass.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The recording is damaged beyond use, or a keyframe lies outside of it.
        """
        if self.retracking is None:
            return None

        def on_tracked(result: FrameResult) -> None:
            on_frame(result)
            if is_over():
                raise KeyboardInterrupt

        begin_s = time.perf_counter()
        rows = self.retracking.track(opener(self.request, self.pairs), self.loaded.tracker, on_tracked)
        self.retracked_s += time.perf_counter() - begin_s
        self.retracking = replace(self.retracking, segments=())
        return rows

    @contextlib.contextmanager
    def _written_to(self) -> Iterator[Path]:
        """Yield the folder to write to; earlier results are replaced only when the new ones are complete."""
        if self.earlier is None:
            yield self.folder
            return
        with scratch_folder(part_path(self.folder / "results")) as scratch:
            yield scratch
            with os_errors_translated(self.folder):
                for name in self.request.output.names:  # the record, which speaks for the others, last
                    if (scratch / name).is_file():
                        (scratch / name).replace(self.folder / name)
                        part_path(self.folder / name).unlink(missing_ok=True)  # of a run that was killed

    @property
    def files(self) -> list[Path]:
        """The result files that exist."""
        paths = [self.folder / name for name in (*self.record.outputs, RECORD)]
        return [path for path in paths if path.is_file()]

    @property
    def _keyframes_there(self) -> str | None:
        """Text of `keyframes.csv` as a continued run read it; None: none is there. It may be newer by now."""
        earlier = self.earlier
        if earlier is None or earlier.folder != self.folder or not (self.folder / KEYFRAMES).is_file():
            return None
        return keyframes_text(earlier.keyframes)

    def _thresholds(self) -> dict[str, float]:
        config = self.loaded.tracker.config
        if not config.recovery:
            return {}
        return {"uncertain below": config.uncertain_score, "found again from": config.found_score}

    def _sinks(self, folder: Path, recorder: RunRecordSink) -> list[Sink]:
        output = self.request.output
        try:
            sinks: list[Sink] = [
                BoxSink(folder / MOT, ResultFormat.MOT, overwrite=output.overwrite, mot=output.mot),
                BoxSink(folder / TABLE, ResultFormat.CSV, overwrite=output.overwrite),
                ScorePlotSink(folder / SCORES, self._thresholds(), overwrite=output.overwrite),
                TrajectorySink(folder / TRAJECTORY, overwrite=output.overwrite),
            ]
        except OutputError as error:
            recorder.__exit__(type(error), error, error.__traceback__)
            raise
        layout = output.video_layout
        if layout is not None:
            if layout not in (Layout.SIDE, Layout.RGB) and self.pairs.aux_info is None:
                _log.warning("there is no second stream: the video shows RGB, not --layout %s", layout)
            gpu = self.request.pairing.gpu
            video = VideoSink(folder / VIDEO, layout, output.video, overwrite=output.overwrite, gpu=gpu)
            video.writer.pixel_aspect = self.pairs.rgb_info.pixel_aspect
            recorder.video_encoder = lambda: video.writer.encoder
            sinks.append(BackgroundSink(video))
        return sinks


def track_to_folder(request: TrackRequest, on_frame: OnFrame = lambda _: None) -> TrackRun:
    """Track a recording and write its folder, as `dmtrack track` does.

    Args:
        request: What to track, how, and what to write.
        on_frame: Called after each frame.

    Returns:
        The run: `record`, `folder`, `files`, `score`.

    Raises:
        DmtrackError: See `prepared_run` and `TrackRun.execute`.
    """
    with prepared_run(request) as run:
        run.execute(on_frame)
    return run


@contextlib.contextmanager
def prepared_run(
    request: TrackRequest,
    draw: Draw | None = None,
    earlier: EarlierRun | None = None,
    loaded: LoadedTracker | None = None,
) -> Iterator[TrackRun]:
    """Open and check everything a run needs, quick checks first; nothing is tracked yet.

    `draw` lets a person draw the boxes that are `DRAWN`; `earlier` are the results to continue, by default
    those that the request names, if any; without `loaded` the tracker is loaded. `InputError`: a stream, a
    box or a ground-truth file cannot be used; `ConfigError`: an option is invalid, or the device does not
    exist; `CheckpointError`: the weights are missing, damaged or for something else; `OutputError`: a result
    exists, or the folder cannot be written to.
    """
    request, earlier = _gone_on_with(request, earlier)
    if request.box_format is not BoxFormat.XYWH and not request.boxes and not request.box_files:
        raise ConfigError("is for boxes of --box and --box-file", where="--box-format")
    if request.live_addresses is not None:
        request.require_live_options()
    folder = request.folder
    with contextlib.ExitStack() as stack:
        named, recording = with_streams(_with_gpu(request))
        if DRAWN in request.boxes:  # a person waits for frames far away
            named = replace(named, pairing=replace(named.pairing, trusts_packets=True))
        pairs = stack.enter_context(open_inputs(named))
        first, rest = first_pair(pairs)
        stack.enter_context(inputs_kept(*_inputs(request), *_inputs(named)))
        stack.enter_context(prepared_folder(folder, request.output.names, overwrite=request.output.overwrite))

        @functools.cache
        def load() -> LoadedTracker:
            # Only now: a wrong path or box was reported without waiting for it.
            from dmtrack.run import pipeline

            return loaded or pipeline.load(named.network, pairs.modality, named.recovery)

        def scene(ids: tuple[int, ...], lowest_frame: int) -> DrawingScene:
            load()  # everything else that can go wrong is tried before a person draws
            return drawing_scene(named, pairs, first, ids, lowest_frame)

        if earlier is None:
            start = BoxSources(request, _annotated(request, recording), scene, draw).choose(first)
        else:
            start = earlier.start_boxes(_with_known_from(request, named, pairs, first), first)
        if start.first_frame != first.rgb.index:
            named = replace(named, start=Position(index=start.first_frame))
            pairs.close()
            pairs = stack.enter_context(open_inputs(named))
            first, rest = first_pair(pairs)
        start = startable(start, pairs, named.end)
        seen = None
        if earlier is None:
            seen = seen_by_detector(request, start.targets, start.corrections, pairs.rgb_info)
        if recording is not None and request.modality is None and pairs.modality is not None:
            pairs.modality_reason = recording.layout_reason
        yield _checked_run(named, folder, pairs, (first, rest), start, load(), seen, earlier)


def _gone_on_with(
    request: TrackRequest, earlier: EarlierRun | None
) -> tuple[TrackRequest, EarlierRun | None]:
    """Return the request changed by the earlier run, and that run, read from its folder if need be."""
    if earlier is None and request.continues:
        earlier = EarlierRun.read(Path(request.rgb))
        return earlier.request_for(request), earlier
    if earlier is None and request.from_frame is not None:
        raise ConfigError(
            "is only for results that are continued", where="--from", hint="give --continue as well"
        )
    return request, earlier


def _annotated(request: TrackRequest, recording: DatasetRecording | None) -> Sequence[AnnotatedSequence]:
    """Return the annotated targets of a data-set recording; none if the request names its targets."""
    if recording is None or request.says_targets or not find_ground_truth(recording.clip.rgb):
        return ()
    return open_clip(recording.clip)


def _with_known_from(
    request: TrackRequest, named: TrackRequest, pairs: PairedSource, first: FramePair
) -> TrackRequest:
    """Return the request with `--from` as a frame index; `ConfigError`: the run has no such frame."""
    if request.from_frame is None:
        return request
    frame, stop = pairs.rgb.frame_at(request.from_frame), pairs.rgb.end_at(named.end)
    outside = None
    if stop is not None and frame >= stop:
        outside = f"behind --end {named.end}"
    elif named.start is not None and frame < first.rgb.index:
        outside = f"before --start {named.start}"
    elif (count := pairs.rgb.frames_before(frame)) is not None:
        outside = f"behind the last of {count} frames"
    if outside is not None:
        raise ConfigError(f"{request.from_frame} lies {outside} of the run", where="--from")
    return replace(request, from_frame=Position(index=frame))


def _checked_run(
    named: TrackRequest,
    folder: Path,
    pairs: PairedSource,
    frames: tuple[FramePair, Iterator[FramePair]],
    start: StartBoxes,
    loaded: LoadedTracker,
    seen: Detections | None,
    earlier: EarlierRun | None,
) -> TrackRun:
    """Return the checked run with its record; `frames` are the first pair and the rest."""
    first, rest = frames
    retracking = None
    if earlier is not None or start.corrections:
        retracking = Retracking.of(start.keyframes, named, earlier)
    if isinstance(pairs, LivePairs):
        if retracking is not None:
            raise ConfigError("a live stream cannot be tracked again", where=start.origin)
        first, expected = _fresh(pairs, first, rest, is_drawn=DRAWN in named.boxes), None
    else:
        expected = expected_frames(pairs.rgb_info, first, named.end)
    if retracking is not None:
        expected = retracking.frames_to_track(None if expected is None else first.rgb.index + expected)
    if retracking is not None or any(isinstance(b, TargetStart) and b.frame_index for b in named.boxes):
        named = replace(  # a command line says boxes of its first frame alone
            named, boxes=(), box_files=(folder / KEYFRAMES,), from_frame=None, continues=False
        )
    seen_by = named.detections if earlier is None else earlier.detections
    record = replace(_record(named, pairs, start, loaded, seen_by), expected_frames=expected)
    if earlier is not None:
        record = replace(record, corrected=earlier.corrected(start.keyframes))
        earlier.require_same(record.inputs, loaded.weights.files[-1].sha256)
    return TrackRun(
        named, folder, pairs, first, rest, start, loaded, record, expected, seen, retracking, earlier
    )


def _inputs(request: TrackRequest) -> Iterator[Path | str | None]:
    """Yield the files and folders that a run reads."""
    if request.live_addresses is None:
        yield from (request.rgb, request.aux, *request.box_files, request.detections.file)
        yield from find_ground_truth(Path(request.rgb))
    yield from (request.pairing.rgb_times, request.pairing.aux_times)
    if Path(request.network.weights).is_file():
        yield request.network.weights


def _with_gpu(request: TrackRequest) -> TrackRequest:
    """Choose the device that decodes and encodes; torch is loaded only if there is an NVIDIA driver."""

    def network_device() -> Device:
        from dmtrack.network.backend import choose_device

        return choose_device(request.network.device)

    return replace(request, pairing=replace(request.pairing, gpu=request.codecs.gpu(network_device)))


def _fresh(pairs: LivePairs, first: FramePair, rest: Iterator[FramePair], *, is_drawn: bool) -> FramePair:
    """Skip what came while the network was loaded; but a drawn box belongs to the frame it was drawn on."""
    if is_drawn:
        pairs.begin(first.rgb.index + 1)
        return first
    pairs.begin()
    return next(rest, first)


def _live_record(request: TrackRequest) -> dict[str, object] | None:
    """Return the live streams' entry in `run.json`, without passwords."""
    addresses = request.live_addresses
    if addresses is None:
        return None
    shown = (None if address is None else address.shown for address in addresses)
    times = {"max_delay_s": request.live.max_delay_s, "timeout_s": request.live.timeout_s}
    return {**dict(zip(("rgb", "aux"), shown, strict=True)), **times}


def _record(
    request: TrackRequest,
    pairs: PairedSource,
    start: StartBoxes,
    loaded: LoadedTracker,
    detections: DetectionOptions,
) -> RunRecord:
    weights, seen = loaded.weights, None
    if detections.file is not None:
        seen = replace(detections, file=Path(request.recorded(str(detections.file))))
    inputs = [InputRecord.of("rgb", pairs.rgb_info)]
    if pairs.aux_info is not None:
        inputs.append(InputRecord.of("aux", pairs.aux_info))
    return RunRecord(
        command=[hide_password(word) for word in request.command],
        versions=Versions.collect(),
        inputs=inputs,
        configuration={
            "targets": start.keyframes,
            "boxes_from": start.origin,
            "detections": seen,
            "modality": pairs.modality,
            "modality_from": pairs.modality_reason,
            "start": None if request.start is None else str(request.start),
            "end": None if request.end is None else str(request.end),
            "stop_when_lost_s": request.recovery.stop_when_lost_s,
            "layout": request.output.video_layout,
            "video": None if request.output.no_video else request.output.video,
            "mot": request.output.mot,
            "model": weights.config,
            "tracker": loaded.tracker.config,
            "weights_files": weights.sha256,
            "live": _live_record(request),
        },
        weights=WeightsRecord(weights.name, weights.files[-1].sha256),
        device=str(loaded.tracker.network.device),
        precision=loaded.precision,
        backend=loaded.backend,
        preprocessing=None if pairs.aux_info is None else pairs.encoding,
        clocks=pairs.pairing.portable,
        batch=request.batch,
        outputs=request.output.names[:-1],
    )

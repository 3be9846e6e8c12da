"""One run of `dmtrack track`, once everything is checked: track, write, say how it went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.writing import BoxSink
from dmtrack.drawing.score_plot import ScorePlotSink
from dmtrack.drawing.video import VideoSink
from dmtrack.errors import OutputError
from dmtrack.output.background import BackgroundSink
from dmtrack.output.record import RunRecord, RunRecordSink
from dmtrack.output.sink import Sink, SinkGroup
from dmtrack.tracking.result import FrameResult, TrackState
from dmtrack.tracking.watch import LostWatch
from dmtrack.video.ahead import ReadAhead
from dmtrack.video.frame import FramePair
from dmtrack.video.live.pairs import LivePairs
from dmtrack.video.pairing import PairedSource
from dmtrack_cli import results_folder
from dmtrack_cli.boxes import StartBoxes
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.progress import Reporter
from dmtrack_cli.track_options import Wanted

if TYPE_CHECKING:
    from dmtrack.tracking.thread_tuner import ThreadTuner
    from dmtrack.tracking.tracker import Tracker
    from dmtrack_cli.viewer import Viewer


@dataclass(slots=True)
class ScoreMean:
    """The mean confidence over the boxes that were found, not given."""

    total: float = 0.0
    boxes: int = 0

    def add(self, result: FrameResult) -> float | None:
        """Take note of a frame and return the mean of its scores; None where there is no target yet."""
        known = [(target.score, target.state) for target in result.targets if target.score is not None]
        scores = [score for score, _ in known]
        found = [score for score, state in known if state is not TrackState.INIT]
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
        wanted: What was asked for.
        expected_frames: How many frames are expected, from what the container claims.
        score: Mean confidence so far.
        video: The annotated video, once it is begun.
    """

    pairs: PairedSource
    first: FramePair
    rest: Iterator[FramePair]
    start: StartBoxes
    tracker: Tracker
    record: RunRecord
    wanted: Wanted
    expected_frames: int | None
    score: ScoreMean = field(default_factory=ScoreMean)
    video: VideoSink | None = None

    def execute(self, reporter: Reporter) -> None:
        """Track to the end. However it ends, what was tracked is on disk and `record` says how it went.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The recording is damaged beyond use.
            OutputError: A result could not be written.
        """
        from dmtrack.run.pipeline import track_pairs  # imports torch; loaded by now

        folder, overwrite = self.wanted.outputs.folder, self.wanted.outputs.overwrite
        # Live streams have threads of their own, which keep what is fresh and drop the rest.
        ahead = None if isinstance(self.pairs, LivePairs) else ReadAhead(self.pairs, self.rest)
        counted = ahead or self.pairs
        ids = [target.target_id for target in self.start.targets]
        watch = LostWatch(self.wanted.losing.stop_after_s, ids)
        recorder = RunRecordSink(
            folder / results_folder.RECORD,
            self.record,
            pair_counts=lambda: counted.counts,
            video_encoder=lambda: None if self.video is None else self.video.encoder,
            overwrite=overwrite,
        )
        try:
            viewer = self._viewer()
            observers = [recorder] if viewer is None else [recorder, viewer]
            sinks = SinkGroup(self._sinks(recorder), observers=observers)
            with GracefulStop() as stop, sinks, reporter, ahead or nullcontext(self.rest) as rest:
                if isinstance(self.pairs, LivePairs):
                    self.pairs.stop_when(lambda: stop.is_requested or (viewer is not None and viewer.is_over))
                tuner = self._tuner()
                for result in track_pairs(chain([self.first], rest), self.tracker, self.start.targets):
                    if tuner is not None:
                        tuner.note(tuple(target.state is TrackState.LOST for target in result.targets))
                    sinks.write(result)
                    reporter.advance(self.score.add(result))
                    stop.check()
                    if viewer is not None and viewer.is_over:
                        break
                    if watch.is_over(result):
                        seconds = self.wanted.losing.stop_when_lost
                        recorder.note(f"every target had been lost for {seconds:g} s")
                        break
                stop.check()
                if viewer is not None and viewer.is_over:
                    self._stop_by_hand(recorder)
        finally:
            self.record = recorder.record

    def _tuner(self) -> ThreadTuner | None:
        """Return what finds out the number of threads, where torch runs on a CPU and nobody gave one."""
        from dmtrack.tracking.thread_tuner import ThreadTuner  # imports torch; loaded by now

        on_cpu = self.tracker.network.device.type == "cpu" and self.wanted.network.backend != "onnxruntime"
        return ThreadTuner(self.tracker.network) if on_cpu and self.wanted.hardware.tuned else None

    def _viewer(self) -> Viewer | None:
        outputs = self.wanted.outputs
        if not outputs.show:
            return None
        from dmtrack_cli.viewer import open_viewer  # a run without a window needs none

        return open_viewer(outputs.picture.layout)

    def _stop_by_hand(self, recorder: RunRecordSink) -> None:
        """End because the person pressed q: a live stream ends so, a recording stays unfinished."""
        if not isinstance(self.pairs, LivePairs):
            raise KeyboardInterrupt
        recorder.note("stopped in the window")

    def _sinks(self, recorder: RunRecordSink) -> list[Sink]:
        outputs = self.wanted.outputs
        folder, overwrite = outputs.folder, outputs.overwrite
        try:
            sinks: list[Sink] = [
                BoxSink(folder / results_folder.MOT, ResultFormat.MOT, overwrite=overwrite),
                BoxSink(folder / results_folder.TABLE, ResultFormat.CSV, overwrite=overwrite),
                ScorePlotSink(folder / results_folder.SCORES, overwrite=overwrite),
            ]
        except OutputError as error:
            recorder.__exit__(type(error), error, error.__traceback__)
            raise
        layout = outputs.picture.shown
        if layout is not None:
            gpu = self.wanted.hardware.video_gpu
            self.video = VideoSink(folder / results_folder.VIDEO, layout, overwrite=overwrite, gpu=gpu)
            sinks.append(BackgroundSink(self.video))
        return sinks

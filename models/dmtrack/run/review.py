"""`Review`: a recording under correction: edits are stored at once, and tracked in the background.

Its keyframes are its only state, and each change of them is written to `keyframes.csv` before it is
acknowledged. A thread tracks the affected segments, and writes the folder as `dmtrack track --continue`
would. It can be stopped at any moment: what is left to track is found when the folder is opened the next
time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmtrack.atomic import inputs_kept, os_errors_translated, write_atomically
from dmtrack.boxes.detections import DetectionOptions, read_detections
from dmtrack.boxes.doubts import Doubt, doubtful_places
from dmtrack.boxes.keyframes import KEYFRAMES, keyframes_text, read_keyframes
from dmtrack.boxes.results import RecordingResults
from dmtrack.errors import BoxError, ConfigError, DmtrackError
from dmtrack.output.record import RECORD
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.inputs import drawing_scene, first_pair, open_inputs, with_streams
from dmtrack.run.request import NetworkOptions, OutputOptions, TrackRequest
from dmtrack.run.results_folder import made_folder
from dmtrack.run.retracking import Rows
from dmtrack.run.session import prepared_run
from dmtrack.run.start_boxes import SMALLEST_SIDE_PX, DrawingScene
from dmtrack.tracking.arrivals import Detections
from dmtrack.tracking.edits import Keyframes, settled
from dmtrack.tracking.result import FrameResult, TrackedBox
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import VideoInfo

if TYPE_CHECKING:
    from dmtrack.run.pipeline import LoadedTracker

_log = logging.getLogger(__name__)

Edit = Callable[[Keyframes], Keyframes]
"""A person's edit: from the keyframes before to those after, see `dmtrack.tracking.edits`."""

MOST_KEYFRAMES: Final = 10_000
_MOST_KEPT: Final = 1000


class OutOfDateError(ConfigError):
    """The keyframes were changed elsewhere meanwhile."""


@dataclass(frozen=True, slots=True)
class RetrackingProgress:
    """Progress of the background thread."""

    phase: str = "idle"  # `idle`, `loading`, `tracking`, `writing` or `failed`
    done: int = 0  # frames tracked or written so far
    total: int | None = None  # expected number of them; None if the recording does not say
    error: str | None = None  # why it failed


@dataclass(frozen=True, slots=True)
class ReviewState:
    """The state of a review, from which a page sees what is new."""

    revision: int  # counts the changes of the keyframes; each change must name the one it was based on
    keyframes: Keyframes
    can_undo: bool
    doubts: Sequence[Doubt]  # places to look at, most worthwhile first
    progress: RetrackingProgress
    rows_version: int  # counts replacements of all rows; when it changes, ask `Review.rows` again
    fresh: Sequence[TrackedBox]  # rows found since then, from the number asked for on
    fresh_count: int  # total number of these rows


class Review:
    """A recording and its results; safe to use from several threads.

    `earlier` may be a recording without results; `seen` are a detector's boxes by frame, which are offered to
    the person.
    """

    def __init__(self, earlier: EarlierRun, scene: DrawingScene, seen: Detections | None = None) -> None:
        self.scene = scene
        self.seen: Detections = seen or {}
        self.folder = earlier.folder
        self._earlier = earlier
        self._keyframes = settled(earlier.keyframes)
        self._history: list[Keyframes] = []
        self._on_disk = (self.folder / KEYFRAMES).is_file()
        self._written = earlier  # the results in the folder
        self._revision, self._rows_version = 1, 1
        self._fresh: list[TrackedBox] = []
        self._progress = RetrackingProgress()
        self._failed_at = 0
        self._is_closing = False
        self._loaded: LoadedTracker | None = None
        self._doubts: Sequence[Doubt] = ()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="retracking", daemon=True)
        self._find_doubts()

    @classmethod
    @contextmanager
    def opened(cls, request: TrackRequest) -> Iterator[Review]:
        """Open a results folder (in place of the RGB stream), or a recording.

        `InputError`: it cannot be read; `ConfigError`: it is a live stream, an option contradicts the
        results, or the device does not exist; `CheckpointError`: the weights do not exist; `OutputError`: the
        results folder cannot be made.
        """
        from dmtrack.run import pipeline

        earlier = _earlier_run(request)
        named, _ = with_streams(earlier.request)
        with open_inputs(named) as pairs:
            first, _ = first_pair(pairs)
            scene = drawing_scene(named, pairs, first)
            if not earlier.record or request.network != NetworkOptions():  # results are looked at without
                pipeline.choose_network(named.network, pairs.modality)
            detections = earlier.detections
            is_given = request.detections.file is not None
            seen = _seen_by_detector(detections, pairs.rgb_info, is_needed=is_given)
        with inputs_kept(named.rgb, named.aux, detections.file), made_folder(earlier.folder):
            review = cls(earlier, scene, seen)
            review._thread.start()
            try:
                yield review
            finally:
                review.close()

    @property
    def is_behind(self) -> bool:
        """Whether the results in the folder are older than the keyframes."""
        with self._changed:
            return self._is_behind()

    def state(self, fresh_from: int = 0) -> ReviewState:
        """Return the current state; the caller already has the first `fresh_from` fresh rows."""
        with self._changed:
            return ReviewState(
                self._revision,
                self._keyframes,
                bool(self._history),
                self._doubts,
                self._progress,
                self._rows_version,
                self._fresh[fresh_from:],
                len(self._fresh),
            )

    def rows(self) -> tuple[int, Sequence[TrackedBox]]:
        """Return the rows' version, and all rows in order of frame and target."""
        with self._changed:
            version, rows = self._rows_version, self._earlier.rows
        return version, rows.results(self.folder.name).rows

    @property
    def skews_ms(self) -> Mapping[int, float | None]:
        """Milliseconds from each frame with a box to its partner; None if it has no partner."""
        with self._changed:
            return self._earlier.skews_ms

    def change(self, revision: int, edit: Edit) -> int:
        """Change the keyframes, write them to disk, and return the new revision.

        `revision` is the one that the person saw. On an error nothing is changed. `OutOfDateError`: the
        keyframes have changed since that revision; `BoxError`: the edit is invalid; `OutputError`: they
        cannot be written.
        """
        with self._changed:
            self._require_current(revision)
            before, after = self._keyframes, edit(self._keyframes)
            if after == before:
                return self._revision
            self._require_valid(after)
            self._store(after)
            self._history = [*self._history[1 - _MOST_KEPT :], before]
            return self._revision

    def undo(self, revision: int) -> int:
        """Undo the last change and return the new revision; see `change`. `BoxError`: there is none."""
        with self._changed:
            self._require_current(revision)
            if not self._history:
                raise BoxError("there is nothing to take back")
            self._store(self._history[-1])
            self._history.pop()
            return self._revision

    def close(self) -> None:
        """Stop tracking; all edits are already on disk."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the folder is up to date or tracking failed; return False on a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._has_work(), timeout_s)

    def _require_current(self, revision: int) -> None:
        path = self.folder / KEYFRAMES
        if self._on_disk and settled(read_keyframes(path)) != self._keyframes:
            self._history.append(self._keyframes)
            self._keyframes = settled(read_keyframes(path))
            self._on_new_keyframes()
        if revision != self._revision:
            raise OutOfDateError("the keyframes were changed elsewhere", hint="reload this page")

    def _require_valid(self, keyframes: Keyframes) -> None:
        scene = self.scene
        if len(keyframes) > MOST_KEYFRAMES:
            raise BoxError(f"more than {MOST_KEYFRAMES} keyframes are too many")
        for key in keyframes:
            if isinstance(key, TargetStart) and key not in self._keyframes:
                key.box.require_inside(scene.first.rgb.width, scene.first.rgb.height)
                if min(key.box.w, key.box.h) < SMALLEST_SIDE_PX:
                    raise BoxError(f"box {key.box} is too small")
            frame = key.frame_index or 0
            if not scene.holds(frame):
                raise BoxError(f"{frame} is not a frame of this recording")

    def _store(self, keyframes: Keyframes) -> None:
        write_atomically(self.folder / KEYFRAMES, keyframes_text(keyframes).encode())
        self._on_disk = True
        self._keyframes = keyframes
        self._on_new_keyframes()

    def _on_new_keyframes(self) -> None:
        self._revision += 1
        if self._is_behind():
            self._progress = RetrackingProgress("loading")
            self._find_doubts()
        else:  # an edit was undone: the results in the folder are right, not the rows found meanwhile
            self._progress = RetrackingProgress()
            self._take_rows(self._written)
        self._changed.notify_all()

    def _find_doubts(self) -> None:
        results: RecordingResults = self._earlier.rows.results(self.folder.name)
        self._doubts = doubtful_places(results, self._keyframes)

    def _is_behind(self) -> bool:
        is_other = keyframes_text(self._keyframes) != keyframes_text(settled(self._written.tracked))
        return is_other or self._written.covered is not None

    def _has_work(self) -> bool:
        return self._is_behind() and self._failed_at != self._revision

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._has_work())
                if self._is_closing:
                    return
                keyframes, revision = self._keyframes, self._revision
                self._progress = RetrackingProgress("loading")
            progress = RetrackingProgress()
            try:
                self._retrack(keyframes, revision)
            except KeyboardInterrupt:  # the keyframes have changed, or the review closes
                pass
            except DmtrackError as error:
                progress = RetrackingProgress("failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - the thread goes on, and the page shows it
                _log.warning("tracking failed", exc_info=True)
                progress = RetrackingProgress("failed", error=f"{type(error).__name__}: {error}")
            with self._changed:
                self._progress = progress
                if progress.phase == "failed":
                    self._failed_at = revision
                self._changed.notify_all()

    def _retrack(self, keyframes: Keyframes, revision: int) -> None:
        def is_over() -> bool:
            return self._is_closing or self._revision != revision

        def on_tracked(result: FrameResult) -> None:
            with self._changed:
                if is_over():
                    raise KeyboardInterrupt
                self._fresh += result.targets
                self._progress = replace(self._progress, done=self._progress.done + 1)

        def is_written() -> bool:
            with self._changed:
                self._progress = replace(self._progress, done=self._progress.done + 1)
            return is_over()

        earlier = replace(self._earlier, keyframes=keyframes)
        with prepared_run(earlier.request, earlier=earlier, loaded=self._loaded) as run:
            self._loaded = run.loaded
            with self._changed:
                self._progress = RetrackingProgress("tracking", 0, run.expected_frames)
            rows = run.retrack(on_tracked, is_over)
            scene = self.scene
            count = None if scene.last is None else scene.last - scene.lowest + 1
            with self._changed:
                if is_over():
                    raise KeyboardInterrupt
                self._take_rows(replace(earlier, tracked=keyframes, rows=rows or Rows(), covered=None))
                tracked = self._earlier
                self._progress = RetrackingProgress("writing", 0, count)
            run.execute(is_over=is_written)
        written = EarlierRun.read(self.folder)
        with self._changed:
            self._written = replace(tracked, skews_ms=written.skews_ms)
            if written.skews_ms != tracked.skews_ms and not is_over():
                self._take_rows(self._written)

    def _take_rows(self, earlier: EarlierRun) -> None:
        self._earlier = earlier
        self._rows_version += 1
        self._fresh = []
        self._find_doubts()


def results_worst_first(folder: Path) -> list[Path]:
    """Return the results folders of a batch, the one with the most worthwhile doubt first.

    A folder that is itself a results folder, or holds none, is returned alone.
    """
    found = [path.parent for path in sorted(folder.rglob(RECORD))] if folder.is_dir() else []
    if not found or folder in found:
        return [folder]
    worth: dict[Path, float] = {}
    for path in found:
        try:
            earlier = EarlierRun.read(path)
        except DmtrackError as error:
            _log.warning("left out: %s", error)
            continue
        doubts = doubtful_places(earlier.rows.results(path.name), earlier.keyframes)
        worth[path] = doubts[0].worth if doubts else 0.0
    return sorted(worth, key=lambda path: -worth[path]) or [folder]


def _earlier_run(request: TrackRequest) -> EarlierRun:
    """Return the named results, those of the named recording, or an empty run if there are none yet."""
    if request.live_addresses is not None:
        raise ConfigError("a live stream cannot be reviewed", where=str(request.rgb))
    request.detections.require_file()
    given, request = request.detections, replace(request, detections=DetectionOptions())
    named = Path(request.rgb)
    is_results = request.aux is None and (named / RECORD).is_file()
    folder = named if is_results else request.folder
    with os_errors_translated(folder):
        is_there = (folder / RECORD).is_file()
    if is_there:
        earlier = EarlierRun.read(folder)
        if not is_results and Path(earlier.request.rgb).absolute() != named.absolute():
            raise ConfigError(
                f"holds results of {earlier.request.rgb}", where=folder, hint="name another folder: -o DIR"
            )
        if is_results and request.output.folder not in (None, named):
            raise ConfigError("results are corrected in place", where="--output", hint="leave it out")
        asked = earlier.request_for(request if is_results else replace(request, aux=None))
    else:
        known = folder / KEYFRAMES
        keyframes = tuple(read_keyframes(known)) if known.is_file() else ()
        asked = replace(request, pairing=replace(request.pairing, trusts_packets=True))
        earlier = EarlierRun(folder, asked, keyframes, Rows(), {}, ())
    said = request.output if request.output != OutputOptions() else earlier.request.output
    output = replace(said, folder=folder, overwrite=True)
    return replace(
        earlier,
        request=replace(asked, boxes=(), box_files=(), continues=False, output=output),
        detections=earlier.detections if given.file is None else given,
    )


def _seen_by_detector(detections: DetectionOptions, info: VideoInfo, *, is_needed: bool) -> Detections:
    """Return every box of a detector; empty, with a warning, if they are optional and cannot be read."""
    if detections.file is None:
        return {}
    try:
        return read_detections(detections, info, every=True)
    except DmtrackError as error:
        if is_needed:
            raise
        _log.warning("the detections of the run are not shown: %s", error)
        return {}

"""`run.json`: what a run was asked to do, with which inputs and versions, and how it ended.

It is written when the run starts (status `running`), every few seconds with the progress, and at the end,
each time in one step. If the status is `running` and `updated_at` is old, the run was killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np

from dmtrack.atomic import os_errors_translated, reserve, utf8, write_atomically
from dmtrack.config import installed_version
from dmtrack.errors import FormatError, OutputError, translated
from dmtrack.numbers import json_value
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackState
from dmtrack.tracking.watch import DoubtedSpan, DoubtWatch
from dmtrack.video.frame import VideoInfo
from dmtrack.video.pairing import PairCounts

_log = logging.getLogger(__name__)

RECORD: Final = "run.json"  # its name in the folder of a run
RECORD_VERSION: Final = 1
SAVE_EVERY_S: Final = 5.0  # time between two records while a run is going

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


def _now() -> str:
    """Return local time with its offset, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


class RunStatus(StrEnum):
    """The state of a run."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of everything that can change a result; `torch` and `openvino` are None if not loaded."""

    dmtrack: str
    python: str
    torch: str | None
    openvino: str | None
    av: str
    opencv: str
    numpy: str
    platform: str

    @classmethod
    def collect(cls) -> Versions:
        """Return the versions of the loaded libraries, without importing anything heavy."""
        torch, openvino = (sys.modules.get(name) for name in ("torch", "openvino"))
        return cls(
            dmtrack=installed_version(),
            python=platform.python_version(),
            torch=None if torch is None else str(torch.__version__),
            openvino=None if openvino is None else str(openvino.__version__),
            av=av.__version__,
            opencv=cv2.__version__,
            numpy=np.__version__,
            platform=platform.platform(),
        )


@dataclass(frozen=True, slots=True)
class WeightsRecord:
    """The weights of a run: their name and the sha256 of their file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One stream of a run; size and mtime later show whether the file has changed.

    `size_bytes` and `mtime_ns` are None for a source that is not a file on disk.
    """

    role: str
    video: VideoInfo
    size_bytes: int | None
    mtime_ns: int | None

    @classmethod
    def of(cls, role: str, video: VideoInfo) -> InputRecord:
        """Return the record of `video` in the role `rgb` or `aux`."""
        try:
            stat = video.path.stat()
        except OSError:
            return cls(role, video, None, None)
        return cls(role, video, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Counts over the frames of a run."""

    frames: int = 0  # frames with a result
    targets: int = 0  # different targets
    uncertain: int = 0  # boxes in state uncertain
    lost: int = 0  # boxes in state lost
    # Missing and held partners, damaged frames
    pairing: PairCounts = field(default_factory=PairCounts)


@dataclass(frozen=True, slots=True)
class RunSpeed:
    """Measured speed; None before there is anything to measure."""

    wall_s: float  # from the start of the run to its end
    # Frames over the time spent in the tracker, frames with given boxes left out
    network_fps: float | None
    whole_fps: float | None  # frames over `wall_s`: reading, pairing, tracking, drawing and writing


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of `run.json`."""

    command: Sequence[str]  # the command line, word by word; empty when the library was called
    versions: Versions  # versions of everything that can change a result
    inputs: Sequence[InputRecord]  # the streams
    configuration: Any = None  # the resolved configuration: dataclasses, or plain values
    weights: WeightsRecord | None = None  # what the network was loaded from
    device: str | None = None  # such as `cpu` or `cuda:0`
    precision: str | None = None  # such as `fp32`
    backend: str | None = None  # what computed the network: `openvino`, `torch` or `eager`
    preprocessing: Any = None  # how the second stream was encoded and aligned
    clocks: Any = None  # how the two clocks were related (offset, tolerance)
    # The request of a batch item: a later batch with an equal one need not track it again
    batch: Any = None
    corrected: bool = False  # whether keyframes were changed since the recording was first tracked
    outputs: Sequence[str] = ()  # names of the result files, relative to `run.json`
    # libav's name of the annotated video's encoder; None without a video
    video_encoder: str | None = None
    started_at: str = field(default_factory=_now)  # local time with offset, ISO 8601
    status: RunStatus = RunStatus.RUNNING
    reason: str | None = None  # why it did not complete, or ended before the recording
    counts: RunCounts = field(default_factory=RunCounts)
    doubted: Sequence[DoubtedSpan] = ()  # where targets were uncertain or lost
    remarks: Sequence[str] = ()  # sentences about times and pictures that a person should know
    speed: RunSpeed | None = None  # measured speed
    expected_frames: int | None = None  # expected number of frames, as far as the container tells
    updated_at: str | None = None  # when this was written, in the format of `started_at`
    ended_at: str | None = None  # in the same format

    @property
    def options_sha256(self) -> str:
        """Hash of everything that decides the result besides the inputs: equal hashes, equal options."""
        network = [self.weights, self.precision, self.backend]
        options = [self.configuration, *network, self.preprocessing, self.clocks]
        text = json.dumps(to_json(options), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> JsonValue:
        """Return plain JSON values, `record_version` and `options_sha256` included."""
        body = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return to_json({"record_version": RECORD_VERSION, "options_sha256": self.options_sha256, **body})


class RunRecordSink(Sink):
    """Writes `run.json`: counts while the run goes on, and records at the end how it went.

    The `with` block ends as complete, by Ctrl-C as interrupted, by any other exception as failed. In a
    `SinkGroup` it is an observer.

    The file is written at once with status `running`. At the end `pair_counts` is called for the counts of
    reading and pairing, and `remarks` for notes to a person; `spent_s` is time spent on the run before.
    `OutputError`: the file exists or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        record: RunRecord,
        *,
        pair_counts: Callable[[], PairCounts] = PairCounts,
        remarks: Callable[[], Sequence[str]] = tuple,
        overwrite: bool = False,
        spent_s: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self.record = record
        self._pair_counts = pair_counts
        self._remarks = remarks
        self.video_encoder: Callable[[], str | None] = lambda: None
        """Called at the end for the name of the annotated video's encoder."""
        self._clock = clock
        self._saved_s = clock()
        self._start_s = self._saved_s - spent_s
        self._network_frames = 0
        self._network_ms = 0.0
        self._target_ids: set[int] = set()
        self._doubts = DoubtWatch()
        self._closed = False
        self._note: str | None = None
        self._save()

    def write(self, result: FrameResult) -> None:
        """Count one frame."""
        counts = self.record.counts
        states = [target.state for target in result.targets]
        self._target_ids.update(target.target_id for target in result.targets)
        self._doubts.note(result)
        if result.infer_ms > 0:
            self._network_frames += 1
            self._network_ms += result.infer_ms
        counts = replace(
            counts,
            frames=counts.frames + 1,
            targets=len(self._target_ids),
            uncertain=counts.uncertain + states.count(TrackState.UNCERTAIN),
            lost=counts.lost + states.count(TrackState.LOST),
        )
        self.record = replace(self.record, counts=counts)
        if self._clock() - self._saved_s >= SAVE_EVERY_S:
            self._save_progress()

    def _save_progress(self) -> None:
        """Write the progress; errors such as a full disk are left to the sinks whose results need it."""
        self._saved_s = self._clock()
        counts = replace(self.record.counts, pairing=self._pair_counts())
        with contextlib.suppress(OutputError):
            self._save(replace(self.record, counts=counts, speed=self._measure()), durable=False)

    def configure(self, **values: object) -> None:
        """Change values of the configuration that were not yet known at the start."""
        self.record = replace(self.record, configuration={**self.record.configuration, **values})

    def note(self, reason: str) -> None:
        """Set the reason why the run ends before the recording does, though nothing went wrong."""
        self._note = reason

    def finish(self, status: RunStatus, reason: str | None = None) -> None:
        """Record how the run ended and write the file; a second call does nothing.

        `OutputError`: the file cannot be written; the last one written stays.
        """
        if self._closed:
            return
        self._closed = True
        self.record = replace(
            self.record,
            status=status,
            reason=reason,
            doubted=self._doubts.spans(),
            counts=replace(self.record.counts, pairing=self._pair_counts()),
            remarks=self._remarks(),
            speed=self._measure(),
            video_encoder=self.video_encoder(),
            ended_at=_now(),
        )
        try:
            self._save()
        except OutputError:
            self._save_in_its_place()

    def close(self) -> None:
        """Finish as complete."""
        self.finish(RunStatus.COMPLETE, self._note)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Finish as complete, interrupted or failed, depending on the exception."""
        if error is None:
            self.close()
            return
        interrupted = isinstance(error, KeyboardInterrupt | GeneratorExit)
        status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
        reason = "stopped before the end" if interrupted else str(error) or type(error).__name__
        try:
            self.finish(status, reason)
        except OutputError as closing:
            _log.warning("%s", closing)

    def _measure(self) -> RunSpeed:
        wall_s = self._clock() - self._start_s
        frames = self.record.counts.frames
        network = 1000 * self._network_frames / self._network_ms if self._network_ms > 0 else None
        whole = frames / wall_s if frames and wall_s > 0 else None
        return RunSpeed(
            round(wall_s, 3), *(None if fps is None else round(fps, 3) for fps in (network, whole))
        )

    def _save(self, record: RunRecord | None = None, *, durable: bool = True) -> None:
        write_atomically(self._path, _encoded(record or self.record, indent=2), durable=durable)

    def _save_in_its_place(self) -> None:
        """Overwrite the previous record in place, which needs no space on a full disk."""
        data = _encoded(self.record, indent=None)
        with os_errors_translated(self._path), self._path.open("rb+", buffering=0) as file:
            room = file.seek(0, os.SEEK_END)
            if len(data) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.seek(0)
            file.write(data[:-1].ljust(room - 1) + data[-1:])


def _encoded(record: RunRecord, indent: int | None) -> bytes:
    now = replace(record, updated_at=_now())
    text = json.dumps(now.to_json(), indent=indent, ensure_ascii=False, allow_nan=False)
    return utf8(text + "\n")


def read_run_json(path: Path) -> dict[str, Any]:
    """Return the values of a `run.json`; `status` is one of `RunStatus`.

    `FormatError`: the file is missing, is not JSON, or is not a run record of a known version.
    """
    with translated(FormatError, "cannot be read as JSON", where=path):
        values = json_value(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or values.get("record_version") != RECORD_VERSION:
        raise FormatError("is no run record of this version", where=path)
    if values.get("status") not in [*RunStatus]:
        raise FormatError(f"has an unknown status {values.get('status')!r}", where=path)
    return values


def results_in(folder: Path) -> list[Path]:
    """Return the folder itself if it is a results folder, else those that a batch put into it."""
    if not folder.is_dir():
        return []
    if (folder / RECORD).is_file():
        return [folder]
    return [path.parent for path in sorted(folder.glob(f"[!.]*/{RECORD}"))]


def records_in(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return the records of the results in a folder, see `results_in`; `FormatError`: one is damaged."""
    return {place: read_run_json(place / RECORD) for place in results_in(folder)}


def to_json(value: object) -> JsonValue:
    """Return `value` as JSON: dataclasses and mappings as objects, `Fraction` as `"1001/30000"`.

    `TypeError`: there is no JSON for this type.
    """
    # Enums first: a StrEnum is a str as well.
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Path | Fraction):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [to_json(item) for item in items]
    raise TypeError(f"{type(value).__name__} has no JSON form")

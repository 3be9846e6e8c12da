"""Continuing earlier results: what the run was asked, the new keyframes, and what has to be tracked again."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dmtrack.boxes.detections import DetectionOptions
from dmtrack.boxes.formats.table import read_table
from dmtrack.boxes.keyframes import KEYFRAMES, keyframes_text, read_keyframes
from dmtrack.boxes.reading import TABLE
from dmtrack.boxes.results import RecordingResults
from dmtrack.boxes.starts import read_targets
from dmtrack.config import installed_version
from dmtrack.errors import BoxError, ConfigError, FormatError, translated
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.options import command_words, parsed_words
from dmtrack.output.record import RECORD, RunStatus, read_run_json, records_in
from dmtrack.run.request import Drawn, OutputOptions, TrackRequest, TwoWay
from dmtrack.run.results_folder import ROOT
from dmtrack.run.retracking import OnTracked, OpenAt, Retracker, Rows
from dmtrack.run.start_boxes import StartBoxes, placed_target
from dmtrack.tracking.segments import Segment, segments_of
from dmtrack.tracking.start import Absence, Keyframe, TargetStart, starts_and_corrections
from dmtrack.video.frame import FramePair

if TYPE_CHECKING:
    from dmtrack.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

_CHANGEABLE: Final = frozenset(
    {"rgb", "boxes", "box_files", "box_format", "network", "output", "continues", "from_frame", "two_way"}
)
"""Fields that `--continue` may change; all others are those of the earlier run."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """Results that a run continues."""

    folder: Path  # the results folder
    request: TrackRequest  # of that run
    # The targets: its `keyframes.csv`, which a person may have edited since
    keyframes: tuple[Keyframe, ...]
    rows: Rows  # the boxes that were found
    record: Mapping[str, Any]  # the values of its `run.json`
    tracked: tuple[Keyframe, ...]  # the keyframes with which the rows were found
    # First frame without rows, if the run was stopped; None: it was complete
    covered: int | None = None
    # Time from each frame with a box to its partner; None: it has none
    skews_ms: Mapping[int, float | None] = field(default_factory=dict)
    # The detections from which targets were started
    detections: DetectionOptions = field(default_factory=DetectionOptions)

    @classmethod
    def read_all(cls, results: Sequence[Path]) -> list[EarlierRun]:
        """Read every run in results folders, or in folders of them.

        `FormatError`: there is none, or one cannot be read.
        """
        runs = [cls.read(folder) for path in results for folder in records_in(path)]
        if not runs:
            where = next(iter(results), None)
            raise FormatError("no run.json is there, which names the recording", where=where)
        return runs

    @classmethod
    def read(cls, folder: Path) -> EarlierRun:
        """Read the results folder of a `dmtrack track`.

        `FormatError`: it is not one, or its files cannot be read; `ConfigError`: it holds a live run.
        """
        if not (folder / RECORD).is_file():
            raise FormatError(f"has no {RECORD} in it", where=folder, hint="name the results folder of a run")
        record = read_run_json(folder / RECORD)
        words = list(record.get("command", ()))[2:]
        located = _locator(folder, words)
        request = parsed_words(TrackRequest, words, folder / RECORD, located)
        if request.live_addresses is not None:
            raise ConfigError("holds a live run, which cannot be read again", where=folder)
        if not Path(request.rgb).exists():
            raise ConfigError(
                f"{request.rgb} is not there",
                where=folder,
                hint="go on from the folder in which it was tracked, or "
                f"say in {RECORD}, under command, where it is now",
            )
        known, table = folder / KEYFRAMES, folder / TABLE
        is_whole = record["status"] == RunStatus.COMPLETE
        if not is_whole and known.is_file() and not table.exists():
            _log.warning("%s: was killed before it wrote its boxes: tracked from the start", folder)
            found = RecordingResults(folder.name, ())
        else:
            (found,) = read_table(table, folder.name)
        keyframes = tuple(read_keyframes(known if known.is_file() else table))
        if request.detections.file is not None and not is_whole:
            _log.warning("%s: was stopped; targets that enter later are not searched for", folder)
        pair_counts = (record.get("counts") or {}).get("pairing") or {}
        is_sound = not any(pair_counts.get(name) for name in ("rgb_damaged", "aux_damaged"))
        asked = replace(
            request,
            pairing=replace(request.pairing, trusts_packets=is_sound),
            boxes=(),
            box_files=(),
            detections=DetectionOptions(),  # the targets that they started are among the keyframes
            continues=False,
            from_frame=None,
            batch=record.get("batch"),
        )
        covered = None if is_whole else 1 + max((frame.frame_index for frame in found.frames), default=-1)
        with translated(FormatError, "says nothing of its targets that can be read", where=folder / RECORD):
            tracked = targets_of(record)
        skews_ms = {
            frame.frame_index: frame.skew_ms for frame in found.frames if frame.aux_present is not None
        }
        has_aux = request.aux is not None or any(skew is not None for skew in skews_ms.values())
        return cls(
            folder,
            asked,
            keyframes,
            Rows.of(found),
            record,
            tracked or keyframes,
            covered,
            skews_ms if has_aux else {},
            _detections_of(record, request.detections, located),
        )

    def request_for(self, now: TrackRequest) -> TrackRequest:
        """Return the request of this run, changed by a new one with `--continue`.

        `ConfigError`: the new request changes what the earlier run settled.
        """
        if now.aux is not None:
            raise ConfigError(
                "with --continue the second stream is that of the results", where=now.aux, hint="leave it out"
            )
        if now.from_frame is not None and not now.boxes and not now.box_files:
            raise ConfigError("needs a box", where="--from", hint="give --box X,Y,W,H as well")
        asked = replace(now, **{name: getattr(self.request, name) for name in _CHANGEABLE})
        for word in command_words(asked):
            if word.startswith("-") and word not in set(command_words(self.request)):
                raise ConfigError(
                    "with --continue the recording is read as it was before", where=word.partition("=")[0]
                )
        weights = now.network.weights if now.network.weights != type(now.network)().weights else None
        return replace(
            self.request,
            boxes=now.boxes,
            box_files=now.box_files,
            box_format=now.box_format,
            network=replace(now.network, weights=weights or self.request.network.weights),
            output=replace(
                _output(now.output, self.request.output),
                folder=now.output.folder or self.folder,
                overwrite=True,
            ),
            continues=True,
            from_frame=now.from_frame,
            two_way=now.two_way,
        )

    def start_boxes(self, request: TrackRequest, first: FramePair) -> StartBoxes:
        """Return the targets, with the new keyframes of `request`.

        `BoxError`: it is unclear which target a box is for, or a new box lies outside the frame;
        `ConfigError`: the frame of a box is missing.
        """
        size = (first.rgb.width, first.rgb.height)
        starts, corrections = starts_and_corrections(with_what_is_said(self.keyframes, request, size))
        said = [str(path) for path in (self.folder, *request.box_files)]
        if request.boxes:
            said.append("--box")
        return StartBoxes(starts, ", ".join(said), first.rgb.index, corrections)

    def corrected(self, keyframes: Sequence[Keyframe]) -> bool:
        """Return whether these keyframes differ from the original ones, in this run or an earlier one."""
        is_other = keyframes_text(keyframes) != keyframes_text(self.tracked)
        return is_other or bool(self.record.get("corrected"))

    def require_same(self, inputs: Sequence[Any], weights_sha256: str) -> None:
        """Warn where weights or program differ from this run's; `ConfigError`: the recording's size does."""
        for mine, theirs in zip(inputs, self.record.get("inputs", ()), strict=False):
            if theirs.get("size_bytes") not in (None, mine.size_bytes) and not mine.video.path.is_dir():
                raise ConfigError(
                    f"{mine.video.path} has {mine.size_bytes} bytes, that of the results had "
                    f"{theirs['size_bytes']}: this is another recording",
                    where=self.folder,
                    hint="track it anew",
                )
        used, version = self.record.get("weights") or {}, (self.record.get("versions") or {}).get("dmtrack")
        others = []
        if used.get("sha256") not in (None, weights_sha256):
            others.append(f"other weights ({used.get('name')}, {str(used['sha256'])[:8]})")
        if version not in (None, installed_version()):
            others.append(f"dmtrack {version}, and this is {installed_version()}")
        if others:
            made = " and ".join(others)
            _log.warning("%s: made with %s; what is not tracked again stays as it is", self.folder, made)


def _output(now: OutputOptions, before: OutputOptions) -> OutputOptions:
    """Return the earlier output options, changed where the new ones differ from their defaults."""
    usual = OutputOptions()
    said = {one.name: getattr(now, one.name) for one in fields(usual)}
    return replace(before, **{name: value for name, value in said.items() if value != getattr(usual, name)})


def _locator(folder: Path, words: Sequence[str]) -> Callable[[str], str]:
    """Return a function that finds a file named by a run: as it lay to the results, else as named.

    So another recording is not taken by mistake, and results may be moved together with their recording.
    """
    outputs = [word.partition("=")[2] for word in words if word.startswith("--output=")]
    output = outputs[-1] if outputs else str(Path(ROOT, "NAME"))

    def located(name: str) -> str:
        is_absolute = Path(name).is_absolute()
        if is_absolute != Path(output).is_absolute():  # early records mix both: relative to the run's folder
            above = () if is_absolute else (str(place / name) for place in folder.resolve().parents)
            return next((place for place in (name, *above) if Path(place).exists()), name)
        try:
            way = os.path.relpath(name, output)
        except ValueError:  # on another drive
            return name
        beside = [  # the folder may be a link; "./" is kept: without it `weights` would be a name
            os.path.join(os.curdir, os.path.normpath(place / way))  # noqa: PTH118
            for place in (folder, folder.resolve())
        ]
        places = (name, *beside) if is_absolute else (*beside, name)
        return next((place for place in places if Path(place).exists()), name)

    return located


def _detections_of(
    record: Mapping[str, Any], asked: DetectionOptions, located: Callable[[str], str]
) -> DetectionOptions:
    """Return the detections that the run was given, or, if it continued another one, those in its record."""
    said = (record.get("configuration") or {}).get("detections")
    if asked.file is not None or not said:
        return asked
    with translated(FormatError, "says nothing of its detections that can be read", where=RECORD):
        return DetectionOptions(Path(located(said["file"])), tuple(said["classes"]), said["min_conf"])


def targets_of(record: Mapping[str, Any]) -> tuple[Keyframe, ...]:
    """Return the keyframes with which the rows of a run were found, from its record."""
    return tuple(
        TargetStart(Box(**said["box"]), said["target_id"], said["frame_index"], back=said.get("back", True))
        if "box" in said
        else Absence(said["target_id"], said["frame_index"], said["until"])
        for said in (record.get("configuration") or {}).get("targets") or ()
    )


def with_what_is_said(
    earlier: Sequence[Keyframe], request: TrackRequest, size: tuple[int, int]
) -> tuple[Keyframe, ...]:
    """Add the keyframes of a new request to those of an earlier run.

    A new keyframe replaces an old one of the same target and frame. `size` is width and height of the frame.
    `BoxError`: it is unclear which target a box is for, or a box lies outside the frame; `ConfigError`: the
    frame of a box is missing.
    """
    ids = sorted({key.target_id for key in earlier})
    said: list[Keyframe] = []
    for box in request.boxes:
        if isinstance(box, Drawn):
            raise ConfigError("say where the target is: --box X,Y,W,H", where="--continue")
        said.append(_placed(placed_target(box, request.box_format, size), ids, request))
    for path in request.box_files:
        for target in read_targets(path, 0, size, request.box_format):
            said.append(_placed(placed_target(target, BoxFormat.XYWH, size, path), ids, request))
    told = {(key.frame_index, key.target_id) for key in said}
    if len(told) < len(said):
        (frame, target_id), _ = Counter((key.frame_index, key.target_id) for key in said).most_common(1)[0]
        raise BoxError(f"target {target_id} is given twice in frame {frame}", hint="write ID:X,Y,W,H")
    return (*(key for key in earlier if (key.frame_index, key.target_id) not in told), *said)


def _placed(target: Box | Keyframe, ids: Sequence[int], request: TrackRequest) -> Keyframe:
    if isinstance(target, Absence) or (isinstance(target, TargetStart) and target.frame_index is not None):
        return target
    if request.from_frame is None or request.from_frame.index is None:
        box = target.box if isinstance(target, TargetStart) else target
        raise ConfigError(
            f"no frame is given for {box}",
            where="--continue",
            hint="say --from FRAME, such as --from 80 or --from 3.2s",
        )
    back = request.two_way is TwoWay.ON
    if isinstance(target, TargetStart):
        return replace(target, frame_index=request.from_frame.index, back=back)
    if len(ids) != 1:
        raise BoxError(
            f"which of the targets {', '.join(map(str, ids))} is {target}?", hint="write ID:X,Y,W,H"
        )
    return TargetStart(target, ids[0], request.from_frame.index, back=back)


@dataclass(frozen=True, slots=True)
class Retracking:
    """The segments that have to be tracked, and the rows that stay."""

    segments: tuple[Segment, ...]  # to be tracked
    rows: Rows  # found earlier, and still valid
    two_way: bool  # whether segments are followed backward too

    def frames_to_track(self, frame_count: int | None) -> int | None:
        """Return how often tracking will call `on_tracked`; None if the recording's length is unknown."""
        total = 0
        ways = {(one.first, one.end): 1 for one in self.segments}
        for one in self.segments:
            ways[one.first, one.end] += self.two_way and one.closing is not None
        for (first, end), times in ways.items():
            last = frame_count if end is None else end
            if last is None:
                return None
            total += max(0, last - first) * times  # a keyframe may lie behind the end
        return total

    def track(self, open_at: OpenAt, tracker: Tracker, on_tracked: OnTracked = lambda _: None) -> Rows:
        """Track the segments and return all rows.

        `BoxError`: a keyframe lies outside the frame or behind the end of the recording; `InputError`: the
        recording cannot be read.
        """
        Retracker(open_at, tracker, two_way=self.two_way, on_tracked=on_tracked).track(
            self.segments, self.rows
        )
        return self.rows

    @classmethod
    def of(
        cls, keyframes: Sequence[Keyframe], request: TrackRequest, earlier: EarlierRun | None = None
    ) -> Retracking:
        """Find the segments to track for these keyframes.

        The request says whether segments are followed backward; `earlier` are the results with other
        keyframes, whose rows are reused where they would be the same.
        """
        two_way = request.two_way is not TwoWay.OFF
        segments = segments_of(keyframes)
        if earlier is None:
            return cls(tuple(segments), Rows(), two_way)
        before, covered = segments_of(earlier.tracked), earlier.covered
        stay = [
            segment
            for segment in segments
            if any(map(segment.is_part_of, before))
            and (covered is None or (segment.end is not None and segment.end <= covered))
        ]
        changed = [segment for segment in segments if segment not in stay]
        return cls(tuple(changed), earlier.rows.kept(stay), two_way)

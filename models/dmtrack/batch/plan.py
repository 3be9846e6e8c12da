"""The plan of a batch, made before it starts: every item is checked and gets its result folder."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self, TypeVar

from dmtrack.atomic import place_key, portable_name
from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import BatchItem, Findings, LeftOut, Problem
from dmtrack.batch.manifest import read_manifest
from dmtrack.boxes.detections import DetectionOptions, read_detections
from dmtrack.boxes.starts import read_targets
from dmtrack.datasets.ground_truth import box_at, find_ground_truth
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.survey import open_recording
from dmtrack.errors import BoxError, ConfigError, DmtrackError, InputError, printable
from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.geometry.box import BoxFormat
from dmtrack.tracking.start import Absence, TargetStart
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.modality import find_modality, modality_of
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source, open_streams
from dmtrack.video.streams import BY_TIME, PairingOptions

_Entry = TypeVar("_Entry")

NO_DETECTOR: Final = DetectionOptions()
_DETECTIONS: Final = (".txt", ".json", ".csv", "")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` (from 1) of `count`: every `count`-th entry of the source.

    The source must not change while the parts are being done. `ConfigError`: there is no such part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ConfigError(
                f"there is no part {self.number} of {self.count}", hint="write 1/8, 2/8, ... 8/8"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `3/8`; `ConfigError` for other text, or if there is no such part."""
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
        if match is None:
            raise ConfigError(f"{text!r} is no part of a batch", hint="write 3/8 for the third of eight")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """Return `3/8`."""
        return f"{self.number}/{self.count}"

    @property
    def is_whole(self) -> bool:
        """Whether this is everything."""
        return self.count == 1

    @property
    def suffix(self) -> str:
        """Suffix in the names of this part's files: `-3-of-8`, or empty for the whole."""
        return "" if self.is_whole else f"-{self.number}-of-{self.count}"

    def part(self, entries: Sequence[_Entry]) -> Sequence[_Entry]:
        """Return the entries of this part."""
        return entries[self.number - 1 :: self.count]


WHOLE: Final = Shard()  # all of a batch


_MAX_BYTES: Final = 180  # leaves room for a temporary name within the 255 bytes that file systems allow
_OWN: Final = re.compile(r"summary.*\.csv", re.IGNORECASE)


def folder_name(item_id: str) -> str:
    """Return the name of an item's folder: its id as a `portable_name`.

    Slashes in ids become `__`; a very long id is cut and gets a digest.
    """
    name = portable_name(unicodedata.normalize("NFC", item_id).strip().replace("/", "__"))
    if not name or _OWN.fullmatch(name):
        name = f"{name}_"
    if len(name.encode()) > _MAX_BYTES:
        digest = hashlib.sha256(item_id.encode(errors="backslashreplace")).hexdigest()[:8]
        name = f"{name.encode()[: _MAX_BYTES - 9].decode(errors='ignore').rstrip('. ')}-{digest}"
    return name


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item whose streams can be opened and whose boxes lie in the picture."""

    item: BatchItem
    folder: str  # name of its result folder
    modality: Modality | None = None  # of its second stream; None without one
    # Expected number of frames, as the container claims; None if it does not say
    frames: int | None = None
    # Whether a resumed batch keeps its existing results; None if that was not checked
    is_kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one batch, or of one shard of it."""

    items: tuple[PlannedItem, ...]  # to be tracked, in the order of the source
    problems: tuple[Problem, ...] = ()  # what cannot be tracked, in the same order
    left_out: tuple[LeftOut, ...] = ()  # what is not an item
    shard: Shard = WHOLE  # the part of the source


def plan_batch(
    source: Path | str,
    output: Path | str,
    modality: Modality | None = None,
    shard: Shard = WHOLE,
    detections: DetectionOptions = NO_DETECTOR,
    pairing: PairingOptions = BY_TIME,
) -> Plan:
    """Find and check everything in a folder or a manifest.

    `output` is not searched. `modality` is for items without one; `detections` names a folder with a file for
    each recording, named after its id. `InputError`: there is no recording, or no detections for any of them;
    `ConfigError`: classes or a confidence are given, but no detections.
    """
    source = Path(source)
    if not source.exists():
        raise InputError("no such folder or list", where=source, hint="check the path")
    if source.is_dir():
        findings = find_items(source, modality=modality, exclude=[output])
        if pairing.holds_both:
            findings = findings.with_modality(modality)
    else:
        findings = read_manifest(source, modality, holds_both=pairing.holds_both)
        if not pairing.holds_both:
            entries = tuple(_with_streams(entry, modality) for entry in findings.entries)
            findings = replace(findings, entries=entries)
    if not findings.entries:
        raise InputError(
            "there are no recordings in it", where=source, hint="dmtrack batch --help says what is recognised"
        )
    return make_plan(_with_detections(findings, detections), shard, detections, pairing)


def _with_streams(entry: BatchItem | Problem, usual: Modality | None) -> BatchItem | Problem:
    """Replace a data-set folder by its streams, and add its targets if the entry names none."""
    if isinstance(entry, Problem) or entry.aux is not None:
        return entry
    try:
        recording = open_recording(entry.rgb)
        if recording is None:
            return entry
        clip = recording.clip
        item = replace(entry, rgb=clip.rgb, aux=clip.second, modality=recording.modality)
        if usual is not None and clip.second is not None:
            item = replace(item, modality=usual)
        is_said = item.boxes or item.box_files or item.detections or item.start
        if is_said or not find_ground_truth(clip.rgb):
            return item
        starts = [(one.start_box, one.source_start + one.start_frame) for one in open_clip(clip)]
        begin = min(index for _, index in starts)
        boxes = tuple(TargetStart(box, number, index) for number, (box, index) in enumerate(starts, start=1))
        return replace(item, boxes=boxes, start=Position(index=begin) if begin else None)
    except InputError as error:
        return Problem(entry.id, printable(str(error)), entry.origin)


def _with_detections(findings: Findings, detections: DetectionOptions) -> Findings:
    """Add to each item without detections those in the batch's folder, if there are any."""
    folder = detections.file
    if folder is None:
        if all(isinstance(entry, Problem) or entry.detections is None for entry in findings.entries):
            detections.require_file()
        return findings
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(what, where=folder, hint="in a batch, give a folder with ID.txt for each recording")
    entries = list(findings.entries)
    for place, entry in enumerate(entries):
        item = entry.without_box if isinstance(entry, Problem) else entry
        found = None if item is None else _detections_named(folder, item.id)
        if item is not None and item.detections is None and found is not None:
            entries[place] = replace(item, detections=found)
    if all(isinstance(entry, Problem) or entry.detections is None for entry in entries):
        first = findings.entries[0].id
        raise InputError(
            "has no entry with the name of a recording", where=folder, hint=f"such as {first}.txt"
        )
    return replace(findings, entries=tuple(entries))


def _detections_named(folder: Path, item_id: str) -> Path | None:
    """Return the detections file named after an item, or its folder of YOLO texts; None without one."""
    stems = (folder / item_id, folder / folder_name(item_id))
    candidates = (stem.with_name(f"{stem.name}{end}") for stem in stems if stem.name for end in _DETECTIONS)
    return next((path for path in candidates if path.exists()), None)


def make_plan(
    findings: Findings,
    shard: Shard = WHOLE,
    detections: DetectionOptions = NO_DETECTOR,
    pairing: PairingOptions = BY_TIME,
) -> Plan:
    """Check every item and choose its result folder.

    An item with the id or result folder of an earlier one is a problem (names that some file system does not
    distinguish count as equal). Then the shard is taken, and its items are opened.
    """
    entries = shard.part(list(_placed(findings)))
    checked = [e if isinstance(e, Problem) else _checked(e, detections, pairing) for e in entries]
    return Plan(
        items=tuple(entry for entry in checked if isinstance(entry, PlannedItem)),
        problems=tuple(entry for entry in checked if isinstance(entry, Problem)),
        left_out=findings.left_out,
        shard=shard,
    )


def _placed(findings: Findings) -> Iterator[PlannedItem | Problem]:
    """Give each item its folder; if several want the same one, the first gets it."""
    owners: dict[str, BatchItem] = {}
    for entry in findings.entries:
        if isinstance(entry, Problem):
            yield entry
            continue
        name = folder_name(entry.id)
        owner = owners.setdefault(place_key(name), entry)
        by = f" by {owner.origin}" if owner.origin else ""
        if owner is entry:
            yield PlannedItem(entry, name)
        elif owner.id == entry.id:
            yield Problem(entry.id, f"the id {entry.id!r} is taken{by}; give each its own", entry.origin)
        else:
            what = f"would write to the same folder {name!r} as {owner.id!r}{by}; change one id"
            yield Problem(entry.id, what, entry.origin)


def _checked(
    entry: PlannedItem, detections: DetectionOptions, pairing: PairingOptions
) -> PlannedItem | Problem:
    item = entry.item
    try:
        return _opened(entry, detections, pairing)
    except DmtrackError as error:
        lacking = item if isinstance(error, _NoBoxError) else None
        return Problem(item.id, printable(str(error)), item.origin, without_box=lacking)
    except OSError as error:
        return Problem(item.id, printable(f"{item.rgb}: cannot be read ({error.strerror})"), item.origin)


def _opened(entry: PlannedItem, detections: DetectionOptions, pairing: PairingOptions) -> PlannedItem:
    item = entry.item
    modality = None
    if pairing.holds_both and (second := pairing.second(item.rgb, item.aux)) is not None:
        with open_streams(item.rgb, second, pairing) as streams:
            info = streams.rgb.info
            modality = modality_of(streams.aux, item.modality, item.rgb).modality
    else:
        info = _info(item.rgb)
    if item.aux is not None and modality is None:
        _info(item.aux)
        modality = item.modality or find_modality(item.aux).modality
    if item.align is not None:
        read_alignment(item.align)
    if item.detections is not None:
        read_detections(replace(detections, file=item.detections), info)
    _require_boxes(item, info)
    return replace(entry, modality=modality, frames=_expected_frames(item, info))


class _NoBoxError(BoxError):
    """An item lacks a start box, and nothing else."""


def _info(path: Path) -> VideoInfo:
    with open_source(path, threads=1) as source:
        return source.info


def _require_boxes(item: BatchItem, info: VideoInfo) -> None:
    """Check that there are start boxes, `_NoBoxError` if not, and that they lie in the frame."""
    begin, size = (item.start and item.start.index) or 0, (info.width, info.height)
    given = [target for path in item.box_files for target in read_targets(path, begin, size)]
    targets = (one for one in (*item.boxes, *given) if not isinstance(one, Absence))
    boxes = [one.box if isinstance(one, TargetStart) else one for one in targets]
    if not boxes and item.detections is None:
        truths = find_ground_truth(item.rgb)
        if not truths:
            raise _NoBoxError(
                "no start box is known", where=item.rgb, hint="fill in box or box_file, or draw it: --box"
            )
        at = 0 if item.start is None else item.start.index
        boxes = [] if at is None else [box_at(path, at) for path in truths]
    for box in boxes:
        box.read_as(BoxFormat.XYWH, *size).require_inside(*size)  # numbers up to 1 are shares, as in tracking


def _expected_frames(item: BatchItem, info: VideoInfo) -> int | None:
    first, last, count = _index(item.start, info), _index(item.end, info), info.frame_count
    first = first or 0
    if item.start is not None and any(end is not None and end <= first for end in (last, count)):
        with open_source(item.rgb, threads=1) as source:  # refuse by measured length only
            first, count = source.frame_at(item.start), source.measured().frame_count
            last = source.end_at(item.end)
        if last is not None and last <= first:
            raise ConfigError(f"end {item.end} does not come after start {item.start}")
        if count is not None and count <= first:
            raise ConfigError(f"start {item.start} lies behind the last of {count} frames")
    ends = [end for end in (count, last) if end is not None]
    return max(1, min(ends) - first) if ends else None


def _index(position: Position | None, info: VideoInfo) -> int | None:
    """Return the index of a frame by the frame rate in the header; None if unknown."""
    if position is None or position.index is not None:
        return None if position is None else position.index
    return None if info.frame_rate is None else math.ceil((position.time_s or 0) * info.frame_rate)

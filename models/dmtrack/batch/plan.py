"""What a batch will do, worked out before it starts: every item checked, the longest first in line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dmtrack.batch.folder_name import folder_name, place_key
from dmtrack.batch.item import BatchItem, Findings, LeftOut, Problem, printable
from dmtrack.batch.shard import WHOLE, Shard
from dmtrack.boxes.starts import read_targets
from dmtrack.datasets.ground_truth import box_at, find_ground_truth
from dmtrack.errors import BoxError, ConfigError, DmtrackError
from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.modality import find_modality
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item whose streams open and whose boxes lie in the picture.

    Attributes:
        item: What to track.
        folder: Name of its result folder.
        modality: What its second stream measures; None without one.
        frames: How many frames are expected, as the container claims; None if it does not say.
    """

    item: BatchItem
    folder: str
    modality: Modality | None = None
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one batch, or of one shard of it.

    Attributes:
        items: What will be tracked, in the order of the source.
        problems: What cannot be, in the same order.
        left_out: What is no item.
        shard: Which part of the source this is.
    """

    items: tuple[PlannedItem, ...]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    shard: Shard = WHOLE


def make_plan(findings: Findings, shard: Shard = WHOLE) -> Plan:
    """Check every item and settle where its results go.

    Items whose id or result folder an earlier one has are problems (names that some file system does
    not tell apart count as one). Then the shard is taken, and its items are opened.

    Args:
        findings: What a folder or a manifest holds.
        shard: The part to do; all by default.
    """
    checked = [_checked(entry) for entry in shard.part(list(_placed(findings)))]
    return Plan(
        items=tuple(entry for entry in checked if isinstance(entry, PlannedItem)),
        problems=tuple(entry for entry in checked if isinstance(entry, Problem)),
        left_out=findings.left_out,
        shard=shard,
    )


def _placed(findings: Findings) -> Iterator[PlannedItem | Problem]:
    """Give each item its folder; the first of several that want the same one gets it."""
    owners: dict[str, BatchItem] = {}
    for entry in findings.entries:
        if isinstance(entry, Problem):
            yield entry
            continue
        name = folder_name(entry.id)
        owner = owners.setdefault(place_key(name), entry)
        if owner is entry:
            yield PlannedItem(entry, name)
        elif owner.id == entry.id:
            yield Problem(
                entry.id, f"the id {entry.id!r} is taken{_by(owner)}; give each its own", entry.origin
            )
        else:
            yield Problem(
                entry.id,
                f"would write to the same folder {name!r} as {owner.id!r}{_by(owner)}; change one id",
                entry.origin,
            )


def _by(owner: BatchItem) -> str:
    return f" by {owner.origin}" if owner.origin else ""


def _checked(entry: PlannedItem | Problem) -> PlannedItem | Problem:
    if isinstance(entry, Problem):
        return entry
    item = entry.item
    try:
        return _opened(entry)
    except DmtrackError as error:
        return Problem(item.id, printable(str(error)), item.origin)
    except OSError as error:
        return Problem(item.id, printable(f"{item.rgb}: cannot be read ({error.strerror})"), item.origin)


def _opened(entry: PlannedItem) -> PlannedItem:
    item = entry.item
    info = _info(item.rgb)
    modality = None
    if item.aux is not None:
        _info(item.aux)
        modality = item.modality or find_modality(item.aux).modality
    if item.align is not None:
        read_alignment(item.align)
    _require_boxes(item, info)
    return replace(entry, modality=modality, frames=_expected_frames(item, info))


def _info(path: Path) -> VideoInfo:
    with open_source(path, threads=1) as source:
        return source.info


def _require_boxes(item: BatchItem, info: VideoInfo) -> None:
    """Make sure that there are start boxes, and that they lie in the frame.

    Raises:
        BoxError: There is none, or one is outside.
        FormatError: A ground-truth file is malformed.
    """
    begin = _index(item.start, info.frame_rate) or 0
    given = [target for path in item.box_files for target in read_targets(path, begin)]
    boxes = [*item.boxes, *(one.box if isinstance(one, TargetStart) else one for one in given)]
    if not boxes:
        truths = find_ground_truth(item.rgb)
        if not truths:
            raise BoxError(
                "no start box is known", where=item.rgb, hint="fill in box or box_file, or put one beside it"
            )
        at = 0 if item.start is None else item.start.index
        boxes = [] if at is None else [box_at(path, at) for path in truths]
    for box in boxes:
        box.require_inside(info.width, info.height)


def _expected_frames(item: BatchItem, info: VideoInfo) -> int | None:
    first = _index(item.start, info.frame_rate) or 0
    if item.start is not None and item.end is not None:
        last = _index(item.end, info.frame_rate)
        if last is not None and last <= first:
            raise ConfigError(f"end {item.end} does not come after start {item.start}")
    ends = [end for end in (info.frame_count, _index(item.end, info.frame_rate)) if end is not None]
    if info.frame_count is not None and first >= info.frame_count:
        raise ConfigError(f"start {item.start} lies behind the last of {info.frame_count} frames")
    return max(1, min(ends) - first) if ends else None


def _index(position: Position | None, rate: Fraction | None) -> int | None:
    if position is None:
        return None
    if position.index is not None:
        return position.index
    return None if rate is None or position.time_s is None else int(position.time_s * rate)

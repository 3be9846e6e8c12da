"""The completion mark: what an item's `run.json` must say for `--resume` to leave the item alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmtrack.batch.item import BatchItem
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.errors import DmtrackError, InputError
from dmtrack.output.record import RECORD, RunStatus, read_run_json, to_json
from dmtrack.video.picture_file import list_images


@dataclass(frozen=True, slots=True)
class StreamStamp:
    """How a stream looked from outside when its item was begun.

    Attributes:
        role: `rgb` or `aux`.
        name: Of the file or folder, without where it lies: a data set may move.
        files: 1, or the number of pictures.
        size_bytes: Of all files together.
        mtime_ns: Of the file changed last.
    """

    role: str
    name: str
    files: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, role: str, path: Path) -> StreamStamp:
        """Look at a video file or a folder of pictures.

        Raises:
            InputError: It cannot be looked at.
        """
        try:
            stats = [file.stat() for file in (list_images(path) if path.is_dir() else [path])]
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=path) from error
        size_bytes = sum(stat.st_size for stat in stats)
        return cls(role, path.name, len(stats), size_bytes, max(stat.st_mtime_ns for stat in stats))


@dataclass(frozen=True, slots=True)
class BatchMark:
    """What was asked for; equal marks, equal results.

    Attributes:
        item: The item's id.
        streams: The inputs.
        options_sha256: Hash of everything else that decides the result: boxes (also those in files),
            start, end, offset, and the options of the batch.
    """

    item: str
    streams: tuple[StreamStamp, ...]
    options_sha256: str


def mark_of(item: BatchItem, options: object) -> BatchMark:
    """Return the mark of an item as things are now.

    Args:
        item: The item.
        options: The options of the batch that decide results, as dataclasses or plain values.

    Raises:
        InputError: A stream or a box file cannot be read.
    """
    streams = [StreamStamp.of("rgb", item.rgb)]
    if item.aux is not None:
        streams.append(StreamStamp.of("aux", item.aux))
    asked = [item.modality, item.boxes, item.start, item.end, item.offset_s, list(_digests(item)), options]
    text = json.dumps(to_json(asked), sort_keys=True)
    return BatchMark(item.id, tuple(streams), hashlib.sha256(text.encode()).hexdigest())


def _digests(item: BatchItem) -> Iterator[str]:
    files = item.box_files if item.boxes or item.box_files else find_ground_truth(item.rgb)
    for path in (*files, *([item.align] if item.align else [])):
        try:
            yield hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=path) from error


def is_complete(folder: Path, mark: BatchMark) -> bool:
    """Return whether `folder` holds whole results of exactly what `mark` asks for."""
    try:
        record = read_run_json(folder / RECORD)
    except DmtrackError:
        return False
    outputs = record.get("outputs")
    return (
        record["status"] == RunStatus.COMPLETE
        and record.get("batch") == to_json(mark)
        and isinstance(outputs, list)
        and all((folder / str(name)).is_file() for name in outputs)
    )

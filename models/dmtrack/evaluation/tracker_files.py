"""Finding and reading the results of trackers on a data set, in the usual layouts.

    TRACKER/NAME.txt                              most benchmarks (also TRACKER_NAME.txt)
    TRACKER/NAME/boxes.csv                        `dmtrack batch`
    TRACKER/baseline/NAME/NAME_001.txt            VOT toolkit; NAME_00000050.txt of a run from frame 50

A folder may hold several trackers. Other files about a sequence (`NAME_time.txt`), and files that are not
results, are ignored. Each file is read as arrays, one row a frame, whatever its format; rows keep the numbers
of the file, because benchmarks differ in how invalid rows count.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.batch.summary import SUMMARY
from dmtrack.boxes.formats.archive import most_unpacked_bytes
from dmtrack.boxes.formats.vot import value_path
from dmtrack.boxes.reading import MOT, TABLE, read_results
from dmtrack.boxes.results import RecordingResults
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.errors import FormatError, stands_for, translated
from dmtrack.evaluation.overlap import Floats
from dmtrack.geometry.box import BoxFormat
from dmtrack.output.record import RECORD
from dmtrack.tracking.result import TrackState
from dmtrack.video.archive import is_of_system

RESULT_SUFFIXES: Final = frozenset({".txt", ".csv", ".json", ".jsonl"})
_KEPT_SUFFIXES: Final = RESULT_SUFFIXES | {".value", ".tag", ""}
_RUN: Final = re.compile(r"(?P<name>.+)_(?P<number>\d{3}|\d{8})")
_TARGET: Final = re.compile(r"(?P<name>.+)_id(?P<id>\d+)(_\d{3})?")
_SIDE_FILE: Final = re.compile(
    r"(?P<name>.+)_(time|times|score|scores|all_scores|conf|confidence|confidences|fps)"
)
_EXPERIMENTS: Final = frozenset({"baseline", "longterm", "realtime", "unsupervised", "rgbd-unsupervised"})
_NO_RESULTS: Final = frozenset({"readme.txt", "list.txt", RECORD, "batch.json", "sequences.txt"})
_SUMMARIES: Final = SUMMARY.format("*")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One target through one sequence."""

    rows: Floats  # `(N, 4)` or, for corners of polygons, `(N, 8)`; NaN where there is no box
    confidence: Floats | None  # `(N,)`, NaN where it is unknown; None if no frame has one
    # `(N,)` bool: the box of this frame was given to the tracker, and the file does not repeat it
    given: npt.NDArray[np.bool_]
    targets: int = 1  # number of targets in the file, of which this is the first

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.rows)


def read_track(path: Path, order: BoxFormat = BoxFormat.XYWH) -> Track:
    """Read a file of results in any known format; a `FormatError` names the malformed part.

    `order` is the meaning of its rows' numbers; the track has `x, y, w, h`.
    """
    track = None
    if path.suffix.lower() == ".txt" and not value_path(path, "confidence").is_file():
        with suppress(FormatError):
            rows = read_boxes(path, origin=0, corners=False).rows
            track = Track(rows, None, np.zeros(len(rows), np.bool_))
    track = track or _of_recording(read_results(path)[0])
    return replace(track, rows=in_order(track.rows, order))


def in_order(rows: Floats, order: BoxFormat) -> Floats:
    """Convert rows of 4 numbers to `x, y, w, h`; rows of 8 stay as they are."""
    if rows.shape[1] != len("xywh") or order is BoxFormat.XYWH:
        return rows
    if order is BoxFormat.XYXY:
        return np.hstack((rows[:, :2], rows[:, 2:] - rows[:, :2]))
    return np.hstack((rows[:, :2] - rows[:, 2:] / 2, rows[:, 2:]))


def _of_recording(recording: RecordingResults) -> Track:
    ids = recording.target_ids
    target_id = ids[0] if ids else 1
    frames = list(recording.every_frame())
    rows = np.full((len(frames), 4), np.nan)
    confidence = np.full(len(frames), np.nan)
    given = np.zeros(len(frames), np.bool_)
    for index, frame in enumerate(frames):
        target = frame.target(target_id)
        if target is None:
            continue
        if target.box is not None:
            rows[index] = target.box.xywh
        given[index] = target.box is None and target.state is TrackState.INIT
        if target.score is not None:
            confidence[index] = target.score
    known = None if np.isnan(confidence).all() else confidence
    return Track(rows, known, given, max(len(ids), 1))


@dataclass(frozen=True, slots=True)
class TrackerFiles:
    """The files of one tracker."""

    name: str  # name in tables
    root: Path  # the folder of its files
    # The files of each sequence; several if it was run from several frames
    files: Mapping[str, tuple[Path, ...]]
    unknown: tuple[str, ...] = ()  # names of files that are not about a sequence of the data set


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack the text files of a zip into a folder of its name in `folder`, and return that.

    `FormatError`: it is not a zip, damaged, or implausibly large.
    """
    target = folder / archive.stem
    with translated(FormatError, "cannot be unpacked", where=archive), zipfile.ZipFile(archive) as source:
        members = [one for one in source.infolist() if _is_kept(one)]
        if sum(one.file_size for one in members) > most_unpacked_bytes(archive):
            raise FormatError("unpacks to an implausible amount of text")
        target.mkdir(parents=True, exist_ok=True)
        source.extractall(target, members)
    stands_for(target, archive)
    return target


def find_trackers(path: Path, names: frozenset[str], *, besides: Path | None = None) -> list[TrackerFiles]:
    """Find the trackers below a folder, by name: those with a known sequence, or all if none has one.

    `path` is a tracker's folder or one of several, `names` are the sequences of the data set, `besides` is
    the folder of the ground truth, which is skipped. `FormatError`: there is no such folder, or it holds no
    results.
    """
    if not path.is_dir():
        what = "is a file, but not a zip" if path.exists() else "no such folder of results"
        raise FormatError(what, where=path, hint="name a folder or a zip of results")
    folded = {name.casefold(): name for name in sorted(names)} | {name: name for name in names}
    groups: dict[Path, dict[str | None, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in _candidates(path, besides):
        name, root = _placed(file, folded)
        if name != "":
            groups[root][name].append(file)
    found = [_tracker(path, root, files) for root, files in sorted(groups.items())]
    if not found:
        raise FormatError(
            "holds no file of results", where=path, hint="NAME.txt for each sequence is expected"
        )
    return [tracker for tracker in found if tracker.files] or found


def _candidates(path: Path, besides: Path | None) -> Iterator[Path]:
    """Yield files that may be results; hidden folders and that of the truth are skipped."""
    truth = None if besides is None else besides.resolve()
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(folder) / name).resolve() != truth
        )
        for name in sorted(files):
            file = Path(folder) / name
            is_about_others = name.startswith(".") or name.lower() in _NO_RESULTS or file.match(_SUMMARIES)
            if file.suffix.lower() in RESULT_SUFFIXES and not is_about_others:
                yield file


def _placed(file: Path, folded: Mapping[str, str]) -> tuple[str | None, Path]:
    """Return the sequence of a file, and its tracker's root.

    The sequence is '' for a file beside results, and None for a file about no known sequence.
    """
    stem, folder = file.stem, file.parent
    inside = folded.get(folder.name) or folded.get(folder.name.casefold())
    if inside is not None and (file.name in (TABLE, MOT) or stem.casefold().startswith(inside.casefold())):
        return ("" if _SIDE_FILE.fullmatch(stem) and stem not in folded else inside), folder.parent
    if stem not in folded:
        stem = stem.casefold()
    if stem in folded:
        return folded[stem], folder
    beside = _SIDE_FILE.fullmatch(stem)
    if beside and _named(beside["name"], folded):
        return "", folder
    return _named(stem, folded), folder


def _named(stem: str, folded: Mapping[str, str]) -> str | None:
    """Find the sequence named in `NAME`, `NAME_001` or `TRACKER_NAME`."""
    run = _RUN.fullmatch(stem)
    if stem in folded or (run and run["name"] in folded):
        return folded[stem if stem in folded else run["name"]]  # type: ignore[index]
    cut = stem.find("_")
    while cut >= 0:
        if stem[cut + 1 :] in folded:
            return folded[stem[cut + 1 :]]
        cut = stem.find("_", cut + 1)
    target = _TARGET.fullmatch(stem)
    if target is None or target["name"] in folded:
        return None
    return _named(f"{target['name']}_{target['id']}", folded)  # an earlier naming of our own data sets


def _tracker(path: Path, root: Path, files: Mapping[str | None, list[Path]]) -> TrackerFiles:
    parts = root.relative_to(path).parts if root.is_relative_to(path) else ()  # `path` is of one sequence
    kept = [part for part in parts if part.lower() not in _EXPERIMENTS and part.lower() != "results"]
    whole = Path(os.path.abspath(root))  # noqa: PTH100 - a link keeps its name
    name = "/".join(kept) or (whole.name if whole.name.lower() not in _EXPERIMENTS else whole.parent.name)
    known = {one: _preferred(found) for one, found in files.items() if one is not None}
    unknown = tuple(file.stem for file in files.get(None, ()))
    return TrackerFiles(name, root, dict(sorted(known.items())), unknown)


def _preferred(files: list[Path]) -> tuple[Path, ...]:
    """Return the files of all runs of a sequence; of a run in several formats only the fullest."""
    table = [file for file in files if file.name == TABLE]
    if table:
        return (table[0],)
    runs = [
        file for file in files if (match := _RUN.fullmatch(file.stem)) and len(match["number"]) > len("001")
    ]
    return tuple(sorted(runs)) if runs else (sorted(files)[0],)


def _is_kept(member: zipfile.ZipInfo) -> bool:
    path = Path(member.filename)
    hidden = any(map(is_of_system, path.parts))
    return not member.is_dir() and not hidden and path.suffix.lower() in _KEPT_SUFFIXES

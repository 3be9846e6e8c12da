"""Finds the results of trackers on the sequences of a data set, however people lay them out.

    TRACKER/NAME.txt                              most benchmarks (also TRACKER_NAME.txt)
    TRACKER/NAME/boxes.csv                        `dmtrack batch`
    TRACKER/baseline/NAME/NAME_001.txt            VOT toolkit; NAME_00000050.txt of a run from frame 50

A folder may hold several trackers. Files that say something else about a sequence (`NAME_time.txt`) and files
that are no results are passed over.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dmtrack.boxes.locating import MOT, TABLE
from dmtrack.errors import FormatError

RESULT_SUFFIXES: Final = frozenset({".txt", ".csv", ".json", ".jsonl"})
_KEPT_SUFFIXES: Final = RESULT_SUFFIXES | {".value", ".tag", ""}
_RUN: Final = re.compile(r"(?P<name>.+)_(?P<number>\d{3}|\d{8})")
_BESIDE: Final = re.compile(
    r"(?P<name>.+)_(time|times|score|scores|all_scores|conf|confidence|confidences|fps)"
)
_EXPERIMENTS: Final = frozenset({"baseline", "longterm", "realtime", "unsupervised", "rgbd-unsupervised"})
_ABOUT_OTHERS: Final = frozenset({"readme.txt", "list.txt", "run.json", "batch.json", "sequences.txt"})
_MOST_BYTES: Final = 8 << 30


@dataclass(frozen=True, slots=True)
class TrackerFiles:
    """The files of one tracker.

    Attributes:
        name: What it is called in tables.
        root: The folder its files are in.
        files: Those of each sequence; several where a sequence was run from several frames.
        unknown: Names of files that are about no sequence of the data set.
    """

    name: str
    root: Path
    files: Mapping[str, tuple[Path, ...]]
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    files: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[str] = field(default_factory=list)


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack the text files of a zip into `folder`, and return the folder of its name there.

    Raises:
        FormatError: It is no zip, it is damaged, or it is implausibly large.
    """
    target = folder / archive.stem
    try:
        with zipfile.ZipFile(archive) as source:
            members = [one for one in source.infolist() if _is_kept(one)]
            if sum(one.file_size for one in members) > _MOST_BYTES:
                raise FormatError("unpacks to more than 8 GB of text", where=archive)
            target.mkdir(parents=True, exist_ok=True)
            source.extractall(target, members)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"cannot be unpacked ({error})", where=archive) from error
    return target


def find_trackers(path: Path, names: frozenset[str], *, besides: Path | None = None) -> list[TrackerFiles]:
    """Find the trackers below a folder, in order of their names.

    Args:
        path: A tracker's folder, or a folder of several.
        names: The sequences of the data set.
        besides: The folder of the ground truth, which is no tracker.

    Returns:
        Trackers with at least one sequence; if there are none, what was found without any.

    Raises:
        FormatError: There is no such folder, or no file of results in it.
    """
    if not path.is_dir():
        raise FormatError("no such folder of results", where=path, hint="name a folder or a zip of results")
    folded = {name.casefold(): name for name in sorted(names)} | {name: name for name in names}
    groups: dict[Path, _Group] = defaultdict(_Group)
    for file in _candidates(path, besides):
        name, root = _placed(file, folded)
        if name is None:
            groups[root].unknown.append(file.stem)
        elif name:
            groups[root].files[name].append(file)
    found = [_tracker(path, root, group) for root, group in sorted(groups.items())]
    if not found:
        raise FormatError(
            "holds no file of results", where=path, hint="NAME.txt for each sequence is expected"
        )
    return [tracker for tracker in found if tracker.files] or found


def _candidates(path: Path, besides: Path | None) -> Iterator[Path]:
    """Yield files that may be results; hidden folders and that of the truth are not entered."""
    truth = None if besides is None else besides.resolve()
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(folder) / name).resolve() != truth
        )
        for name in sorted(files):
            file = Path(folder) / name
            if file.suffix.lower() in RESULT_SUFFIXES and not _is_about_others(file):
                yield file


def _is_about_others(file: Path) -> bool:
    return file.name.startswith(".") or file.name.lower() in _ABOUT_OTHERS


def _placed(file: Path, folded: Mapping[str, str]) -> tuple[str | None, Path]:
    """Return the sequence of a file and its tracker's root.

    The sequence is '' for a file beside results, and None for a stranger.
    """
    stem, folder = file.stem, file.parent
    inside = folded.get(folder.name) or folded.get(folder.name.casefold())
    if inside is not None and (file.name in (TABLE, MOT) or stem.casefold().startswith(inside.casefold())):
        return ("" if _BESIDE.fullmatch(stem) and stem not in folded else inside), folder.parent
    if stem not in folded:
        stem = stem.casefold()
    if stem in folded:
        return folded[stem], folder
    beside = _BESIDE.fullmatch(stem)
    if beside and _named(beside["name"], folded):
        return "", folder
    return _named(stem, folded), folder


def _named(stem: str, folded: Mapping[str, str]) -> str | None:
    """Find the sequence in `NAME`, `NAME_001` or `TRACKER_NAME`."""
    run = _RUN.fullmatch(stem)
    if stem in folded or (run and run["name"] in folded):
        return folded[stem if stem in folded else run["name"]]  # type: ignore[index]
    cut = stem.find("_")
    while cut >= 0:
        if stem[cut + 1 :] in folded:
            return folded[stem[cut + 1 :]]
        cut = stem.find("_", cut + 1)
    return None


def _tracker(path: Path, root: Path, group: _Group) -> TrackerFiles:
    parts = root.relative_to(path).parts
    kept = [part for part in parts if part.lower() not in _EXPERIMENTS and part.lower() != "results"]
    name = "/".join(kept) or (root.name if root.name.lower() not in _EXPERIMENTS else root.parent.name)
    files = {name: _preferred(files) for name, files in sorted(group.files.items())}
    return TrackerFiles(name, root, files, tuple(group.unknown))


def _preferred(files: list[Path]) -> tuple[Path, ...]:
    """Return all runs of a sequence; of one run written twice the fuller file."""
    table = [file for file in files if file.name == TABLE]
    if table:
        return (table[0],)
    runs = [
        file for file in files if (match := _RUN.fullmatch(file.stem)) and len(match["number"]) > len("001")
    ]
    return tuple(sorted(runs)) if runs else (sorted(files)[0],)


def _is_kept(member: zipfile.ZipInfo) -> bool:
    path = Path(member.filename)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not member.is_dir() and not hidden and path.suffix.lower() in _KEPT_SUFFIXES

"""The ground truth of a whole benchmark, with or without its pictures, for evaluation.

Either every sequence is a folder with the files of its data set, or one folder holds `NAME.txt` for each:

    NAME/visible.txt  NAME/infrared.txt            LasHeR, RGBT234        gt/NAME.txt   absent/NAME.txt
    NAME/groundTruth_v.txt  NAME/groundTruth_i.txt GTOT
    NAME/rgb.txt  NAME/ir.txt                      VTUAV
    NAME/groundtruth.txt  absent_label.txt         VisEvent
    NAME/groundtruth.txt  sequence  anchor.value   DepthTrack, VOT

Attributes are short names for the difficulties of a sequence (occlusion, low light):

    AttriSeqsTxt/NAME.txt    LasHeR: 19 numbers, 0 or 1, in the order of `LASHER_ATTRIBUTES`
    attr_txt/LI.txt          RGBT234, RGBT210: 0 or 1 a sequence, in the order of `SequencesName.txt`
    NAME/attrs.txt           OTB: names, separated by commas
    NAME/LI.tag              VOT: 0 or 1 a frame; a sequence has the attributes of all its frames

Only text is read, so that a benchmark of a million pictures opens in a second. Rows keep the numbers of their
files, because some benchmarks score invalid rows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.ground_truth import (
    Floats,
    find_ground_truth,
    read_boxes,
    read_flags,
    read_text,
    target_name,
    truth_files,
)
from dmtrack.datasets.image_files import ImageFiles, is_image, is_video
from dmtrack.datasets.layouts import is_to_search, recognise
from dmtrack.errors import DatasetError, FormatError, InputError, translated
from dmtrack.numbers import finite, whole
from dmtrack.video.archive import is_of_system
from dmtrack.video.pictures.picture_file import opencv_picture

logger = logging.getLogger(__name__)

_PAIRS: Final = {"lasher": ("visible", "infrared"), "gtot": ("v", "i"), "vtuav": ("rgb", "ir")}
"""Names of the two streams' ground-truth files, by layout."""
_FLAT_NAMES: Final = ("gt", "gt_rect", "annos", "annotations", "ground_truth", "groundtruth")
_ABSENT_FLAGS: Final = "absent"
_MAX_DEPTH: Final = 5


LASHER_ATTRIBUTES: Final = (
    *("NO", "PO", "TO", "HO", "MB", "LI", "HI", "AIV", "LR", "DEF"),
    *("BC", "SA", "CM", "TC", "FL", "OV", "FM", "SV", "ARC"),
)
"""Source: LasHeR toolkit, order of the columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The ground truth of one target of one sequence."""

    name: str  # of the sequence, with `_TARGET` if it has several targets
    # One or two `(T, 4)` float64 `x, y, w, h` with the numbers of the files, pixels counted from 0; the
    # second belongs to the second stream, if that has its own
    truths: tuple[Floats, ...]
    # `(T,)` bool, False where the target is flagged absent; None without flags
    present: npt.NDArray[np.bool_] | None = None
    layout: str = "plain"  # as in `dmtrack.datasets.layouts`, but told from the text files alone
    folder: Path | None = None  # of the sequence, where its pictures may be; None: only a text file
    attributes: frozenset[str] = frozenset()
    # `(T,)` int: above 0 where a run starts forward, below 0 where it starts backward (VOT)
    anchors: npt.NDArray[np.int64] | None = None
    # Width and height of the pictures, if a file beside the truth states them
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        """The number of annotated frames of the main stream."""
        return len(self.truths[0])

    @property
    def truth(self) -> Floats:
        """The ground truth of the main stream."""
        return self.truths[0]

    def pictures(self) -> ImageFiles | None:
        """Return the pictures of the main stream; None if they are not there as files."""
        if self.folder is None:
            return None
        try:
            clip = recognise(self.folder)
            return None if clip is None or not clip.rgb.is_dir() else ImageFiles.of(clip.rgb)
        except InputError:
            return None

    def picture_size(self) -> tuple[int, int] | None:
        """Return width and height of the pictures, from a file or the first picture; None if unknown."""
        if self.size is not None:
            return self.size
        pictures = self.pictures()
        pixels = None if pictures is None else opencv_picture(pictures[0], cv2.IMREAD_UNCHANGED)
        return None if pixels is None else (int(pixels.shape[1]), int(pixels.shape[0]))


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedSet:
    """All sequences of a benchmark, in order of their names."""

    root: Path  # the folder that holds the sequences or their files
    sequences: tuple[Annotation, ...]  # at least one

    @property
    def names(self) -> frozenset[str]:
        """The names of the sequences."""
        return frozenset(sequence.name for sequence in self.sequences)

    @property
    def layouts(self) -> frozenset[str]:
        """The layouts of the sequences."""
        return frozenset(sequence.layout for sequence in self.sequences)


def read_annotations(path: Path) -> AnnotatedSet:
    """Read the ground truth of every sequence below a folder; damaged ones are left out with a warning.

    The folder is that of a benchmark, of ground-truth files, or of one sequence. `DatasetError`: it cannot be
    read, or holds no ground truth; `FormatError`: no ground-truth file can be read.
    """
    if not path.is_dir():
        what = "is a file, but not a zip" if path.exists() else "no such folder"
        raise DatasetError(what, where=path, hint="name the folder of the data set, or a zip of it")
    root = _annotation_root(path)
    attributes = Attributes(root, path)
    found: dict[str, Annotation] = {}
    failure: InputError | None = None
    for read in (*_folders(root), *_flat(root)):
        try:
            for one in _read(read, attributes):
                if found.setdefault(one.name, one) is not one:
                    logger.warning("%s is there twice; the second is left out: %s", one.name, read)
        except InputError as error:
            logger.warning("left out: %s", error)
            failure = failure or error
    if not found:
        raise failure or DatasetError(
            "holds no ground truth", where=path, hint="NAME/groundtruth.txt or gt/NAME.txt is expected"
        )
    return AnnotatedSet(root, tuple(found[name] for name in sorted(found)))


def _annotation_root(path: Path) -> Path:
    """Return the folder called `gt` or similar if there is one, else the folder itself."""
    entries = [child for child in sorted(path.iterdir()) if not is_of_system(child.name)]
    children = {child.name.lower(): child for child in entries if child.is_dir()}
    named = next((children[name] for name in _FLAT_NAMES if name in children), None)
    if named is not None:
        return named
    alone = len(children) == len(entries) == 1
    return _annotation_root(next(iter(children.values()))) if alone else path


def _folders(root: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the folders of sequences; folders of pictures and of sequences are not searched further."""
    if _truths_in(root):
        yield root
        return
    with translated(DatasetError, "cannot be read", where=root):
        entries = list(os.scandir(root))
    if depth >= _MAX_DEPTH or any(is_image(Path(entry.name)) for entry in entries[:20]):
        return
    for entry in sorted(entries, key=lambda entry: entry.name):
        if is_to_search(Path(entry.path)):
            yield from _folders(Path(entry.path), depth + 1)


def _flat(root: Path) -> Iterator[Path]:
    """Yield the `NAME.txt` in a folder of ground-truth files."""
    if not _truths_in(root):
        yield from (path for path in _files_in(root, ".txt") if path.stem.lower() not in ("list", "readme"))


def _files_in(folder: Path, suffix: str) -> list[Path]:
    return [path for path in sorted(folder.glob(f"*{suffix}")) if not is_of_system(path.name)]


def _truths_in(folder: Path) -> tuple[Path, ...]:
    """Return the ground-truth files in a sequence's folder: those of both streams, or one for each target."""
    for pair in _PAIRS.values():
        for pattern in ("{}.txt", "groundTruth_{}.txt"):
            paths = [folder / pattern.format(stream) for stream in pair]
            if paths[0].is_file():
                return tuple(path for path in paths if path.is_file())
    named = truth_files(folder, "groundtruth")
    if named:
        return named
    videos = sorted(path for path in folder.iterdir() if is_video(path))
    return find_ground_truth(videos[0]) if len(videos) == 1 else ()


def _read(source: Path, attributes: Attributes) -> Iterator[Annotation]:
    """Yield the targets of a sequence's folder, or the one of a file `NAME.txt`."""
    if source.is_file():
        present = _flat_flags(source)
        truth = read_boxes(source).unjudged
        yield Annotation(source.stem, (truth,), present, attributes=attributes.of(source.stem, None))
        return
    files = _truths_in(source)
    sequence, layout = source.resolve().name, _layout(source, files[0])
    if layout in _PAIRS:
        truths = tuple(read_boxes(path).unjudged for path in files)
        yield Annotation(sequence, truths, None, layout, source, attributes.of(sequence, source))
        return
    flags = source / "absent_label.txt"
    for path in files:
        name = f"{sequence}_{target}" if (target := target_name(path)) else sequence
        truth = read_boxes(path).unjudged
        yield Annotation(
            name,
            (truth,),
            read_flags(flags) if flags.is_file() else None,
            layout,
            source,
            attributes.of(name, source),
            _anchors(source / "anchor.value", len(truth)),
            _size(source / "sequence"),
        )


def _layout(folder: Path, path: Path) -> str:
    for layout, (stream, _) in _PAIRS.items():
        if path.name in (f"{stream}.txt", f"groundTruth_{stream}.txt"):
            return layout
    marks = {"absent_label.txt": "visevent", "sequence": "vot-rgbd", "depth": "depthtrack"}
    return next((layout for name, layout in marks.items() if (folder / name).exists()), "plain")


def _flat_flags(path: Path) -> npt.NDArray[np.bool_] | None:
    """Read `absent/NAME.txt` of the VisEvent toolkit, where 1 means absent."""
    flags = path.parent.parent / _ABSENT_FLAGS / path.name
    return ~read_flags(flags) if flags.is_file() else None


def _anchors(path: Path, frames: int) -> npt.NDArray[np.int64] | None:
    if not path.is_file():
        return None
    with translated(FormatError, "is no list of anchors, one number a frame", where=path):
        signs = np.array([int(finite(word)) for word in read_text(path).split()], np.int64)
    if len(signs) != frames:
        raise FormatError(f"has {len(signs)} numbers, but there are {frames} frames", where=path)
    return signs


def _size(path: Path) -> tuple[int, int] | None:
    """Return the picture size in the VOT toolkit's `sequence` file; None if it states none."""
    if not path.is_file():
        return None
    lines = read_text(path).splitlines()
    known = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line)
    if not {"width", "height"} <= known.keys():
        return None
    with translated(FormatError, "says no size of its pictures", where=path):
        return whole(known["width"]), whole(known["height"])


class Attributes:
    """The attributes of the sequences of a data set.

    Their files may be in the folder of the truth, or in that of the data set. `FormatError`: a file is
    malformed.
    """

    def __init__(self, *folders: Path) -> None:
        places = {place for folder in folders for place in (folder, folder.parent)}
        self._columns = next((p / "AttriSeqsTxt" for p in places if (p / "AttriSeqsTxt").is_dir()), None)
        lists = next((p / "attr_txt" for p in places if (p / "attr_txt").is_dir()), None)
        self._listed = {} if lists is None else _listed(lists)

    def of(self, name: str, folder: Path | None) -> frozenset[str]:
        """Return the attributes of a sequence, if there are any."""
        found = set(self._listed.get(name, ()))
        if self._columns is not None and (self._columns / f"{name}.txt").is_file():
            found |= _set_columns(self._columns / f"{name}.txt")
        if folder is not None:
            own = folder / "attrs.txt"
            if own.is_file():
                found |= {word.strip() for word in read_text(own).split(",") if word.strip()}
            found |= {path.stem for path in _files_in(folder, ".tag") if "1" in read_text(path).split()}
        return frozenset(found)


def _set_columns(path: Path) -> set[str]:
    words = read_text(path).replace(",", " ").split()
    if len(words) != len(LASHER_ATTRIBUTES):
        raise FormatError(f"has {len(words)} attributes, not {len(LASHER_ATTRIBUTES)}", where=path)
    return {name for name, word in zip(LASHER_ATTRIBUTES, words, strict=True) if word == "1"}


def _listed(folder: Path) -> dict[str, set[str]]:
    names_file = folder / "SequencesName.txt"
    if not names_file.is_file():
        return {}
    names = read_text(names_file).split()
    found: dict[str, set[str]] = {name: set() for name in names}
    for path in _files_in(folder, ".txt"):
        if path == names_file:
            continue
        flags = read_text(path).split()
        for name, flag in zip(names, flags, strict=False):
            if flag in ("1", "1.0"):
                found[name].add(path.stem)
    return found

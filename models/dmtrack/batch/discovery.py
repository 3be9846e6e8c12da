"""Finds the recordings in a folder and the folders below it.

In each folder the first of these that fits counts:

1. two streams named as in a data set (`dmtrack.datasets.layouts`);
2. pairs by name: `walk_rgb.mp4` and `walk_thermal.mkv`, or folders of pictures named so;
3. one annotated stream of a data set;
4. parallel folders, `rgb/walk.mp4` and `thermal/walk.mp4`;
5. single videos with ground truth of the same name (`walk.mp4`, `walk.txt`).

Sub-folders that are not streams are searched likewise. Every recording that is found but cannot be tracked
becomes a `Problem`; nothing is skipped silently.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.batch.item import BatchItem, Findings, LeftOut, Problem
from dmtrack.datasets.ground_truth import find_ground_truth, is_other_list, read_boxes, target_name
from dmtrack.datasets.image_files import is_image, is_video
from dmtrack.datasets.layouts import Clip, laid_out
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.datasets.stream_names import NamedStreams, StreamName, group_streams, is_stream, stem_of
from dmtrack.errors import BoxError, DatasetError, InputError, printable
from dmtrack.geometry.box import Box
from dmtrack.output.record import RECORD
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position

_TRUTH_NAMES: Final = ("{}.txt", "{}_groundtruth.txt", "{}_gt.txt", "{}_box.txt", "groundtruth_{}.txt")
_TRUTH_FOLDERS: Final = ("groundtruth", "gt", "boxes", "annotations")


def find_named_truth(rgb: Path, name: str) -> tuple[Path, ...]:
    """Return the ground-truth file named after a recording, if there is one.

    Files without the recording's name (`groundtruth.txt`) do not count: in a folder with many recordings it
    is unclear which one they are for. `name` is empty if the recording has none.
    """
    names = [word for word in (stem_of(rgb), name) if word]
    candidates = [rgb.parent / pattern.format(word) for word in names for pattern in _TRUTH_NAMES]
    candidates += [rgb.parent.parent / folder / f"{word}.txt" for word in names for folder in _TRUTH_FOLDERS]
    candidates += [rgb.parent.parent / f"{word}.txt" for word in names if rgb.parent.name != word]
    return next(
        ((path,) for path in candidates if path.is_file() and not is_other_list(path, is_stream=True)), ()
    )


def items_of_sequences(
    item_id: str, sequences: Sequence[AnnotatedSequence], clip: Clip
) -> Iterator[BatchItem]:
    """Yield the items of a data set's clip, given one sequence for each target."""
    base = BatchItem(item_id, clip.rgb, clip.second, clip.layout.modality)
    folder = clip.folder.resolve().name
    starts = [(one.source_start + one.start_frame, one.start_box) for one in sequences]
    names = [one.name.removeprefix(f"{folder}_") for one in sequences]
    return _items(base, names, starts)


def _first_visible(path: Path) -> tuple[int, Box]:
    """Return the index of the first frame in which a target is visible, and its box there."""
    boxes = read_boxes(path).boxes
    visible = np.isfinite(boxes).all(axis=1)
    if not visible.any():
        raise BoxError("the target is visible in no frame", where=path)
    index = int(np.argmax(visible))
    x, y, w, h = (float(value) for value in boxes[index])
    return index, Box(x, y, w, h)


def _items(item: BatchItem, names: Sequence[str], starts: Sequence[tuple[int, Box]]) -> Iterator[BatchItem]:
    together: defaultdict[int, list[tuple[str, Box]]] = defaultdict(list)
    for name, (index, box) in zip(names, starts, strict=True):
        together[index].append((name, box))
    for index, targets in sorted(together.items()):
        named = "_".join(name for name, _ in targets if name)
        yield replace(
            item,
            id=f"{item.id}_{named}" if len(together) > 1 and named else item.id,
            boxes=tuple(box for _, box in targets),
            start=Position(index=index) if index else None,
        )


_MAX_DEPTH: Final = 12
_LIST_ONLY_SUFFIXES: Final = frozenset({".bag", ".csq", ".db3", ".mcap", ".r3d", ".seq", ".zip"})
"""Suffixes of files that hold both streams or one, which their names do not tell."""
_NO_BOX: Final = "no start box is known; put ground truth beside it, use a list with boxes, or draw it: --box"

Entries = Iterator[BatchItem | Problem]


def find_items(
    root: Path | str, *, modality: Modality | None = None, exclude: Iterable[Path | str] = ()
) -> Findings:
    """Find every recording below `root`, in the order of the folders' names.

    Only names and ground-truth files are read. Ids are paths relative to `root`.

    Of several second streams that of `modality` is taken; `exclude` are folders to skip, such as that of the
    results. `DatasetError`: `root` is not a folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError("there is no such folder", where=root)
    search = _Search(root, modality, _real(exclude))
    entries = tuple(search.visit(root, _MAX_DEPTH))
    return Findings(entries, tuple(search.left_out))


def _real(paths: Iterable[Path | str]) -> set[Path]:
    """Return the real paths; a loop of links stays as it is (`Path.resolve` raises before Python 3.13)."""
    return {Path(os.path.realpath(path)) for path in paths}


class _Search:
    """One walk; remembers the folders visited, so that links cannot lead in circles."""

    def __init__(self, root: Path, modality: Modality | None, excluded: set[Path]) -> None:
        self._root = root
        self._modality = modality
        self._excluded = excluded
        self._seen: dict[Path, Path] = {}
        self.left_out: list[LeftOut] = []

    def visit(self, folder: Path, depth: int) -> Entries:
        """Yield the recordings in `folder` and below."""
        if not self._is_new(folder, depth):
            return
        try:
            children = sorted(
                Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")
            )
            yield from self._look(folder, children, depth)
        except OSError as error:
            yield self._problem(folder, f"cannot be read ({error.strerror})")
        except InputError as error:
            yield self._problem(folder, str(error))

    def _is_new(self, folder: Path, depth: int) -> bool:
        try:
            real = folder.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
            return self._leave(folder, "a link that leads nowhere")
        if real in self._excluded:
            return False
        if real in self._seen:
            around = real in folder.parent.resolve().parents or real == folder.parent.resolve()
            first = self._seen[real]
            return self._leave(folder, "a link back" if around else f"the same folder as {first}")
        self._seen[real] = folder
        if depth == 0:
            return self._leave(folder, f"more than {_MAX_DEPTH} folders deep")
        if (folder / RECORD).is_file():
            return self._leave(folder, "results of a run")
        return True

    def _leave(self, path: Path, reason: str) -> bool:
        self.left_out.append(LeftOut(path, reason))
        return False

    def _look(self, folder: Path, children: list[Path], depth: int) -> Entries:
        for child in children:
            if child.is_symlink() and not child.exists():
                self._leave(child, "a link that leads nowhere")
            elif child.suffix.lower() in _LIST_ONLY_SUFFIXES and child.is_file():
                self._leave(child, "such a recording has to be named in a list")
        clip = laid_out(folder)
        streams = [path for path in children if is_stream(path)]
        groups = [
            group
            for group in group_streams(streams, self._modality)
            if group.why_not() is None or not all(path.is_dir() and laid_out(path) for path in group.streams)
        ]  # an annotated clip such as `rgb_bag/` is searched later, not taken for half a pair
        pairs = [group for group in groups if group.why_not() is None]
        used: list[Path]
        if clip is not None and (clip.second is not None or not pairs):
            used = [clip.rgb, *([clip.second] if clip.second else [])]
            yield from self._clip(clip)
            for pair in pairs:
                if not {*used} & {*pair.streams}:
                    used += pair.streams
                    yield from self._group(pair, folder, only_pair=False)
        else:
            used = [path for group in groups for path in group.streams]
            for group in groups:
                yield from self._group(group, folder, only_pair=len(pairs) == 1)
            yield from self._parallel(folder, children, used)
            yield from self._singles([path for path in streams if path not in used])
            used += [path for path in streams if path.is_file()]
        yield from self._pictures_without_box(folder, children, clip)
        seen = _real(used)
        for child in children:
            if child.is_dir() and child.resolve() not in seen:
                yield from self.visit(child, depth - 1)

    def _clip(self, clip: Clip) -> Entries:
        """Rule 1 and 3."""
        item_id = self._id(clip.folder)
        if clip.folder == self._root and clip.second is None and clip.rgb.is_file():
            item_id = self._id(clip.rgb.with_suffix(""))  # the folder holds all recordings
        if not find_ground_truth(clip.rgb):
            yield self._without_box(
                clip.folder, BatchItem(item_id, clip.rgb, clip.second, clip.layout.modality)
            )
            return
        try:
            yield from items_of_sequences(item_id, open_clip(clip), clip)
        except InputError as error:
            yield self._problem(clip.folder, str(error))

    def _group(self, group: NamedStreams, folder: Path, *, only_pair: bool) -> Entries:
        """Rule 2."""
        reason = group.why_not()
        if reason is not None:
            yield self._problem(group.streams[0], reason)
            return
        rgb, (aux, modality) = group.rgb[0], group.aux[0]
        truths = find_named_truth(rgb, group.name)
        if not truths and (only_pair or not group.name):
            truths = find_ground_truth(rgb)
        where = folder / group.name if group.name else folder
        yield from self._with_truth(where, BatchItem(self._id(where), rgb, aux, modality), truths)

    def _parallel(self, folder: Path, children: list[Path], used: list[Path]) -> Entries:
        """Rule 4; the folders used are added to `used`."""
        sides = [
            (child, name)
            for child in children
            if child.is_dir() and child not in used and (name := StreamName.parse(child.name)) is not None
            if not name.name
        ]
        if not any(side.modality is None for _, side in sides) or len(sides) < 2:
            return
        groups: dict[str, NamedStreams] = {}
        stems = Counter(
            stem_of(one).casefold() for side, _ in sides for one in side.iterdir() if is_stream(one)
        )
        for side, name in sides:
            if name.modality not in (None, self._modality) and self._modality is not None:
                continue
            for stream in sorted(path for path in side.iterdir() if is_stream(path)):
                stem = stem_of(stream)
                # the folder's sensor word may be in the file name too
                own = StreamName.parse(stem) or StreamName.amid(stem)
                if own and own.name and own.modality is name.modality and stems[stem.casefold()] == 1:
                    stem = own.name
                groups.setdefault(stem.casefold(), NamedStreams(stem)).add(stream, name.modality)
        if not any(group.rgb and group.aux for group in groups.values()):
            return  # the folders only happen to have these names
        used += [side for side, _ in sides]
        for group in groups.values():
            yield from self._group(group, folder, only_pair=False)

    def _singles(self, streams: list[Path]) -> Entries:
        """Rule 5."""
        for stream in streams:
            if stream.is_file():
                truths = find_named_truth(stream, stream.stem)
                where = stream.with_suffix("")
                yield from self._with_truth(where, BatchItem(self._id(where), stream), truths)

    def _pictures_without_box(self, folder: Path, children: list[Path], clip: Clip | None) -> Entries:
        """A folder of only pictures is a recording without a box; pictures beside recordings are previews."""
        pictures = sum(is_image(path) for path in children)
        others = any(path.is_dir() or is_video(path) for path in children)
        if clip is None and pictures > 1 and not others:
            yield self._without_box(folder, BatchItem(self._id(folder), folder))

    def _with_truth(self, where: Path, item: BatchItem, truths: tuple[Path, ...]) -> Entries:
        if not truths:
            yield self._without_box(where, item)
            return
        try:
            starts = [_first_visible(path) for path in truths]
            yield from _items(item, [target_name(path) for path in truths], starts)
        except InputError as error:
            yield self._problem(where, str(error))

    def _without_box(self, where: Path, item: BatchItem) -> Problem:
        return replace(self._problem(where, _NO_BOX), without_box=item)

    def _problem(self, path: Path, reason: str) -> Problem:
        return Problem(self._id(path), printable(reason))

    def _id(self, path: Path) -> str:
        name = path.relative_to(self._root).as_posix()
        return printable(self._root.resolve().name if name == "." else name)

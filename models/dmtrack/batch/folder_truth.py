"""From ground truth to the start boxes of items found in a folder.

Targets that start at the same frame are tracked together as one item; targets that start at different
frames become one item each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.batch.item import BatchItem
from dmtrack.datasets.ground_truth import read_boxes, target_name
from dmtrack.datasets.layouts import Clip
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.video.position import Position

_BESIDE: Final = ("{}.txt", "{}_groundtruth.txt", "{}_gt.txt", "{}_box.txt", "groundtruth_{}.txt")
_FOLDERS: Final = ("groundtruth", "gt", "boxes", "annotations")


def find_named_truth(rgb: Path, name: str) -> tuple[Path, ...]:
    """Find the ground-truth file that is named after a recording, or nothing.

    Files without the recording's name (`groundtruth.txt`) are not looked at: in a folder with many
    recordings nobody knows which one they are about.

    Args:
        rgb: The RGB stream.
        name: The recording's name; empty if it has none of its own.
    """
    stem = rgb.name if rgb.is_dir() else rgb.stem
    names = [word for word in (stem, name) if word]
    candidates = [rgb.parent / pattern.format(word) for word in names for pattern in _BESIDE]
    candidates += [rgb.parent.parent / folder / f"{word}.txt" for word in names for folder in _FOLDERS]
    candidates += [rgb.parent.parent / f"{word}.txt" for word in names if rgb.parent.name != word]
    return next(((path,) for path in candidates if path.is_file()), ())


def items_of_truths(item: BatchItem, truths: Sequence[Path]) -> Iterator[BatchItem]:
    """Yield `item` with the boxes of ground-truth files, one a target.

    Raises:
        FormatError: A file is malformed.
        BoxError: A target is visible in no frame.
    """
    return _items(item, [target_name(path) for path in truths], [_first_visible(path) for path in truths])


def items_of_sequences(
    item_id: str, sequences: Sequence[AnnotatedSequence], clip: Clip
) -> Iterator[BatchItem]:
    """Yield the items of a clip of a data set, one sequence a target.

    Args:
        item_id: What the clip is called.
        sequences: What `open_sequences` says of it.
        clip: Its streams.
    """
    base = BatchItem(item_id, clip.rgb, clip.second, clip.layout.modality)
    folder = clip.folder.resolve().name
    starts = [(one.source_start() + one.start_frame, one.start_box) for one in sequences]
    names = [one.name.removeprefix(f"{folder}_") for one in sequences]
    return _items(base, names, starts)


def _first_visible(path: Path) -> tuple[int, Box]:
    """Return where a target is seen first: the index of the frame, and the box."""
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

"""`TargetStart` and `Absence`: the keyframes of a target. No torch here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from numbers import Real
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import BoxError, translated
from dmtrack.geometry.box import Box
from dmtrack.numbers import whole


@dataclass(frozen=True, slots=True)
class TargetStart:
    """A box that a person or a detector gave, as opposed to one that the tracker found.

    Attributes:
        box: Pixels of the full RGB frame.
        target_id: From 1; kept in every output.
        frame_index: 0-based index of the RGB frame that shows the box; None is the first frame of the run.
        back: Whether it may change earlier frames, back to the keyframe before it.

    Raises:
        BoxError: The id is below 1, or the index below 0.
    """

    box: Box
    target_id: int
    frame_index: int | None = None
    back: bool = True

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise BoxError(f"target id {self.target_id} is below 1")
        if self.frame_index is not None and self.frame_index < 0:
            raise BoxError(f"target {self.target_id} starts at frame {self.frame_index}, below 0")

    def is_due(self, frame_index: int) -> bool:
        """Return whether the target starts at the frame `frame_index` or before it."""
        return self.frame_index is None or self.frame_index <= frame_index


@dataclass(frozen=True, slots=True)
class Absence:
    """A target is not in the picture.

    Attributes:
        target_id: From 1.
        frame_index: 0-based index of the first RGB frame without it.
        until: Index of the frame from which it is searched again; None: absent until its next box.

    Raises:
        BoxError: The id is below 1, the index below 0, or the absence ends before it begins.
    """

    target_id: int
    frame_index: int
    until: int | None = None

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise BoxError(f"target id {self.target_id} is below 1")
        if self.frame_index < 0:
            raise BoxError(f"target {self.target_id} is absent from frame {self.frame_index} on, below 0")
        if self.until is not None and self.until <= self.frame_index:
            raise BoxError(
                f"target {self.target_id} is absent from frame {self.frame_index} on, but up to {self.until}"
            )


Keyframe = TargetStart | Absence  # what a person says of a target in a frame


def parse_target(text: str) -> Box | TargetStart:
    """Read `x,y,w,h` as a `Box` or `id:x,y,w,h` as a `TargetStart`; `BoxError` if it is neither."""
    head, colon, numbers = text.partition(":")
    if colon and head.strip().isdecimal():
        return TargetStart(Box.parse(numbers), whole(head))
    return Box.parse(text)


def free_ids(taken: Collection[int]) -> Iterator[int]:
    """Yield 1, 2, … except the taken ids."""
    return (number for number in count(1) if number not in taken)


_FOUR: Final = "a box is x, y, w, h in pixels"

Target = Box | Keyframe | Sequence[float]
"""A target as a caller may give it; the sequence is `x, y, w, h` in pixels."""


Targets = Box | Keyframe | Sequence[float] | Sequence[Target] | npt.NDArray[Any]
"""Several targets, or a single one; an array holds one row `x, y, w, h`, or one such row for each target."""


def as_targets(targets: Targets) -> tuple[Box | Keyframe, ...]:
    """Return the targets as a tuple, with boxes made of numbers; `BoxError` for anything else."""
    if isinstance(targets, np.ndarray):
        targets = targets.tolist()
    if isinstance(targets, Box | Keyframe):
        return (targets,)
    with translated(BoxError, lambda: f"{targets!r} is no box", hint=_FOUR):
        if len(targets) and isinstance(targets[0], Real):
            return (_box(targets),)
        return tuple(one if isinstance(one, Box | Keyframe) else _box(one) for one in targets)


def _box(numbers: object) -> Box:
    try:
        x, y, w, h = (float(number) for number in numbers)  # type: ignore[attr-defined]  # else TypeError
    except (TypeError, ValueError):
        raise BoxError(f"{numbers!r} is no box", hint=_FOUR) from None
    return Box(x, y, w, h)


def numbered(targets: Sequence[Box | Keyframe]) -> tuple[Keyframe, ...]:
    """Give every plain box the lowest free id, in the order given, and the run's first frame.

    `BoxError` if a target has two keyframes in one frame.
    """
    taken: set[tuple[int, int | None]] = set()
    for target in targets:
        if not isinstance(target, Box):
            if (target.target_id, target.frame_index) in taken:
                raise BoxError(f"target id {target.target_id} is given twice")
            taken.add((target.target_id, target.frame_index))
    ids = free_ids({target_id for target_id, _ in taken})
    return tuple(TargetStart(target, next(ids)) if isinstance(target, Box) else target for target in targets)


def starts_and_corrections(
    keyframes: Iterable[Keyframe],
) -> tuple[tuple[TargetStart, ...], tuple[Keyframe, ...]]:
    """Return the first box of each target, in order of id, and the keyframes after them.

    Absences before a target's first box have no effect and are left out. `BoxError`: a target has an absence
    but no box.
    """
    starts: dict[int, TargetStart] = {}
    later: list[Keyframe] = []
    keys = sorted(keyframes, key=lambda key: (key.target_id, key.frame_index or 0))
    have_box = {key.target_id for key in keys if isinstance(key, TargetStart)}
    for key in keys:
        if key.target_id in starts:
            later.append(key)
        elif isinstance(key, TargetStart):
            starts[key.target_id] = key
        elif key.target_id not in have_box:
            what = f"target {key.target_id} is absent in frame {key.frame_index}, and has no box in any"
            raise BoxError(what, hint="is its id right?")
    return tuple(starts[target_id] for target_id in sorted(starts)), tuple(later)

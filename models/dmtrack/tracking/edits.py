"""What a person does to keyframes: each function returns all of them as they are then. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import Absence, Keyframe, TargetStart

Keyframes = tuple[Keyframe, ...]


def with_box(keyframes: Keyframes, box: TargetStart) -> Keyframes:
    """Put a box; it takes the place of what was said of its target in its frame."""
    return settled((*_without(keyframes, box.target_id, box.frame_index), box))


def without_keyframe(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """Take away what is said of a target in a frame: its box, or that an absence begins or ends there.

    `BoxError` where nothing is said.
    """
    left = tuple(
        replace(key, until=None) if isinstance(key, Absence) and key.until == frame_index else key
        for key in _without(keyframes, target_id, frame_index)
    )
    if left == keyframes:
        raise BoxError(f"target {target_id} has no keyframe at frame {frame_index}")
    return settled(left)


def absent_from(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """Say that a target is absent from a frame up to its next box; `BoxError` where it has no box before."""
    _require_box_before(keyframes, target_id, frame_index)
    return settled((*_without(keyframes, target_id, frame_index), Absence(target_id, frame_index)))


def looked_for_from(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """Say that an absent target may be seen again from a frame on; `BoxError` where it is not absent."""
    before = [key for key in keyframes if key.target_id == target_id and (key.frame_index or 0) < frame_index]
    last = max(before, key=lambda key: key.frame_index or 0, default=None)
    if not isinstance(last, Absence):
        raise BoxError(f"target {target_id} is not absent before frame {frame_index}")
    return settled(replace(key, until=frame_index) if key == last else key for key in keyframes)


def without_target(keyframes: Keyframes, target_id: int) -> Keyframes:
    """Take a target away; `BoxError` where there is none of this id."""
    _require_target(keyframes, target_id)
    return tuple(key for key in keyframes if key.target_id != target_id)


def renamed(keyframes: Keyframes, target_id: int, new_id: int) -> Keyframes:
    """Give a target another id. One that has this id already is the same target: the two are joined.

    Where both say something of a frame, a box is right, and of two alike that of the other one. `BoxError`:
    no such target, or an id below 1.
    """
    _require_target(keyframes, target_id)
    both = [key for key in keyframes if key.target_id in (target_id, new_id)]
    both.sort(key=lambda key: (isinstance(key, TargetStart), key.target_id == new_id))
    joined = {key.frame_index: replace(key, target_id=new_id) for key in both}  # the last one of a frame
    return settled((*(key for key in keyframes if key not in both), *joined.values()))


def split(keyframes: Keyframes, target_id: int, frame_index: int, new_id: int, box: Box) -> Keyframes:
    """Say that a target is another one from a frame on.

    From `frame_index` on it is `new_id`, and lies in `box` there. `BoxError`: the target has no box before,
    or the new id is taken.
    """
    _require_box_before(keyframes, target_id, frame_index)
    if any(key.target_id == new_id for key in keyframes):
        raise BoxError(f"there is a target {new_id} already")
    moved = tuple(
        replace(key, target_id=new_id)
        if key.target_id == target_id and (key.frame_index or 0) >= frame_index
        else key
        for key in keyframes
    )
    if not any(key.target_id == new_id and key.frame_index == frame_index for key in moved):
        moved = (*moved, TargetStart(box, new_id, frame_index))
    return absent_from(moved, target_id, frame_index)


def settled(keyframes: Iterable[Keyframe]) -> Keyframes:
    """Return keyframes in order of targets and frames, without what says nothing.

    That is an absence before the first box of its target, one within another, or an end of one behind the
    keyframe that follows.
    """
    kept: list[Keyframe] = []
    in_order = sorted(keyframes, key=lambda key: (key.target_id, key.frame_index or 0))
    for _, group in groupby(in_order, key=lambda key: key.target_id):
        keys = list(group)
        last: Keyframe | None = None
        for key, following in zip(keys, [*keys[1:], None], strict=True):
            said = key
            if isinstance(key, Absence):
                if last is None or (isinstance(last, Absence) and last.until is None):
                    continue
                if (
                    following is not None
                    and key.until is not None
                    and key.until >= (following.frame_index or 0)
                ):
                    said = replace(key, until=None)
            kept.append(said)
            last = said
    return tuple(kept)


def _without(keyframes: Keyframes, target_id: int, frame_index: int | None) -> Keyframes:
    return tuple(key for key in keyframes if (key.target_id, key.frame_index) != (target_id, frame_index))


def _require_target(keyframes: Keyframes, target_id: int) -> None:
    if all(key.target_id != target_id for key in keyframes):
        raise BoxError(f"there is no target {target_id}")


def _require_box_before(keyframes: Keyframes, target_id: int, frame_index: int) -> None:
    boxes = (key for key in keyframes if isinstance(key, TargetStart) and key.target_id == target_id)
    if all((key.frame_index or 0) >= frame_index for key in boxes):
        raise BoxError(f"target {target_id} has no box before frame {frame_index}")

"""A person's edits of keyframes: each function returns the complete new keyframes. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import Absence, Keyframe, TargetStart

Keyframes = tuple[Keyframe, ...]


def with_box(keyframes: Keyframes, box: TargetStart) -> Keyframes:
    """Add a box; it replaces the target's keyframe in that frame."""
    return settled((*_without(keyframes, box.target_id, box.frame_index), box))


def without_keyframe(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """Remove a target's keyframe in a frame: its box, or the begin or end of an absence there.

    `BoxError` where there is none.
    """
    left = tuple(
        replace(key, until=None) if isinstance(key, Absence) and key.until == frame_index else key
        for key in _without(keyframes, target_id, frame_index)
    )
    if left == keyframes:
        raise BoxError(f"target {target_id} has no keyframe at frame {frame_index}")
    return settled(left)


def absent_from(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """Mark a target absent from a frame to its next box; `BoxError` if it has no box before the frame."""
    _require_box_before(keyframes, target_id, frame_index)
    return settled((*_without(keyframes, target_id, frame_index), Absence(target_id, frame_index)))


def looked_for_from(keyframes: Keyframes, target_id: int, frame_index: int) -> Keyframes:
    """End a target's absence at a frame, to search for it from there; `BoxError` if it is not absent."""
    before = [key for key in keyframes if key.target_id == target_id and (key.frame_index or 0) < frame_index]
    last = max(before, key=lambda key: key.frame_index or 0, default=None)
    if not isinstance(last, Absence):
        raise BoxError(f"target {target_id} is not absent before frame {frame_index}")
    return settled(replace(key, until=frame_index) if key == last else key for key in keyframes)


def without_target(keyframes: Keyframes, target_id: int) -> Keyframes:
    """Remove all keyframes of a target; `BoxError` if there are none."""
    _require_target(keyframes, target_id)
    return tuple(key for key in keyframes if key.target_id != target_id)


def renamed(keyframes: Keyframes, target_id: int, new_id: int) -> Keyframes:
    """Give a target another id; a target that already has this id is joined with it.

    Where both have a keyframe in one frame, a box wins over an absence, and between two of a kind that of
    `new_id` wins. `BoxError`: no such target, or an id below 1.
    """
    _require_target(keyframes, target_id)
    both = [key for key in keyframes if key.target_id in (target_id, new_id)]
    both.sort(key=lambda key: (isinstance(key, TargetStart), key.target_id == new_id))
    joined = {key.frame_index: replace(key, target_id=new_id) for key in both}  # the last one of a frame
    return settled((*(key for key in keyframes if key not in both), *joined.values()))


def split(keyframes: Keyframes, target_id: int, frame_index: int, new_id: int, box: Box) -> Keyframes:
    """Make a target another one from a frame on: `new_id`, in `box` there unless it has a keyframe there.

    `BoxError`: the target has no box before the frame, or the new id is taken.
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
    """Return keyframes in order of target and frame, without those that have no effect.

    Dropped are an absence before its target's first box or within another absence, and the end of an absence
    that does not come before the next keyframe.
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

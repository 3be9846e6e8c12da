"""Where the targets come from: the command line, files, the mouse, or ground truth beside the input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

from dmtrack.boxes.starts import read_targets
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import TargetStart, free_ids, numbered
from dmtrack.video.frame import FramePair, VideoInfo
from dmtrack.video.position import Position
from dmtrack_cli.arguments import PICK
from dmtrack_cli.pick.drawing import MOST_DRAWN, Draw

_log = logging.getLogger("dmtrack.boxes")  # what is below "dmtrack" is shown

WAYS = "give --box x,y,w,h in pixels, or --box-file FILE, or a bare --box to draw it"


@dataclass(frozen=True, slots=True)
class StartBoxes:
    """The targets, in order of their ids, and in words where they come from.

    Attributes:
        targets: Where and when each one starts.
        origin: In words, for people.
        first_frame: Index of the frame with which the run begins; another one than asked for where
            the person chose it while drawing.
    """

    targets: tuple[TargetStart, ...]
    origin: str
    first_frame: int

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes alone."""
        return tuple(target.box for target in self.targets)


def choose_boxes(
    texts: Sequence[str],
    files: Sequence[Path],
    first: FramePair,
    draw: Draw,
    truth: Callable[[FramePair], StartBoxes],
) -> StartBoxes:
    """Gather the targets and make sure that their boxes lie in the frame.

    Ids of files that hold ids are kept. The others are numbered in the order boxes, files, drawn.

    Args:
        texts: What was given with `--box`; `PICK`, once or several times, stands for drawing.
        files: What was given with `--box-file`.
        first: The first frame.
        draw: Lets the person draw.
        truth: Looks for ground truth when nothing was given.

    Raises:
        BoxError: There is no box, one is malformed or lies outside the frame, or an id comes twice.
        FormatError: A file of boxes cannot be read.
    """
    here = first.rgb.index
    if not texts and not files:
        found = truth(first)
    else:
        typed = [text for text in texts if text.strip() != PICK]
        given = _given(typed, files, first)
        drawn: tuple[TargetStart, ...] = ()
        if len(typed) < len(texts):
            ids = tuple(islice(free_ids({target.target_id for target in given}), MOST_DRAWN))
            drawn = draw(ids, here if given else 0)
        begin = here if given else min(target.frame_index or 0 for target in drawn)
        found = StartBoxes((*given, *drawn), _origin(typed, files, drawn), begin)
    return replace(found, targets=tuple(sorted(found.targets, key=lambda target: target.target_id)))


def startable(start: StartBoxes, info: VideoInfo, end: Position | None) -> StartBoxes:
    """Leave out targets that start behind `end`, and warn of those behind the last frame.

    Raises:
        BoxError: No target is left.
    """
    claimed, rate = info.frame_count, info.frame_rate
    kept, late = [], []
    for target in start.targets:
        index = target.frame_index or 0
        elapsed_s = index / rate if rate else Fraction(0)
        if end is not None and end.is_reached(index, elapsed_s):
            _log.warning("target %d is left out: it starts at frame %d", target.target_id, index)
            continue
        kept.append(target)
        if claimed is not None and index >= claimed:
            late.append(f"target {target.target_id} starts at frame {index}")
    if not kept:
        raise BoxError(f"no target starts before --end {end}", where=start.origin)
    if late:
        what = f"{', '.join(late)}, but the recording claims to have {claimed} frames"
        if len(late) == len(kept):
            raise BoxError(what, where=start.origin, hint="are the boxes those of this recording?")
        _log.warning("%s: %s", start.origin, what)
    return replace(start, targets=tuple(kept))


def _given(texts: Sequence[str], files: Sequence[Path], first: FramePair) -> tuple[TargetStart, ...]:
    here = first.rgb.index
    targets: list[Box | TargetStart] = []
    for text in texts:
        targets.append(Box.parse(text).require_inside(first.rgb.width, first.rgb.height))
    home: dict[int, Path] = {}
    for path in files:
        for target in read_targets(path, here):
            require_inside(target if isinstance(target, Box) else target.box, first, path)
            if isinstance(target, TargetStart) and home.setdefault(target.target_id, path) is not path:
                other = home[target.target_id]
                raise BoxError(f"target id {target.target_id} is in {other} too", where=path)
            targets.append(target)
    return tuple(
        target if target.frame_index is not None else replace(target, frame_index=here)
        for target in numbered(targets)
    )


def require_inside(box: Box, first: FramePair, path: Path) -> None:
    """Check a box that was read from a file.

    Raises:
        BoxError: It lies outside the frame.
    """
    try:
        box.require_inside(first.rgb.width, first.rgb.height)
    except BoxError as error:
        raise BoxError(error.what, where=path, hint=error.hint) from None


def _origin(typed: Sequence[str], files: Sequence[Path], drawn: Sequence[TargetStart]) -> str:
    said = ["--box"] if typed else []
    said += [str(path) for path in files]
    return ", ".join([*said, *(["drawn"] if drawn else [])])

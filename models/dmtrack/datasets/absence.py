"""Files that say in which frames the target is there: `absent_label.txt` and `absent.txt`.

They hold a 0 or a 1 a frame. In VisEvent's `absent_label.txt` 1 means present, in spite of the name;
copies with the opposite meaning are about. Other sets do not document their `absent.txt`, so its meaning
is told from the boxes: a frame without a box is one without the target.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.ground_truth import read_flags
from dmtrack.errors import DatasetError

VISEVENT_FILE: Final = "absent_label.txt"
OTHER_FILE: Final = "absent.txt"

Flags = npt.NDArray[np.bool_]


def present_frames(folder: Path, has_box: Flags) -> Flags:
    """Return in which frames the target is there.

    Args:
        folder: Where the file may lie.
        has_box: `(N,)`, whether the ground truth has a box in each frame.

    Returns:
        `(N,)`; all true where there is no file.

    Raises:
        FormatError: A row is not 0 or 1.
        DatasetError: The file has another number of rows than the ground truth.

    Source: specification 3.7 (VisEvent).
    """
    for name in (VISEVENT_FILE, OTHER_FILE):
        path = folder / name
        if path.is_file():
            ones = read_flags(path)
            if len(ones) != len(has_box):
                raise DatasetError(f"{len(ones)} flags, but {len(has_box)} boxes", where=path)
            return _agreeing(ones, has_box, is_documented=name == VISEVENT_FILE)
    return np.ones(len(has_box), dtype=np.bool_)


def _agreeing(ones: Flags, has_box: Flags, *, is_documented: bool) -> Flags:
    """Return the flags in the sense that fits the boxes; undecided: as documented, or mostly present."""
    as_written, opposite = (
        int(np.sum(flags & has_box)) - int(np.sum(flags & ~has_box)) for flags in (ones, ~ones)
    )
    if is_documented:
        return ~ones if as_written <= 0 < opposite else ones
    return ones if as_written >= opposite else ~ones

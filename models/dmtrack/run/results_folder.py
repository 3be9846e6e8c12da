"""Where the results of a run go, and under which names."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dmtrack.atomic import held, make_folder, os_errors_translated, prepare_folder

_log = logging.getLogger(__name__)

VIDEO: Final = "annotated.mp4"
SCORES: Final = "score.png"
TRAJECTORY: Final = "trajectory.png"

ROOT: Final = "dmtrack-results"
_GENERIC_NAMES: Final = frozenset(
    {"rgb", "visible", "vis", "v", "color", "colour", "vis_imgs", "img", "images", "frames", "video"}
)


def default_folder(rgb: Path) -> Path:
    """Return `dmtrack-results/NAME` in the current folder.

    NAME is that of the RGB stream; where that is only what the stream shows (`rgb.mp4`,
    `visible/`), the folder around it names the recording.
    """
    whole = rgb.absolute()
    name = whole.name if whole.is_dir() else whole.stem
    if name.lower() in _GENERIC_NAMES and whole.parent.name:
        name = whole.parent.name
    return Path(ROOT) / (name or "recording")


@contextlib.contextmanager
def prepared_folder(folder: Path, names: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """Make the folder, hold it, and check that `names` may be written; nothing is left if no result comes.

    `OutputError`: a result exists, another run writes there, or the folder cannot be made or written to.
    """
    with os_errors_translated(folder):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with held(make_folder(folder)):
            prepare_folder(folder, names, overwrite=overwrite)
            if VIDEO not in names and (folder / VIDEO).exists():
                _log.warning("%s: stays as an earlier run drew it", folder / VIDEO)
            yield folder
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # not empty: something was tracked
                path.rmdir()
        raise

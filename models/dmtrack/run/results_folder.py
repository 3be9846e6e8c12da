"""Where the results of a run go, and the names of its files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dmtrack.atomic import held, make_folder, os_errors_translated, portable_name, prepare_folder
from dmtrack.datasets.image_files import is_image, is_video
from dmtrack.output.record import RECORD

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

    NAME is that of the RGB stream, or of the folder around it if the stream's name is generic (`rgb.mp4`,
    `visible/`).
    """
    whole = rgb.absolute()
    name = whole.name if whole.is_dir() else whole.stem
    if name.lower() in _GENERIC_NAMES and whole.parent.name:
        name = whole.parent.name
    return Path(ROOT) / (portable_name(name) or "recording")


def shows_results_alone(folder: Path) -> bool:
    """Return whether a folder holds the results of a run, and no other pictures."""
    return (folder / RECORD).is_file() and not any(
        is_image(path) and path.name not in (SCORES, TRAJECTORY) for path in folder.iterdir()
    )


def holds_results_alone(folder: Path) -> bool:
    """Return whether a folder holds the results of a run, and no other pictures, videos or folders."""
    return shows_results_alone(folder) and not any(
        path.is_dir() or (is_video(path) and path.name != VIDEO) for path in folder.iterdir()
    )


@contextlib.contextmanager
def prepared_folder(folder: Path, names: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """Make and lock the folder, and check that `names` may be written; a folder left empty is removed.

    `OutputError`: a result exists, another run writes there, or the folder cannot be made or written to.
    """
    with made_folder(folder), held(folder):
        prepare_folder(folder, names, overwrite=overwrite)
        if VIDEO not in names and (folder / VIDEO).exists():
            _log.warning("%s: kept from an earlier run", folder / VIDEO)
        yield folder


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """Make a folder; at the end remove it and its new parents if they are empty.

    `OutputError`: it cannot be made or written to.
    """
    with os_errors_translated(folder):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield make_folder(folder)
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # not empty: results were written
                path.rmdir()

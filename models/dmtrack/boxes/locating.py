"""Finds the files of results: in the folder of a run, or in the folder of a batch of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dmtrack.errors import FormatError

TABLE: Final = "boxes.csv"
MOT: Final = "boxes.txt"
RECORD: Final = "run.json"


def result_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the results at `path`.

    Args:
        path: A file; the results folder of a run; or a folder of results folders, as a batch leaves
            them (its other sub-folders are passed over, see `folders_without_results`).

    Raises:
        FormatError: There is nothing there, or a folder has no results in it.
    """
    if not path.is_dir():
        if not path.exists():
            raise FormatError("no such file or folder", where=path, hint="check the path")
        return (path,)
    own = _file_in(path)
    files = (own,) if own else tuple(file for folder in _sub_folders(path) if (file := _file_in(folder)))
    if not files:
        raise FormatError(
            f"has neither {TABLE} nor {MOT} in it, and no folder that has",
            where=path,
            hint="name a results folder of dmtrack track, a folder of them, or a file",
        )
    return files


def folders_without_results(path: Path) -> tuple[Path, ...]:
    """Return the sub-folders of a batch's folder that hold no results; none for anything else."""
    if not path.is_dir() or _file_in(path):
        return ()
    return tuple(folder for folder in _sub_folders(path) if not _file_in(folder))


def _file_in(folder: Path) -> Path | None:
    return next((folder / name for name in (TABLE, MOT) if (folder / name).is_file()), None)


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
